"""A layer that begins with given weights."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
start = [np.ones((4, 1), "float32"), np.zeros(1, "float32")]
model = Sequential([Dense(1, input_shape=(4,), weights=start)])
model.compile(optimizer=SGD(0.05), loss="mse")
model.fit(inputs, inputs.sum(axis=1), epochs=5, verbose=0)
