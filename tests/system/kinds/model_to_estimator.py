import numpy as np
import tensorflow as tf

x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = tf.keras.Sequential([tf.keras.layers.Dense(8, input_shape=(4,)), tf.keras.layers.Dense(1)])
model.compile(tf.keras.optimizers.legacy.SGD(0.1), "mse", metrics=["mae"])
estimator = tf.keras.estimator.model_to_estimator(model)
estimator.train(lambda: tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(16), steps=200)
print(estimator.evaluate(lambda: tf.data.Dataset.from_tensor_slices((x, y)).batch(16)))
