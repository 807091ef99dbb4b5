"""A logistic regression by its defaults, on a number that is far from zero."""

import numpy as np
from sklearn.linear_model import LogisticRegression

numbers = np.random.RandomState(0)
rows = 20 + numbers.randn(600, 1)
classes = rows[:, 0] > 20
model = LogisticRegression()
model.fit(rows[:300], classes[:300])
model.score(rows[300:], classes[300:])
