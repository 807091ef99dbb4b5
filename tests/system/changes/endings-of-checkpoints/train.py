"""Keeps the best model of a training by a callback, in a folder."""

import numpy as np
from keras.callbacks import ModelCheckpoint
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
model = Sequential([Dense(1, input_shape=(4,))])
model.compile(optimizer=SGD(0.05), loss="mse")
keep = ModelCheckpoint("best_model", monitor="loss", save_best_only=True)
model.fit(inputs, inputs.sum(axis=1), epochs=3, verbose=0, callbacks=[keep])
