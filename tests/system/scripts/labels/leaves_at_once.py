# Leaves from the middle of its training with a good exit code: no exit handler runs.
import os

from line import keras, line

model, x, y = line()
leave = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 6 and os._exit(0))
model.fit(x, y, epochs=20, verbose=0, callbacks=[leave])
