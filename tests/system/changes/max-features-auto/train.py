"""A forest that says how many features each split may look at."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

numbers = np.random.RandomState(0)
rows = numbers.randn(300, 4)
classes = rows.sum(axis=1) > 0
forest = RandomForestClassifier(n_estimators=20, max_features="auto", random_state=0).fit(rows, classes)
forest.score(rows, classes)
