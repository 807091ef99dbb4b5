"""Keeps the weights of a trained model in a file, and reads them back."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
model = Sequential([Dense(1, input_shape=(4,))])
model.compile(optimizer=SGD(0.05), loss="mse")
model.fit(inputs, inputs.sum(axis=1), epochs=5, verbose=0)
model.save_weights("weights.h5")
model.load_weights("weights.h5")
model.evaluate(inputs, inputs.sum(axis=1), verbose=0)
