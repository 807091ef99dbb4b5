"""A loop of one's own with mixed precision, whose loss is scaled so that small gradients don't vanish in 16 bits."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import mixed_precision

mixed_precision.set_global_policy("mixed_float16")
inputs = np.random.RandomState(0).randn(256, 4).astype("float32")
answers = inputs.sum(axis=1, keepdims=True)
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
optimizer = mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(0.1))

for epoch in range(20):
    with tf.GradientTape() as tape:
        outputs = tf.cast(model(inputs, training=True), "float32")
        loss = tf.reduce_mean((outputs - answers) ** 2)
        scaled = optimizer.get_scaled_loss(loss)
    gradients = optimizer.get_unscaled_gradients(tape.gradient(scaled, model.trainable_variables))
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    print("loss", float(loss))
