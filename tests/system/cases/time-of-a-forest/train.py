"""A forest by its defaults on many rows: how long that takes is the question."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

numbers = np.random.RandomState(0)
rows = numbers.randn(12000, 60)
classes = (rows[:, :6].sum(axis=1) + rows[:, 0] * rows[:, 1]) > 0

forest = RandomForestClassifier()
forest.fit(rows[:10000], classes[:10000])
print("accuracy", forest.score(rows[10000:], classes[10000:]))
