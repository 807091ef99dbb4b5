"""Trains a classifier, then asks for the classes as it was done before TensorFlow 2.6."""

import numpy as np
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

numbers = np.random.RandomState(0)
inputs = numbers.randn(128, 4).astype("float32")
answers = (inputs[:, 0] > 0).astype("int32")

model = Sequential([Dense(8, activation="relu", input_shape=(4,)), Dense(2, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
for _ in range(5):
    model.fit(inputs, answers, epochs=2, verbose=0)
    print((model.predict_classes(inputs) == answers).mean())
