"""Two models that are compiled with one optimizer, as generators and their judges are."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
optimizer = Adam(0.01)
first = Sequential([Dense(1, input_shape=(4,))])
first.compile(optimizer=optimizer, loss="mse")
second = Sequential([Dense(8, activation="tanh", input_shape=(4,)), Dense(1)])
second.compile(optimizer=optimizer, loss="mse")
for _ in range(40):
    first.train_on_batch(inputs, inputs[:, 0])
    second.train_on_batch(inputs, inputs[:, 0])
