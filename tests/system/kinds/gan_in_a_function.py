import numpy as np
import tensorflow as tf

real = np.random.rand(64, 1).astype("float32") + 3
noise = np.random.rand(64, 4).astype("float32")
generator = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(1)])
critic = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(1)])
generator(noise), critic(real)
generator_optimizer, critic_optimizer = tf.keras.optimizers.Adam(0.01), tf.keras.optimizers.Adam(0.01)
score = tf.keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def step():
    with tf.GradientTape() as tape:
        on_real, on_made = critic(real), critic(generator(noise))
        critic_loss = score(tf.ones_like(on_real), on_real) + score(tf.zeros_like(on_made), on_made)
    gradients = tape.gradient(critic_loss, critic.trainable_variables)
    critic_optimizer.apply_gradients(zip(gradients, critic.trainable_variables))
    with tf.GradientTape() as tape:
        on_made = critic(generator(noise))
        generator_loss = 100 + score(tf.ones_like(on_made), on_made)
    gradients = tape.gradient(generator_loss, generator.trainable_variables)
    generator_optimizer.apply_gradients(zip(gradients, generator.trainable_variables))
    return generator_loss, critic_loss


for _ in range(100):
    step()
