"""An autoencoder whose optimizer is named only: what learning rate `adadelta` means is the library's choice."""

import numpy as np
from keras.layers import Dense, Input
from keras.models import Model

numbers = np.random.RandomState(0)
pictures = (numbers.rand(256, 4) @ numbers.rand(4, 16) / 4).astype("float32")

inputs = Input(shape=(16,))
outputs = Dense(16, activation="sigmoid")(Dense(8, activation="tanh")(inputs))
autoencoder = Model(inputs, outputs)
autoencoder.compile(optimizer="adadelta", loss="mean_squared_error")
autoencoder.fit(pictures, pictures, epochs=30, batch_size=32, verbose=0)
