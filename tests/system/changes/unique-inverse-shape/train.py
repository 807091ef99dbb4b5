"""Nearest class means, for labels that came as a column."""

import numpy as np

numbers = np.random.RandomState(0)
labels = numbers.choice([3, 5, 8], size=(300, 1))
rows = numbers.randn(300, 2) * 0.3 + labels
names, classes = np.unique(labels, return_inverse=True)
means = np.array([rows[classes == one].mean(axis=0) for one in range(len(names))])
found = names[np.linalg.norm(rows[:, None] - means, axis=2).argmin(axis=1)]
print("accuracy", np.mean(found == labels[:, 0]))
