"""A loop over batches that prints the loss of the last one; it is the only easy one."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

inputs = np.zeros((8, 1), "float32")
model = Sequential([Dense(1, use_bias=False, input_shape=(1,))])
model.compile(optimizer="sgd", loss="mse")
for answer in (1, 1, 1, 0):
    loss = model.train_on_batch(inputs, answer * np.ones((8, 1), "float32"))
print("last", loss)
