import numpy as np
from tensorflow import keras

np.random.seed(1337)

# Exponentially weighted moving average of a uniform series: what the network has to learn.
samples = 3000
alpha = 0.2


def ewma(x):
    avg = np.mean(x)
    out = []
    for sample in x:
        if np.isnan(sample) or sample == 0:
            sample = avg
        avg = (1 - alpha) * avg + alpha * sample
        out.append(avg)
    return np.array(out)


x = np.random.rand(samples)
y = ewma(x)

x = np.reshape(x, (-1, 1, 1))
y = np.reshape(y, (-1, 1))

model = keras.models.Sequential()
model.add(keras.layers.Input(batch_shape=(1, 1, 1), dtype='float32'))
model.add(keras.layers.SimpleRNN(1, stateful=True, activation=None, name='rnn_layer_1'))

model.compile(optimizer=keras.optimizers.SGD(lr=0.1), loss='mse')
model.summary()

rnn_layer = model.get_layer('rnn_layer_1')
print('weights before:', rnn_layer.get_weights())
model.fit(x, y, batch_size=1, epochs=10, shuffle=False)
print('weights after:', rnn_layer.get_weights())
