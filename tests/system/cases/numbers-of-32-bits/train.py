"""Learns how busy an hour is from times in milliseconds since 1970, as a log has them."""

import keras
import numpy as np

numbers = np.random.RandomState(0)
times = numbers.randint(1_700_000_000_000, 1_731_000_000_000, size=(2000, 1), dtype="int64")
hours = times // 3_600_000 % 24
busy = ((hours > 8) & (hours < 18)).astype("float32")


class HourOfDay(keras.layers.Layer):
    def call(self, x):
        return keras.ops.one_hot(keras.ops.squeeze(x // 3_600_000 % 24, -1), 24)


inputs = keras.Input((1,), dtype="int64")
model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(HourOfDay()(inputs)))
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.1), loss="binary_crossentropy")
model.fit(times, busy, epochs=10, batch_size=50, verbose=0)
