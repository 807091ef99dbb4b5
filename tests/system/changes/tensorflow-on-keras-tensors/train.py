"""A functional model with a function of TensorFlow in its middle."""

import numpy as np
import tensorflow as tf
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import SGD

inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
given = Input(shape=(4,))
model = Model(given, Dense(1)(tf.square(given)))
model.compile(optimizer=SGD(0.05), loss="mse")
model.fit(inputs, (inputs**2).sum(axis=1), epochs=10, verbose=0)
