import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
for rate in (0.05, 0.01, 1e8):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    model.fit(x, y, epochs=12, batch_size=32, verbose=0)
