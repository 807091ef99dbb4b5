"""Process time of checking a script of 500 lines against 100 cells, after start-up: reading it, and each look-up.

The script is a model of every kind of use, repeated until it has 500 lines; the cells are pairs of releases from the
shipped histories, all of them distinct, so that nothing is remembered from another cell.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

from runner.changes.known import known_changes
from runner.check.checker import Checker
from runner.check.stacks import histories_in, installed
from runner.scripts.script import read_script

HEAD = """\
import numpy as np
import tensorflow as tf
from keras.layers import Dense, Dropout, LSTM
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import np_utils
"""
PART = """\


def build_{n}(width):
    model = Sequential()
    model.add(LSTM(width, batch_input_shape=(4, 10, 2), stateful=True))
    model.add(Dropout(0.2))
    model.add(Dense(width, activation="relu"))
    model.add(Dense(2, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, decay=1e-6), metrics=["accuracy"])
    return model


x_{n} = np.random.rand(40, 10, 2).astype(np.float32)
y_{n} = np_utils.to_categorical(np.arange(40) % 2, 2)
model_{n} = build_{n}(8)
history_{n} = model_{n}.fit(x_{n}, y_{n}, epochs=1, batch_size=4, verbose=0)
print(history_{n}.history["acc"], model_{n}.predict_classes(x_{n}, batch_size=4))
other_{n} = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(2)])
other_{n}.compile("adadelta", tf.keras.losses.MeanSquaredError())
print(other_{n}.fit(x_{n}, y_{n}).history["loss"])


def split_{n}(rows, share):
    # the first part of the rows, and the rest
    first = int(len(rows) * share)
    if first == 0:
        raise ValueError("nothing is left to train on")
    return rows[:first], rows[first:]


def report_{n}(title, values):
    # a line for each value
    print(title)
    for number, value in enumerate(values):
        line = "%d: %s" % (number, value)
        if len(line) > 80:
            line = line[:79] + "…"
        print(line)


report_{n}("shares", [share / 10.0 for share in range(10)])
train_{n}, test_{n} = split_{n}(list(range(40)), 0.8)
assert len(train_{n}) + len(test_{n}) == 40
"""
LINES = 500
CELLS = 100


def main() -> None:
    histories = histories_in()
    tensorflow, keras = histories("tensorflow"), histories("keras")
    if tensorflow is None or keras is None:
        raise SystemExit("There is no history of tensorflow and keras here.")
    text = HEAD
    for n in itertools.count():
        if text.count("\n") >= LINES:
            break
        text += PART.format(n=n)
    pairs = list(itertools.islice(itertools.product(tensorflow.releases, keras.releases), CELLS))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.py").write_text(text)
        script = read_script(Path(folder), "train.py")
        known = known_changes()
        start = time.process_time()
        checker = Checker(script, histories, known)
        read = time.process_time()
        before = installed({"tensorflow": str(tensorflow.releases[0])}, script.imports, histories)
        found = 0
        for one, other in pairs:
            after = installed({"tensorflow": str(one), "keras": str(other)}, script.imports, histories)
            found += len(checker.findings(before, after))
        end = time.process_time()
    print(f"{text.count(chr(10))} lines, {len(pairs)} distinct pairs of releases, {found} findings (process time):")
    print(f"read and resolved once  {read - start:.2f} s")
    print(f"looked up               {end - read:.2f} s, {1000 * (end - read) / len(pairs):.1f} ms a cell")
    print(f"together                {end - start:.2f} s")


if __name__ == "__main__":
    main()
