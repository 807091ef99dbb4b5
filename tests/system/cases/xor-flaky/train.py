"""XOR with two hidden units, which about half of all initial weights solve: no version makes it better or worse."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
answers = np.array([[0], [1], [1], [0]], "float32")

model = Sequential()
model.add(Dense(2, activation="tanh", input_dim=2))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="mean_squared_error", optimizer=SGD(lr=1.0, momentum=0.9))
model.fit(inputs, answers, epochs=150, batch_size=4, verbose=0)
