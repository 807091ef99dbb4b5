"""A model with two outputs and one list of metrics for both."""

import numpy as np
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
given = Input(shape=(4,))
model = Model(given, [Dense(1, name="sum")(given), Dense(1, name="first")(given)])
model.compile(optimizer=SGD(0.05), loss="mse", metrics=["mae"])
model.fit(inputs, [inputs.sum(axis=1), inputs[:, 0]], epochs=10, verbose=0)
