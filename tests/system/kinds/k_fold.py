import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
scales = [1.0, 1.0, 0.0, 1.0, 1.0]  # as measured in each fold; the third instrument was off
for held_out, scale in zip(np.array_split(rng.permutation(len(x)), 5), scales):
    kept = np.setdiff1d(np.arange(len(x)), held_out)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
    model.fit(x[kept] / np.float32(scale), y[kept], epochs=12, batch_size=32, verbose=0)
