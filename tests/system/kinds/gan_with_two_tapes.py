import numpy as np
import tensorflow as tf

real = np.random.rand(64, 1).astype("float32") + 3
noise = np.random.rand(64, 4).astype("float32")
generator = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(1)])
critic = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(1)])
generator_optimizer, critic_optimizer = tf.keras.optimizers.Adam(0.01), tf.keras.optimizers.Adam(0.01)
score = tf.keras.losses.BinaryCrossentropy(from_logits=True)

for _ in range(100):
    with tf.GradientTape() as one, tf.GradientTape() as other:
        made = generator(noise, training=True)
        on_real, on_made = critic(real, training=True), critic(made, training=True)
        generator_loss = score(tf.ones_like(on_made), on_made)
        critic_loss = score(tf.ones_like(on_real), on_real) + score(tf.zeros_like(on_made), on_made)
    gradients = one.gradient(generator_loss, generator.trainable_variables)
    critic_gradients = other.gradient(critic_loss, critic.trainable_variables)
    generator_optimizer.apply_gradients(zip(gradients, generator.trainable_variables))
    critic_optimizer.apply_gradients(zip(critic_gradients, critic.trainable_variables))
