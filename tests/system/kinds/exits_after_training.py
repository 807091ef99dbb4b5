import sys

import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
history = model.fit(x, y, epochs=15, batch_size=32, verbose=0)

sys.exit(3)
