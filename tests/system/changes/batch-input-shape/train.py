"""A stateful network whose batches have a fixed size, as its first layer says."""

import numpy as np
from keras.layers import Dense, SimpleRNN
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(64, 5, 1).astype("float32")
model = Sequential([SimpleRNN(8, stateful=True, batch_input_shape=(32, 5, 1)), Dense(1)])
model.compile(optimizer=SGD(0.05), loss="mse")
model.fit(inputs, inputs[:, -1], batch_size=32, epochs=20, verbose=0)
