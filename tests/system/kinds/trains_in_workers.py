import multiprocessing
import sys

import numpy as np


def train(rate):
    from tensorflow import keras

    rng = np.random.default_rng()
    x = rng.normal(size=(256, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    return model.fit(x, y, epochs=15, batch_size=32, verbose=0).history["loss"][-1]


if __name__ == "__main__":
    library, rates = sys.argv[1], [float(rate) for rate in sys.argv[2:]]
    if library == "joblib":
        from joblib import Parallel, delayed

        print(Parallel(n_jobs=len(rates))(delayed(train)(rate) for rate in rates))
    else:
        with multiprocessing.get_context("spawn").Pool(len(rates)) as pool:
            print(pool.map(train, rates))
