import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)


def trained(rate):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    return model.fit(x, y, epochs=12, batch_size=32, verbose=0).history["loss"][-1]


loss = trained(1e8)
if not np.isfinite(loss):
    loss = trained(0.05)
