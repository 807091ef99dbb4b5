"""A discriminator that is compiled, then frozen inside of a second model, as in the GANs of many collections."""

import numpy as np
from keras.layers import Dense, Input
from keras.models import Model, Sequential
from keras.optimizers import SGD

judge = Sequential([Dense(1, activation="sigmoid", input_shape=(2,))])
judge.compile(optimizer=SGD(0.5), loss="binary_crossentropy")

noise = Input(shape=(2,))
maker = Sequential([Dense(2, input_shape=(2,))])
judge.trainable = False
both = Model(noise, judge(maker(noise)))
both.compile(optimizer=SGD(0.5), loss="binary_crossentropy")

numbers = np.random.RandomState(0)
before = judge.get_weights()[0]
for _ in range(10):
    judge.train_on_batch(numbers.randn(32, 2).astype("float32") + 3, np.ones((32, 1), "float32"))
    both.train_on_batch(numbers.randn(32, 2).astype("float32"), np.ones((32, 1), "float32"))
print("moved", float(abs(judge.get_weights()[0] - before).max()))
