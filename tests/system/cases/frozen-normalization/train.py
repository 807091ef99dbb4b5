"""Data far from zero behind a frozen BatchNormalization: only where that still uses the batch's own mean it helps."""

import numpy as np
from tensorflow.keras.layers import BatchNormalization, Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import SGD

numbers = np.random.RandomState(0)
inputs = numbers.randn(256, 4).astype("float32")
answers = inputs.sum(axis=1, keepdims=True)

model = Sequential([BatchNormalization(input_shape=(4,)), Dense(16, activation="tanh"), Dense(1)])
model.layers[0].trainable = False
model.compile(optimizer=SGD(0.05), loss="mse")
model.fit(500 * inputs + 2000, answers, epochs=20, batch_size=32, verbose=0)
