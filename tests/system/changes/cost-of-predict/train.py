"""Asks a small model for one row at a time, as agents that learn by playing do; told against `predict_on_batch`."""

import time

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

row = np.zeros((1, 4), "float32")
model = Sequential([Dense(2, input_shape=(4,))])
model.compile(optimizer="sgd", loss="mse")


def seconds(ask):
    ask(row)
    began = time.process_time()
    for _ in range(50):
        ask(row)
    return time.process_time() - began


print("milliseconds", 20 * seconds(model.predict))
print("ratio", seconds(model.predict) / seconds(model.predict_on_batch))
