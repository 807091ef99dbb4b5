"""A nested model with BatchNormalization, frozen after a first fit, and a second fit on data of another scale."""

import keras
import numpy as np

rng = np.random.RandomState(0)
x = rng.randn(256, 8).astype("float32")
y = x[:, :1] * x[:, 1:2] + x[:, 2:3]
inner = keras.models.Sequential(
    [
        keras.layers.Dense(32, activation="relu", input_shape=(8,)),
        keras.layers.BatchNormalization(),
    ]
)
inner_input = keras.layers.Input((8,))
model = keras.models.Model(inner_input, keras.layers.Dense(1)(inner(inner_input)))
model.compile(keras.optimizers.SGD(0.01), "mse")
model.fit(x, y, epochs=2, verbose=0)
inner.trainable = False
model.compile(keras.optimizers.SGD(0.01), "mse")
shifted = 20 * x + 40
model.fit(shifted, y, epochs=30, batch_size=64, verbose=0)
