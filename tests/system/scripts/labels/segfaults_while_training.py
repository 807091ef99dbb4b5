import ctypes

from line import keras, line

model, x, y = line()
crash = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 1 and ctypes.string_at(0))
model.fit(x, y, epochs=4, verbose=0, callbacks=[crash])
