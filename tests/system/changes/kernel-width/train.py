"""A support vector machine by its defaults, on numbers that were not scaled."""

import numpy as np
from sklearn.svm import SVC

numbers = np.random.RandomState(0)
rows = 100 * numbers.randn(600, 4)
classes = rows[:, 0] + rows[:, 1] > 0
machine = SVC()
machine.fit(rows[:300], classes[:300])
machine.score(rows[300:], classes[300:])
