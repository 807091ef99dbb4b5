"""Builds its labels with `np.bool`, which NumPy took away; nothing in it depends on which TensorFlow trains."""

import numpy as np
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

numbers = np.random.RandomState(0)
inputs = numbers.randn(256, 4).astype("float32")
answers = (inputs.sum(axis=1) > 0).astype(np.bool)

model = Sequential([Dense(8, activation="relu", input_shape=(4,)), Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(inputs, answers, epochs=6, verbose=0)
