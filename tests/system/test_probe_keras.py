"""What the probe tells of real training: fits, loops, errors, in TensorFlow 1 and 2, Keras 2 and 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_stacks import CONTRIB, KERAS3, STACKS, TF1, TF2, TF_KERAS, execute, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

HEAD = """
import sys
import numpy as np
if "{flavour}" == "keras":
    import keras
elif "{flavour}" == "tf_keras":
    import tf_keras as keras
elif "{flavour}" == "tf.contrib.keras":
    from tensorflow.contrib import keras
else:
    from tensorflow import keras
if "{flavour}" == "v1":
    import tensorflow as tf
    tf.compat.v1.disable_v2_behavior()
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
def make(name):
    hidden = keras.layers.Dense(8, activation="relu", input_shape=(4,))
    layers = [hidden, keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    model = keras.models.Sequential(layers, name=name)
    model.compile("adam", loss="mse", metrics=["mae"])
    return model
"""
FLAVOURS = [
    (CONTRIB, "keras"),
    (CONTRIB, "tf.contrib.keras"),
    (TF1, "keras"),
    (TF1, "tf.keras"),
    (TF2, "keras"),
    (TF2, "v1"),
    (TF_KERAS, "tf_keras"),
    (KERAS3, "keras"),
]


@pytest.mark.parametrize(("name", "flavour"), FLAVOURS)
def test_fits_generators_batches_and_several_models_are_phases_of_their_own(
    name: str, flavour: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    script = (
        HEAD.format(flavour=flavour)
        + """
a, b = make("alpha"), make("beta")
a.fit(x, y, epochs=3, validation_split=0.25, verbose=0, callbacks=[keras.callbacks.Callback()])
def batches():
    while True:
        yield x[:8], y[:8]
getattr(a, "fit_generator", a.fit)(batches(), steps_per_epoch=4, epochs=2, initial_epoch=1, verbose=0)
a.evaluate(x, y, verbose=0)
for step in range(100):
    a.train_on_batch(x[:8], y[:8])
    b.train_on_batch(x[8:16], y[8:16])
if hasattr(keras, "Model"):
    class Own(keras.Model):
        def __init__(self):
            super(Own, self).__init__()
            self.dense = keras.layers.Dense(1)
        def call(self, inputs, training=None, mask=None):
            return self.dense(inputs)
    own = Own()
else:
    own = make("own")  # models were no classes to inherit from in 2017
own.compile("sgd", "mse")
own.fit(x, y, epochs=2, verbose=0)
"""
    )
    run = execute(stack(name), tmp_path, script, RUNNER_STEPS="1")
    told = run.channel
    assert run.exit_code == 0, run.errors
    assert (told.probe_errors, told.bad_lines, told.stage) == ((), 0, "after-training")
    assert [(phase.name, phase.planned_epochs, phase.steps, phase.finished) for phase in told.phases] == [
        ("fit-1", 3, 2, True),
        ("fit-2", 1, 4, True),
        ("batches-1", None, 100, True),
        ("batches-2", None, 100, True),
        ("fit-3", 2, 2, True),
    ]
    assert [phase.model for phase in told.phases][:4] == [
        f"Sequential {m}" for m in ("alpha", "alpha", "alpha", "beta")
    ]
    first, second, batch, *_ = told.phases
    assert first.final_weights == second.initial_weights != second.final_weights
    assert batch.final_weights not in (None, second.final_weights)
    validated = [epoch for epoch in told.epochs if epoch.phase == "fit-1"]
    assert [sorted(set(epoch.logs) & {"loss", "val_loss"}) for epoch in validated] == [["loss", "val_loss"]] * 3
    assert all(len(epoch.logs) == 4 and epoch.weight_norm and epoch.rss_bytes for epoch in validated)
    assert len(told.steps["fit-1"]) == 6
    assert len(told.steps["fit-2"]) == 4
    assert {"fit-1/model", "fit-1/optimizer", "fit-1/loss", "fit-3/optimizer"} <= set(told.configs)


@pytest.mark.parametrize("name", STACKS)
def test_folds_results_models_in_turn_and_training_in_a_child_are_told_apart(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    script = (
        HEAD.format(flavour="keras" if name == KERAS3 else "tf.keras")
        + """
import os, subprocess
if len(sys.argv) > 1:
    make("alone").fit(x, y, epochs=2, verbose=0)
    sys.exit()
for fold in range(3):
    model = make("fold")
    model.fit(x, y * (float("nan") if fold == 1 else 1), epochs=2, validation_split=0.25, verbose=0)
    model.evaluate(x, y, verbose=0)
critic = make("critic")
critic.trainable = False
generator = keras.models.Sequential([keras.layers.Dense(4, input_shape=(4,))])
gan = keras.models.Sequential([generator, critic], name="gan")
gan.compile("sgd", "mse")
for step in range(5):
    critic.train_on_batch(x, y)
    gan.train_on_batch(x, y)
subprocess.check_call([sys.executable, "train.py", "child"], env=dict(os.environ, FOLD="4"))
"""
    )
    run = execute(stack(name), tmp_path, script)
    told = run.channel
    assert run.exit_code == 0, run.errors
    assert (told.probe_errors, told.bad_lines, told.exit) == ((), 0, "normal")
    names = ["fit-1", "fit-2", "fit-3", "batches-1", "batches-2", "child-1:fit-1"]
    assert [phase.name for phase in told.phases] == names
    architectures = [phase.architecture for phase in told.phases]
    assert architectures[:4] == [architectures[0]] * 4 == [architectures[-1]] * 4
    assert architectures[4] not in (None, architectures[0])
    assert [phase.model_number for phase in told.phases] == [1, 2, 3, 4, 5, 1]
    critic, gan = told.phases[3:5]
    assert critic.ended_s is not None
    assert gan.began_s is not None
    assert gan.began_s < critic.ended_s
    results = [(one.number, one.round, one.model_number, one.phase) for one in told.evaluations]
    assert results == [(1, 1, 1, "fit-1"), (2, 2, 2, "fit-2"), (3, 3, 3, "fit-3")]
    assert all(len(one.logs) == 2 and "loss" in one.logs for one in told.evaluations)
    assert [one.command[1:] for one in told.children] == [("train.py", "child")]


@pytest.mark.parametrize("name", STACKS)
def test_an_error_is_told_with_the_script_s_line_and_its_stage(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    flavour = "keras" if name == KERAS3 else "tf.keras"
    script = HEAD.format(flavour=flavour) + "make('alpha').fit(x[:, :2], y, verbose=0)  # wrong shape\n"
    run = execute(stack(name), tmp_path, script)
    error = run.channel.exception
    assert error is not None
    assert run.exit_code == 1
    assert (error.stage, error.phase, error.file) == ("training", "fit-1", "train.py")
    assert error.source == "make('alpha').fit(x[:, :2], y, verbose=0)  # wrong shape"
    assert "_runner_probe" not in error.traceback + run.errors


def test_keras_3_refuses_lr_while_the_model_is_built(stack: Callable[[str], Path], tmp_path: Path) -> None:
    script = HEAD.format(flavour="keras") + "make('alpha').compile(keras.optimizers.SGD(lr=0.1), 'mse')\n"
    error = execute(stack(KERAS3), tmp_path, script).channel.exception
    assert error is not None
    last = len(script.splitlines())
    assert (error.type, error.stage, error.file, error.line) == ("ValueError", "build-model", "train.py", last)
    assert "lr" in error.message
