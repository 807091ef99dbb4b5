"""Two models that are made after the same seed was set; they should begin alike."""

import tensorflow as tf
from keras.layers import Dense
from keras.models import Sequential


def kernel():
    tf.random.set_seed(1)
    model = Sequential([Dense(4, input_shape=(3,))])
    return model.get_weights()[0]


print("difference", abs(kernel() - kernel()).max())
