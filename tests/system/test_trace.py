"""The tracer on real stacks: it is neutral, traces of different Keras align, the founding pair parts where it does.

With RUNNER_ALL_STACKS=1 its neutrality is shown on further stacks, which are installed for it.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from probe_stacks import CONTRIB, KERAS3, MORE_STACKS, TF1, TF2, TF_KERAS, Run, execute, stack
from test_probe_neutral import FOUNDING

from runner.investigate.call_difference import Stage, parse_calls
from runner.investigate.trace import Trace, parse_trace
from runner.investigate.trace_difference import Where, first_difference
from runner.preludes.prelude import (
    CALLS_FILE,
    INITIAL_FILE,
    TRACE_FILE,
    calls,
    fixed_order,
    initial_weights,
    lay_out,
    tracing,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


__all__ = ["stack"]

DENSE = """
import hashlib, json, random, sys
import numpy as np
flavour, seed, dropout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if flavour == "keras":
    import keras
elif flavour == "tf_keras":
    import tf_keras as keras
else:
    from tensorflow import keras
import tensorflow as tf
random.seed(seed)
np.random.seed(seed)
(tf.random.set_seed if hasattr(getattr(tf, "random", None), "set_seed") else tf.set_random_seed)(seed)
x = np.random.rand(64, 4)
y = x.sum(axis=1) > 2
layers = [keras.layers.Dense(80, activation="relu", input_shape=(4,)), keras.layers.Dense(1, activation="sigmoid")]
if dropout:
    layers[1:1] = [keras.layers.BatchNormalization(), keras.layers.Dropout(dropout)]
model = keras.models.Sequential(layers)
model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.25, verbose=0)
if dropout:
    model.train_on_batch(x[:8], y[:8])
weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
v1 = tf.compat.v1 if hasattr(tf, "compat") and hasattr(tf.compat, "v1") else tf
operations = [(op.name, op.type) for op in v1.get_default_graph().get_operations()]
print(json.dumps({
    "weights": weights,
    "history": {name: [float(value) for value in values] for name, values in history.history.items()},
    "graph": hashlib.sha256(repr(operations).encode()).hexdigest(),
    "random": [random.random(), np.random.rand()],
    "later": [float(value) for value in np.ravel(model.predict(x[:4]))],
}))
"""
UNBUILT = DENSE.replace(", input_shape=(4,)", "")
"""Its weights are made within the first step, by a run without the tracer."""
# As in test_probe_neutral.py: these environments do not fit in CI's share of time, `tox -e full` asks for them.
ONLY_ON_REQUEST = pytest.mark.skipif(
    os.environ.get("RUNNER_ALL_STACKS") != "1", reason="further stacks, with RUNNER_ALL_STACKS=1 only"
)
FURTHER = [
    (TF2, "keras"),
    (TF2, "tf.keras"),
    (CONTRIB, "keras"),
    (TF_KERAS, "tf_keras"),
    *((name, flavour) for name in MORE_STACKS for flavour in ("keras", "tf.keras")),
]


def traced(
    python: Path, folder: Path, script: str, *arguments: str, tools: tuple[...] = (), fit: int = 1, **env: str
) -> tuple[Run, Trace]:
    """A run with the tracer behind other tools, and its trace."""
    preludes = folder / "preludes"
    shutil.rmtree(preludes, ignore_errors=True)
    lay_out((*tools, tracing(20, fit)), preludes)
    run = execute(python, folder, script, *arguments, RUNNER_PRELUDES=str(preludes), RUNNER_SEED="99", **env)
    assert run.exit_code == 0, run.errors
    assert [told.error for told in run.channel.preludes.values() if not told.applied or told.error] == []
    assert len(run.channel.preludes) == len(tools) + 1
    return run, parse_trace((folder / TRACE_FILE).read_text())


@pytest.mark.parametrize(
    ("name", "flavour", "script"),
    [
        (TF1, "keras", FOUNDING),
        (TF1, "tf.keras", DENSE),
        (KERAS3, "keras", DENSE),
        (KERAS3, "keras", UNBUILT),
        (TF2, "tf.keras", UNBUILT),
        *(
            pytest.param(name, flavour, script, marks=ONLY_ON_REQUEST)
            for name, flavour in FURTHER
            for script in (FOUNDING, DENSE)
            if not (script is FOUNDING and name in {CONTRIB, TF_KERAS})
        ),
    ],
)
def test_a_traced_run_ends_bit_for_bit_as_one_without(
    name: str, flavour: str, script: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    bare = execute(stack(name), tmp_path, script, flavour, "3", "0.3", RUNNER_SEED="99")
    run, trace = traced(stack(name), tmp_path, script, flavour, "3", "0.3")
    assert run.result == bare.result
    assert trace.ended
    assert trace.notes == ()
    assert trace.initial is not None
    if script is FOUNDING:
        assert list(trace.steps) == [*range(1, 21), 32, 64, 128, 256]
        assert [state.role for state in trace.header.states] == ["state-1"]
        assert all(step.batch and step.outputs for step in trace.steps.values())
    else:
        assert list(trace.steps) == [*range(1, 20)], "three epochs of six batches, and one batch by itself"
        assert {slot.kind for slot in trace.slots} >= {"m", "v"}
        assert all(step.loss is not None and step.learning_rate for step in trace.steps.values())
        assert trace.steps[19].batch is not None


RESTORED = """
import json, sys
import numpy as np
if sys.argv[1] == "keras":
    import keras
