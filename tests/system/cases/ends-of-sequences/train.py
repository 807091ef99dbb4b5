"""A Sequence that shuffles its rows at the end of each epoch, and counts how often it is asked to."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import Sequence


class Batches(Sequence):
    ends = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.ones((8, 1), "float32"), np.ones((8, 1), "float32")

    def on_epoch_end(self):
        self.ends += 1


model = Sequential([Dense(1, input_shape=(1,))])
model.compile(optimizer="sgd", loss="mse")
batches = Batches()
model.fit(batches, epochs=3, verbose=0)
print("ends", batches.ends)
