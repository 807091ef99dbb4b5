import numpy as np
from tensorflow import keras

rng = np.random.default_rng()
generator = keras.Sequential([keras.layers.Dense(8, activation="tanh", input_shape=(2,)), keras.layers.Dense(1)], name="generator")
discriminator = keras.Sequential(
    [keras.layers.Dense(8, activation="tanh", input_shape=(1,)), keras.layers.Dense(1, activation="sigmoid")],
    name="discriminator",
)
discriminator.compile(optimizer=keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
discriminator.trainable = False
gan = keras.Sequential([generator, discriminator], name="gan")
gan.compile(optimizer=keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
for step in range(60):
    noise = rng.normal(size=(16, 2))
    real, fake = rng.normal(3, 1, size=(16, 1)), generator.predict_on_batch(noise)
    discriminator.train_on_batch(np.concatenate([real, fake]), np.repeat([[1.0], [0.0]], 16, axis=0))
    gan.train_on_batch(noise, np.ones((16, 1)))
