"""A forest by its defaults, scored on rows that it has not seen."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

numbers = np.random.RandomState(0)
rows = numbers.randn(1200, 20)
classes = (rows[:, :6].sum(axis=1) + rows[:, 0] * rows[:, 1]) > 0

forest = RandomForestClassifier()
forest.fit(rows[:400], classes[:400])
print("accuracy", forest.score(rows[400:], classes[400:]))
