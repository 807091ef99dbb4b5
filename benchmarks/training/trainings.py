"""Trains what it is told, one JSON object a line on standard input; the losses come back as JSON lines, one a training.

Runs inside of the environment of `matrix.yaml` beside it: TensorFlow, Keras 3 and scikit-learn.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn import datasets

BATCH = 64
SAMPLES = 640
MODELS = {
    "linear": list,
    "mlp": lambda: [layers.Dense(32, activation="relu")],
    "mlp-dropout": lambda: [layers.Dense(64, activation="relu"), layers.Dropout(0.5)],
    "deep-tanh": lambda: [layers.Dense(16, activation="tanh") for _ in range(6)],
    "deep-sigmoid": lambda: [layers.Dense(16, activation="sigmoid") for _ in range(5)],
    "deep-relu-narrow": lambda: [layers.Dense(4, activation="relu") for _ in range(8)],
    "batch-norm": lambda: [layers.Dense(32, use_bias=False), layers.BatchNormalization(), layers.ReLU()],
    "convolution": lambda: [layers.Reshape((-1, 1)), layers.Conv1D(8, 3, activation="relu"), layers.Flatten()],
}
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
}


def main() -> None:
    tf.config.experimental.enable_op_determinism()
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps({**told, "losses": losses(**told)}), flush=True)


def losses(
    *, number: int, data: str, scaled: bool, model: str, optimizer: str, learning_rate: float, epochs: int
) -> list[str]:
    """The loss after each epoch, as text: NaN and infinity survive."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(number)
    x, y, classes = load(data, scaled=scaled)
    made = keras.Sequential([keras.Input(x.shape[1:]), *MODELS[model](), last(classes)])
    made.compile(OPTIMIZERS[optimizer](learning_rate), "sparse_categorical_crossentropy" if classes else "mse")
    history = made.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0).history["loss"]
    return [f"{float(loss):.7g}" for loss in history]


def load(name: str, *, scaled: bool) -> tuple[Any, Any, int]:
    """Inputs, targets and the number of classes (0: a regression), of at most SAMPLES examples."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:SAMPLES]
    x, y = x[order].astype("float32"), y[order]
    if scaled:
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    if name == "diabetes":
        return x, ((y - y.mean()) / y.std()).astype("float32"), 0
    return x, y.astype("int32"), int(y.max()) + 1


def last(classes: int) -> Any:
    return layers.Dense(classes, activation="softmax") if classes else layers.Dense(1)


if __name__ == "__main__":
    main()
