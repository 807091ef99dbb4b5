# What several of the scripts train: a straight line in TensorFlow's Keras.
import numpy as np
from tensorflow import keras

np.random.seed(1)
x = np.random.uniform(-1, 1, (64, 1))
y = 2 * x + 1


def line(learning_rate=0.3, noise=0.0):
    model = keras.models.Sequential([keras.layers.Dense(1, input_shape=(1,), kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model, x, y + noise * np.random.randn(64, 1)
