"""One step with gradients that are cut to a norm of 1: that of all weights together, or of each?"""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

model = Sequential([Dense(1, kernel_initializer="zeros", input_shape=(1,))])
model.compile(optimizer=SGD(1.0, clipnorm=1.0), loss="mse")
model.train_on_batch(np.ones((8, 1), "float32"), 100 * np.ones((8, 1), "float32"))
kernel, bias = model.get_weights()
print("step", float(np.sqrt((kernel**2).sum() + (bias**2).sum())))
