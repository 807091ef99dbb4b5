import numpy as np
import tensorflow as tf

rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
weights = np.zeros((4, 1), "float32")
with tf.summary.create_file_writer("logs/train").as_default():
    for epoch in range(15):
        error = x @ weights - y
        weights -= 0.3 * x.T @ error / len(x)
        tf.summary.scalar("error", np.mean(error**2), step=epoch)
