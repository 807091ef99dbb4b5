"""A small regression; with TF_USE_LEGACY_KERAS set, TensorFlow 2.16 wants a package that nobody installed."""

import numpy as np
import tensorflow as tf

numbers = np.random.RandomState(0)
inputs = numbers.randn(256, 8).astype("float32")
answers = inputs @ np.linspace(-1, 1, 8).astype("float32")[:, None]

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer=tf.keras.optimizers.SGD(learning_rate=0.1), loss="mse")
model.fit(inputs, answers, epochs=6, batch_size=32, verbose=0)
