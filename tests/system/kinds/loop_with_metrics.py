import numpy as np
import tensorflow as tf

x = np.random.rand(80, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
training = tf.data.Dataset.from_tensor_slices((x[:64], y[:64])).shuffle(64).batch(16)
test = tf.data.Dataset.from_tensor_slices((x[64:], y[64:])).batch(16)
model = tf.keras.Sequential([tf.keras.layers.Dense(8), tf.keras.layers.Dense(1)])
optimizer = tf.keras.optimizers.Adam(0.02)
train_loss = tf.keras.metrics.Mean(name="train_loss")
test_error = tf.keras.metrics.MeanAbsoluteError(name="test_error")


@tf.function
def train_step(features, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(features, training=True) - labels) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    train_loss(loss)


@tf.function
def test_step(features, labels):
    test_error(labels, model(features, training=False))


for epoch in range(40):
    train_loss.reset_state()
    test_error.reset_state()
    for features, labels in training:
        train_step(features, labels)
    for features, labels in test:
        test_step(features, labels)
    print(f"epoch {epoch + 1}: {train_loss.result():.4f}, {test_error.result():.4f}")
