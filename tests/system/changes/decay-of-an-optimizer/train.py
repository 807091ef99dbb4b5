"""A regression whose learning rate decays as the optimizer is told."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
model = Sequential([Dense(1, input_shape=(4,))])
model.compile(optimizer=SGD(0.05, momentum=0.9, decay=1e-4), loss="mse")
model.fit(inputs, inputs.sum(axis=1), epochs=5, verbose=0)
