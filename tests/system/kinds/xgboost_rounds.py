import sys

import numpy as np
from xgboost import XGBRegressor

x = np.random.RandomState(0).rand(200, 3)
y = x.sum(axis=1)
XGBRegressor(n_estimators=60, learning_rate=float(sys.argv[1])).fit(x, y, eval_set=[(x, y)], verbose=False)