else:
    from tensorflow import keras
x = np.random.RandomState(0).rand(64, 4).astype("float32")
y = x.sum(axis=1)
model = keras.models.Sequential([keras.layers.Dense(8, activation="relu", input_shape=(4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=9.0, restore_best_weights=True)
model.fit(x, y, epochs=5, validation_data=(x, y), callbacks=[stop], verbose=0)
def batches():
    while True:
        yield x[:8], y[:8]
fit = model.fit if sys.argv[2] == "fit" else model.fit_generator
fit(batches(), steps_per_epoch=2, epochs=1, verbose=0)
print(json.dumps({"loss": float(np.ravel(model.evaluate(x, y, verbose=0))[0]), "later": model.predict(x[:2]).tolist()}))
"""
"""Weights that a callback restores, a generator, and a second fit."""


@pytest.mark.parametrize(
    ("name", "flavour", "fit"), [(TF1, "keras", "generator"), (TF2, "tf.keras", "fit"), (KERAS3, "keras", "fit")]
)
def test_what_calls_are_given_do_and_return_is_seen_and_nothing_changes(
    name: str, flavour: str, fit: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    bare = execute(stack(name), tmp_path, RESTORED, flavour, fit, RUNNER_SEED="99")
    run, trace = traced(stack(name), tmp_path, RESTORED, flavour, fit, tools=(calls(),), fit=2)
    assert run.result == bare.result
    assert list(trace.steps) == [1, 2], "of the second fit alone"
    seen = {one.place: one for one in parse_calls((tmp_path / CALLS_FILE).read_text())}
    second = "fit 2: x" if fit == "fit" else "fit_generator 1: generator"
    for place, shape in (("fit 1: x", (64, 4)), ("fit 1: validation_data[1]", (64,)), (f"{second}, item 1[0]", (8, 4))):
        assert (seen[place].dtype, seen[place].shape) == ("float32", shape)
    assert seen["fit 1, after epoch 2: training was stopped"].kind is Stage.DID
    assert seen["fit 1, after epoch 2: set_weights"].text == "4 arrays"
    assert seen["fit 1: epochs"].number == 2
    assert seen["predict 1: returned"].shape == (2, 1)


def test_the_founding_pair_parts_at_the_first_update_of_the_recurrent_kernel(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    _, good = traced(stack(TF1), tmp_path, FOUNDING, "tf.keras", "3", tools=(fixed_order(),))
    given = initial_weights((tmp_path / INITIAL_FILE).read_text())
    _, bad = traced(stack(TF1), tmp_path, FOUNDING, "keras", "4", tools=(given, fixed_order()))
    found = first_difference(good, bad)
    assert (found.where, found.step) == (Where.STEP, 1), found.sentence()
    assert [(one.quantity.what, one.quantity.role) for one in found.differ] == [
        ("update", "recurrent_kernel"),
        ("momentum", "recurrent_kernel"),
    ]
    assert found.first is not None
    assert found.first.good == 0.0, "there is no state yet that the recurrent kernel could have multiplied"
    assert found.first.bad != 0.0
    assert found.sentence().startswith(
        "Step 1: learning rate, output and loss agree; the update of the recurrent kernel"
    )
    assert found.sentence().endswith("; all else agrees.")
    assert (found.only_good, found.only_bad) == ((), ())


def test_the_same_training_agrees_between_keras_2_and_keras_3(stack: Callable[[str], Path], tmp_path: Path) -> None:
    _, good = traced(stack(TF1), tmp_path, DENSE, "tf.keras", "3", "0", tools=(fixed_order(),))
    given = initial_weights((tmp_path / INITIAL_FILE).read_text())
    _, bad = traced(stack(KERAS3), tmp_path, DENSE, "keras", "3", "0", tools=(given, fixed_order()))
    found = first_difference(good, bad)
    assert found.where is Where.NOWHERE, found.sentence()
    assert (found.recorded, found.only_good, found.only_bad, found.remarks) == (18, (), (), ())


def test_weights_that_do_not_fit_are_refused_with_what_was_given(stack: Callable[[str], Path], tmp_path: Path) -> None:
    weight = {"role": "kernel", "shape": [1, 1], "dtype": "float32", "data": ""}
    given = json.dumps({"layers": [{"class": "Dense", "name": "dense", "weights": [weight]}]})
    lay_out((initial_weights(given),), tmp_path / "preludes")
    run = execute(stack(TF1), tmp_path, FOUNDING, "keras", "3", RUNNER_PRELUDES=str(tmp_path / "preludes"))
    (told,) = run.channel.preludes.values()
    assert not told.applied
    assert "no given layer fits SimpleRNN(kernel [1, 1], recurrent_kernel [1, 1], bias [1]): given are" in told.error
    assert told.error.endswith("Dense(kernel [1, 1])")
