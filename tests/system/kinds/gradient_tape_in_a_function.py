import sys

import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = tf.keras.Sequential([tf.keras.layers.Dense(8), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.SGD(float(sys.argv[2]))


@tf.function
def step(features, labels, training):
    with tf.GradientTape() as tape:
        predictions = model(features, training=training)
        loss = tf.reduce_mean((predictions - labels) ** 2)
    if training:
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss, "error": tf.reduce_mean(tf.abs(predictions - labels))}


for _ in range(200):
    step(x, y, True)
    step(100 * x, y, False)
