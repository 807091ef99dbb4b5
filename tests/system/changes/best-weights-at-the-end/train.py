"""EarlyStopping that restores the best weights, in a training that gets worse and ends before patience does."""

import numpy as np
from keras.callbacks import EarlyStopping
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

inputs = np.linspace(1, 2, 64, dtype="float32")[:, None]
model = Sequential([Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(1,))])
model.compile(optimizer=SGD(0.5), loss="mse")
stop = EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True)
model.fit(
    inputs, 1.3 * inputs, epochs=4, batch_size=64, validation_data=(inputs, 1.3 * inputs), verbose=0, callbacks=[stop]
)
model.evaluate(inputs, 1.3 * inputs, verbose=0)
