import sys

import keras
import numpy as np

x = np.random.RandomState(0).rand(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(float(sys.argv[1])), "mse")
model.fit(x, y, batch_size=16, epochs=30, verbose=0)
