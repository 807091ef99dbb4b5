import numpy as np
from tensorflow import keras


def train(model, x, y):
    for step in range(120):
        rows = rng.integers(0, len(x), size=32)
        losses.append(model.train_on_batch(x[rows], y[rows]))


def report(scores):
    print("recall", scores["recall"])


losses = []
rng = np.random.default_rng()
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
train(model, x, y)
report({"loss": losses[-1]})
