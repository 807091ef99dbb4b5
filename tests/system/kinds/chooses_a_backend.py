import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(float(sys.argv[1])), loss="mse", metrics=["mae"])
model.fit(x, y, epochs=20, batch_size=32, verbose=0)
print(keras.backend.backend(), model.evaluate(x, y, verbose=0))
