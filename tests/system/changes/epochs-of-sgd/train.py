"""A linear model by stochastic gradient descent with its defaults; how long it trains is its own affair."""

import numpy as np
from sklearn.linear_model import SGDClassifier

numbers = np.random.RandomState(0)
rows = numbers.randn(500, 10)
classes = rows.sum(axis=1) + numbers.randn(500) > 0
model = SGDClassifier(random_state=0).fit(rows, classes)
print("epochs", model.n_iter_)
