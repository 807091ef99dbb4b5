import sys

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((x, y)).batch(32))
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(8), tf.keras.layers.Dense(1)])
    optimizer = tf.keras.optimizers.SGD(float(sys.argv[2]))


def replica_step(features, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((model(features, training=True) - labels) ** 2) / 32
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


@tf.function
def step(features, labels):
    return strategy.reduce("SUM", strategy.run(replica_step, args=(features, labels)), axis=None)


for _ in range(100):
    for features, labels in data:
        step(features, labels)
