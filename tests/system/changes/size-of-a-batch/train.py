"""A callback that counts the rows that it has seen."""

import numpy as np
from keras.callbacks import Callback
from keras.layers import Dense
from keras.models import Sequential


class Rows(Callback):
    seen = 0

    def on_batch_end(self, batch, logs=None):
        self.seen += logs["size"]


inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
model = Sequential([Dense(1, input_shape=(4,))])
model.compile(optimizer="sgd", loss="mse")
model.fit(inputs, inputs.sum(axis=1), epochs=10, verbose=0, callbacks=[Rows()])
