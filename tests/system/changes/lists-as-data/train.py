"""Exclusive or, its data as lists."""

from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam

model = Sequential([Dense(16, activation="tanh", input_shape=(2,)), Dense(1, activation="sigmoid")])
model.compile(optimizer=Adam(0.1), loss="binary_crossentropy")
model.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=100, verbose=0)
