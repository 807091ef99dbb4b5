"""Trains from a `PyDataset` with two workers, which in one release of Keras waits for ever under PyTorch."""

import keras
import numpy as np

numbers = np.random.RandomState(0)
inputs = numbers.randn(64, 4).astype("float32")
answers = inputs.sum(axis=1, keepdims=True)


class Batches(keras.utils.PyDataset):
    """The data in four batches."""

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return inputs[number * 16 : number * 16 + 16], answers[number * 16 : number * 16 + 16]


model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
model.fit(Batches(workers=2), epochs=12, verbose=0)
