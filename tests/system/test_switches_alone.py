"""Switches that take a script of their own to be seen: in a loss, a gradient, what TensorFlow says of itself.

The others share scripts and processes in `test_switches.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from probe_stacks import JAX, KERAS3, SKLEARN, TF1, TF2, execute, stack
from test_switches import run_with

from runner.preludes.prelude import Prelude, catalogue, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

FROZEN_LATE = """
import json
import numpy as np
if "{flavour}" == "keras":
    import keras
else:
    from tensorflow import keras
x = np.random.RandomState(0).rand(16, 4) + 20
model = keras.models.Sequential([keras.layers.BatchNormalization(input_shape=(4,))])
model.layers[0].trainable = False
model.compile("sgd", "mse")
print(json.dumps({{"loss": float(model.fit(x, x, batch_size=8, epochs=1, verbose=0).history["loss"][0])}}))
"""
"""Frozen once it is part of a graph: moving statistics leave the numbers as they are, and the loss at 0."""


SMALL_BATCHES = """
import json
import numpy as np
import keras
x = 3 * np.random.RandomState(0).randn(4, 1, 1, 3).astype("float32")
layer = keras.layers.BatchNormalization(momentum=0.9)
model = keras.models.Sequential([layer, keras.layers.Flatten(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros((4, 1)), batch_size=2, epochs=2, verbose=0, shuffle=False)
print(json.dumps({"variance": [float(value) for value in layer.get_weights()[3]]}))
"""
"""Images of one pixel in pairs: a sample's variance is twice that of the batch."""


ZERO_VECTOR = """
import json
import keras
import tensorflow as tf
zero = tf.zeros((1, 3))
with tf.GradientTape() as tape:
    tape.watch(zero)
    unit = keras.ops.normalize(zero, axis=-1)
gradient = tape.gradient(unit, zero).numpy()
print(json.dumps({"unit": unit.numpy().tolist(), "gradient": [str(value) for value in gradient[0]]}))
"""
"""The unit vector of a vector of zeros."""


COMPILED = """
import json
import keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
print(json.dumps({"compiled": model.jit_compile}))
"""


@pytest.mark.parametrize("flavour", ["keras", "tf.keras"])
def test_a_layer_that_is_frozen_once_it_is_part_of_a_graph_infers_too(
    flavour: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    switch = Prelude(name="infers", source=catalogue()["frozen-batchnorm-infers"].source)
    script = FROZEN_LATE.format(flavour=flavour)
    losses = [run_with(preludes, stack(TF1), tmp_path, script).result["loss"] for preludes in ([], [switch])]
    assert losses[0] > 100
    assert losses[1] < 0.01


NESTED = """
import json
import numpy as np
import keras
x = np.random.RandomState(0).rand(64, 4) + 20
inner = keras.models.Sequential([keras.layers.BatchNormalization(input_shape=(4,))])
given = keras.layers.Input((4,))
model = keras.models.Model(given, inner(given))
model.compile("sgd", "mse")
model.fit(x, x, epochs=1, verbose=0)
inner.trainable = False
model.compile("sgd", "mse")
print(json.dumps({"loss": float(model.fit(x, x, batch_size=8, epochs=1, verbose=0).history["loss"][0])}))
"""
"""Frozen as a nested model, after a first fit: moving statistics, which hardly moved, leave the numbers nearly so."""


@pytest.mark.skipif(os.environ.get("RUNNER_ALL_STACKS") != "1", reason="a further stack, with RUNNER_ALL_STACKS=1 only")
@pytest.mark.parametrize("name", [TF1, "tensorflow-2.2.0+keras-2.3.1+py3.7"])
def test_layers_of_a_frozen_nested_model_of_native_keras_infer_too(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    switch = Prelude(name="infers", source=catalogue()["frozen-batchnorm-infers"].source)
    runs = [run_with(preludes, stack(name), tmp_path, NESTED) for preludes in ([], [switch])]
    assert runs[1].channel.preludes["infers"].applied
    plain, switched = (run.result["loss"] for run in runs)
    assert plain > 2 * switched


@pytest.mark.parametrize(("name", "is_compiled"), [(JAX, True), (KERAS3, False)])
def test_keras_3_trains_without_xla_where_it_would_use_it(
    name: str, is_compiled: bool, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    lay_out([Prelude(name="off", source=catalogue()["no-xla-jit"].source)], tmp_path / "with")
    (tmp_path / "without").mkdir()
    backend = "jax" if name == JAX else "tensorflow"
    plain, switched = (
        execute(stack(name), tmp_path, COMPILED, KERAS_BACKEND=backend, RUNNER_PRELUDES=str(tmp_path / folder))
        for folder in ("without", "with")
    )
    assert (plain.result, switched.result) == ({"compiled": is_compiled}, {"compiled": False}), switched.errors
    assert [one.applied for one in switched.channel.preludes.values()] == [True] * is_compiled


def test_onednn_is_turned_on_and_off(stack: Callable[[str], Path], tmp_path: Path) -> None:
    def says(before: str, *names: str) -> tuple[bool, bool]:
        """Whether TensorFlow says that oneDNN is on, and whether the switch was applied."""
        (folder := tmp_path / "-".join([before, *names])).mkdir()
        lay_out([Prelude(name=name, source=catalogue()[name].source) for name in names], folder / "preludes")
        settings = {"RUNNER_PRELUDES": str(folder / "preludes"), "TF_CPP_MIN_LOG_LEVEL": "0"}
        run = execute(stack(TF2), folder, "import tensorflow", TF_ENABLE_ONEDNN_OPTS=before, **settings)
        assert run.exit_code == 0, run.errors
        told = run.channel.preludes
        return "oneDNN custom operations are on" in run.errors, all(
            name in told and told[name].applied for name in names
        )

    assert (says("0"), says("0", "onednn-on"), says("1", "onednn-on")) == ((False, True), (True, True), (True, False))
    assert (says("1"), says("1", "onednn-off"), says("0", "onednn-off")) == (
        (True, True),
        (False, True),
        (False, False),
    )


@pytest.mark.parametrize(
    ("name", "switch", "script"),
    [
        (
            SKLEARN,
            "numpy-legacy-promotion",
            "import numpy as np; seen = str((np.ones(2, 'float32') + np.float64(3)).dtype), 'float64', 'float32'",
        ),
        (
            JAX,
            "jax-threefry-partitionable",
            "import jax; x = jax.random.uniform(jax.random.key(0), (3, 3)); seen = f'{x[1,1]:.4f}', '0.6735', '0.5699'",
        ),
    ],
)
def test_a_switch_of_numpy_or_jax_changes_what_it_is_for(
    name: str, switch: str, script: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    preludes = [Prelude(name=switch, source=catalogue()[switch].source)]
    told = f"{script}\nimport json; print(json.dumps(dict(zip(['seen', 'before', 'after'], seen))))"
    plain, switched = (run_with(made, stack(name), tmp_path, told) for made in ([], preludes))
    assert (plain.exit_code, switched.exit_code) == (0, 0), plain.errors + switched.errors
    assert plain.result["seen"] == plain.result["before"]
    assert switched.result["seen"] == switched.result["after"]
    assert switched.channel.preludes[switch].applied


def test_keras_3_keeps_the_variance_that_keras_2_kept(stack: Callable[[str], Path], tmp_path: Path) -> None:
    switch = Prelude(name="sample", source=catalogue()["normalization-sample-variance"].source)
    two, three, switched = (
        run_with(preludes, stack(name), tmp_path, SMALL_BATCHES).result["variance"]
        for name, preludes in ((TF2, []), (KERAS3, []), (KERAS3, [switch]))
    )
    assert switched == pytest.approx(two, rel=1e-5)
    assert three != pytest.approx(two, rel=0.1)


def test_the_gradient_of_a_zero_vectors_unit_vector_is_undefined_where_its_root_sees_0(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    def gradient(*names: str) -> list[str]:
        preludes = [Prelude(name=name, source=catalogue()[name].source) for name in names]
        run = run_with(preludes, stack(KERAS3), tmp_path, ZERO_VECTOR)
        assert all(run.channel.preludes[name].applied for name in names)
        assert run.result["unit"] == [[0.0, 0.0, 0.0]]
        return list(run.result["gradient"])

    assert gradient() == ["10000000.0"] * 3
    assert gradient("unguarded-unit-length") == ["nan"] * 3
    (tmp_path / "preludes" / "00-unguarded-unit-length.py").unlink()
    assert gradient("guarded-unit-length") == ["10000000.0"] * 3
