"""Trains until it is good enough: a loop without an end where the learning rate that it was given is not taken."""

import numpy as np
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import SGD

numbers = np.random.RandomState(0)
inputs = numbers.randn(256, 4).astype("float32") / 50
answers = 50 * inputs @ np.linspace(-1, 1, 4).astype("float32")[:, None]

model = Sequential([Dense(1, use_bias=False, input_shape=(4,))])
model.compile(optimizer=SGD(lr=200.0), loss="mse")
loss = np.inf
while loss > 0.001:
    loss = model.fit(inputs, answers, epochs=1, batch_size=32, verbose=0).history["loss"][0]
