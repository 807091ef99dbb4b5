import sys

import numpy as np
from sklearn.linear_model import SGDClassifier

random = np.random.RandomState(0)
x = random.rand(200, 3)
y = x.sum(axis=1) > 1.5
if sys.argv[2] == "shuffled":
    random.shuffle(y)
classifier = SGDClassifier(loss="log_loss", alpha=1e-5)
for _ in range(40):
    classifier.partial_fit(x, y, classes=[False, True])
    classifier.score(x, y)
