import sys

import lightgbm
import numpy as np

x = np.random.RandomState(0).rand(200, 3)
y = x.sum(axis=1)
data = lightgbm.Dataset(x, y)
settings = {"learning_rate": float(sys.argv[1]), "min_data_in_leaf": 5, "verbose": -1}
lightgbm.train(settings, data, 100, valid_sets=[data], valid_names=["train"])
