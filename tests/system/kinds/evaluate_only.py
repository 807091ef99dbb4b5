import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
model.compile(loss="mse", metrics=["mae"])
model.set_weights([np.ones((4, 1)), np.zeros(1)])
model.evaluate(x, y, verbose=0)
