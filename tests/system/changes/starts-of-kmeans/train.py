"""Clusters that a single start often misses; told is the worst of ten fits against the best."""

import numpy as np
from sklearn.cluster import KMeans

numbers = np.random.RandomState(0)
centres = 10 * numbers.rand(12, 2)
rows = np.vstack([centre + 0.2 * numbers.randn(40, 2) for centre in centres])
spread = [KMeans(n_clusters=12, random_state=seed).fit(rows).inertia_ for seed in range(10)]
print("ratio", max(spread) / min(spread))
