import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
weights, bias = tf.Variable(tf.zeros([4, 1])), tf.Variable(tf.zeros([1]))
for _ in range(200):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x @ weights + bias - y) ** 2)
    for variable, gradient in zip((weights, bias), tape.gradient(loss, [weights, bias])):
        variable.assign_sub(0.2 * gradient)
