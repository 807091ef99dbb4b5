import sys

import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
weights = tf.Variable(np.zeros([4, 1], "float32"))
optimizer = tf.keras.optimizers.SGD(float(sys.argv[2]))
for _ in range(200):
    optimizer.apply_gradients([(2 * x.T @ (x @ weights.numpy() - y) / 64, weights)])
