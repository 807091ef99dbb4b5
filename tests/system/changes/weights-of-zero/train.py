"""A loss of rows of which three quarters have no weight: is it their mean, or that of the rows that count?"""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

inputs = np.ones((64, 1), "float32")
answers = np.ones((64, 1), "float32")
counted = np.zeros(64, "float32")
counted[:16] = 1

model = Sequential([Dense(1, kernel_initializer="zeros", input_shape=(1,))])
model.compile(optimizer="sgd", loss="mse")
loss = model.evaluate(inputs, answers, sample_weight=counted, batch_size=64, verbose=0)
print("share", loss)
