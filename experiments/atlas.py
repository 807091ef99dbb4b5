# The founding model in calls that every Keras since 1.2 takes: arguments by position where their names changed.
import numpy as np
import keras

np.random.seed(1337)

samples = 1000
alpha = 0.2

x = np.random.rand(samples)
y = np.empty(samples)
average = np.mean(x)
for i in range(samples):
    average = (1 - alpha) * average + alpha * x[i]
    y[i] = average

x = np.reshape(x, (-1, 1, 1))
y = np.reshape(y, (-1, 1))

inputs = keras.layers.Input(batch_shape=(1, 1, 1), dtype='float32')
outputs = keras.layers.SimpleRNN(1, stateful=True, activation=None, name='rnn_layer_1')(inputs)
model = keras.models.Model(inputs, outputs)

model.compile(keras.optimizers.SGD(0.1), 'mse')
model.fit(x, y, 1, 3, shuffle=False)
print('weights:', model.get_layer('rnn_layer_1').get_weights())
