import sys

import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)


def model(features, labels, mode):
    predictions = tf.layers.dense(tf.layers.dense(features, 8), 1)
    loss = tf.reduce_mean((predictions - labels) ** 2)
    optimizer = tf.train.GradientDescentOptimizer(float(sys.argv[2]))
    train = optimizer.minimize(loss, global_step=tf.train.get_global_step())
    metrics = {"mae": tf.metrics.mean_absolute_error(labels, predictions)}
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train, eval_metric_ops=metrics)


def training():
    return tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(16)


def test():
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


estimator = tf.estimator.Estimator(model)
for _ in range(5):
    estimator.train(training, steps=40)
    estimator.evaluate(test)
