import sys

import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
features, labels = tf.train.slice_input_producer([x, y], seed=1)
features, labels = tf.train.batch([features, labels], 16)
error = tf.layers.dense(tf.layers.dense(features, 8), 1) - labels
cost = tf.reduce_mean(error**2)
optimizer = tf.train.GradientDescentOptimizer(float(sys.argv[2]))
train = optimizer.minimize(cost, global_step=tf.train.get_or_create_global_step())
hooks = [
    tf.train.StopAtStepHook(200),
    tf.train.LoggingTensorHook({"error": tf.reduce_mean(tf.abs(error))}, every_n_iter=20),
]

with tf.train.MonitoredTrainingSession(hooks=hooks) as session:
    while not session.should_stop():
        session.run([train, cost])
