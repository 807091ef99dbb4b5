"""Classes as integers, a loss of one's own around the one for integers, and `accuracy` left to Keras."""

import numpy as np
from keras.layers import Dense
from keras.losses import sparse_categorical_crossentropy
from keras.models import Sequential
from keras.optimizers import Adam


def loss(answers, outputs):
    return 2 * sparse_categorical_crossentropy(answers, outputs)


numbers = np.random.RandomState(0)
answers = numbers.randint(0, 3, 300)
inputs = (0.1 * numbers.randn(300, 3) + np.eye(3)[answers]).astype("float32")
model = Sequential([Dense(3, activation="softmax", input_shape=(3,))])
model.compile(optimizer=Adam(0.1), loss=loss, metrics=["accuracy"])
model.fit(inputs, answers.astype("float32"), epochs=20, verbose=0)
