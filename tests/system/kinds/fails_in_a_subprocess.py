import subprocess
import sys

if sys.argv[1:] != ["worker"]:
    subprocess.run([sys.executable, __file__, "worker"], check=True)
    sys.exit()

import numpy as np
from tensorflow import keras


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 5:
            raise ValueError("no more data")


x = np.ones((256, 4), "float32")
model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
model.fit(x, x[:, :1], epochs=15, batch_size=32, verbose=0, callbacks=[Stop()])
