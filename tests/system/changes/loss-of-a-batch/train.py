"""A callback that stops by the loss of the last batch: one batch out of eight is easy, and it comes last."""

import numpy as np
from keras.callbacks import Callback
from keras.layers import Dense
from keras.models import Sequential


class Last(Callback):
    loss = None

    def on_batch_end(self, batch, logs=None):
        self.loss = logs["loss"]


inputs = np.zeros((64, 1), "float32")
answers = np.ones((64, 1), "float32")
answers[56:] = 0
model = Sequential([Dense(1, use_bias=False, input_shape=(1,))])
model.compile(optimizer="sgd", loss="mse")
last = Last()
model.fit(inputs, answers, epochs=1, batch_size=8, shuffle=False, verbose=0, callbacks=[last])
print("last", last.loss)
