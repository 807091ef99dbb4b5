"""A logistic regression without regularisation."""

import numpy as np
from sklearn.linear_model import LogisticRegression

numbers = np.random.RandomState(0)
rows = numbers.randn(300, 4)
classes = rows.sum(axis=1) + numbers.randn(300) > 0
model = LogisticRegression(penalty="none").fit(rows, classes)
model.score(rows, classes)
