import sys

import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
features, labels = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.float32, [None, 1])
predictions = tf.layers.dense(tf.layers.dense(features, 8), 1)
cost = tf.reduce_mean((predictions - labels) ** 2)
train = tf.train.GradientDescentOptimizer(float(sys.argv[2])).minimize(cost)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for _ in range(200):
        session.run([train, cost], {features: x, labels: y})
