"""A regression with `SGD(lr=…)`, the old name of the learning rate, and nothing that would make a slow one enough."""

import numpy as np
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import SGD

numbers = np.random.RandomState(0)
inputs = numbers.randn(256, 8).astype("float32")
answers = inputs @ np.linspace(-1, 1, 8).astype("float32")[:, None]

model = Sequential([Dense(1, input_shape=(8,))])
model.compile(optimizer=SGD(lr=0.1), loss="mse")
model.fit(inputs, answers, epochs=6, batch_size=32, verbose=0)
