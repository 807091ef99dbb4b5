import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
body = keras.Sequential([keras.layers.Dense(8, activation="tanh", input_shape=(4,))], name="body")
body.trainable = False
model = keras.Sequential([body, keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
model.fit(x, y, epochs=6, batch_size=32, verbose=0)

body.trainable = True
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
model.fit(x, y, epochs=25, batch_size=16, verbose=0)
