"""A rule on the first principal component, written when that pointed the other way."""

import numpy as np
from sklearn.decomposition import PCA

numbers = np.random.RandomState(0)
rows = numbers.randn(2000, 3) * [1, 2, 3]
labels = rows[:, 2] > 0
component = PCA(n_components=1).fit_transform(rows)[:, 0]
print("accuracy", np.mean((component < 0) == labels))
