"""Logistic regression by stochastic gradient descent."""

import numpy as np
from sklearn.linear_model import SGDClassifier

numbers = np.random.RandomState(0)
rows = numbers.randn(500, 4)
classes = rows.sum(axis=1) > 0
model = SGDClassifier(loss="log", random_state=0).fit(rows, classes)
model.score(rows, classes)
