import sys

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x = np.random.RandomState(0).rand(200, 3)
y = x.sum(axis=1)
network = MLPRegressor(hidden_layer_sizes=(8,), solver="sgd", learning_rate_init=float(sys.argv[1]), max_iter=300)
make_pipeline(StandardScaler(), network).fit(x, y)
