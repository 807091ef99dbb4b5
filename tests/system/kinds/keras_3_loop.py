import sys

import keras
import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
model.build((None, 4))
optimizer = keras.optimizers.SGD(float(sys.argv[2]))
optimizer.build(model.trainable_variables)
mean = keras.metrics.Mean(name="epoch_loss")


@tf.function
def step(features, labels):
    with tf.GradientTape() as tape:
        loss = keras.ops.mean((model(features, training=True) - labels) ** 2)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for _ in range(40):
    for first in range(0, 64, 16):
        mean.update_state(step(x[first : first + 16], y[first : first + 16]))
    print(float(mean.result()))
    mean.reset_state()
