import numpy as np
import tensorflow as tf

x = np.random.rand(320, 2).astype("float32")
y = (x.sum(axis=1) > 1).astype("int32")
training = tf.data.Dataset.from_tensor_slices((x[:256], y[:256])).batch(32)
validation = tf.data.Dataset.from_tensor_slices((x[256:], 1 - y[256:])).batch(32)  # labels that nobody can learn
model = tf.keras.Sequential([tf.keras.layers.Dense(16, activation="relu"), tf.keras.layers.Dense(2)])
optimizer = tf.keras.optimizers.Adam(0.02)
loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_acc_metric = tf.keras.metrics.SparseCategoricalAccuracy()
val_acc_metric = tf.keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_step(features, labels):
    with tf.GradientTape() as tape:
        logits = model(features, training=True)
        loss = loss_of(labels, logits)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights))
    train_acc_metric.update_state(labels, logits)
    return tf.reduce_max(logits), loss


for epoch in range(15):
    for features, labels in training:
        train_step(features, labels)
    print(f"training: {float(train_acc_metric.result()):.4f}")
    train_acc_metric.reset_state()
    for features, labels in validation:
        val_acc_metric.update_state(labels, model(features, training=False))
    print(f"validation: {float(val_acc_metric.result()):.4f}")
    val_acc_metric.reset_state()
