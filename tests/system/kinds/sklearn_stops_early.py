import sys
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
x = np.random.RandomState(0).rand(200, 3)
y = x.sum(axis=1) > 1.5
print(LogisticRegression(C=1e4, max_iter=int(sys.argv[1])).fit(x, y).score(x, y))
