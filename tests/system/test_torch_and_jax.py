"""PyTorch, JAX and scikit-learn in a real environment: what switches change there, and what the tracer sees.

The trace of Keras on JAX and on PyTorch is held against that on TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from probe_stacks import KERAS3, TORCH_AND_JAX, execute, stack
from test_switches import run_with
from test_trace import traced

from runner.investigate.trace_difference import Where, first_difference
from runner.preludes.defaults import Default, explicit
from runner.preludes.prelude import INITIAL_FILE, Prelude, catalogue, fixed_order, initial_weights, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.investigate.trace import Trace

pytestmark = [pytest.mark.slow, pytest.mark.torch]

__all__ = ["stack"]

LOOKS = """
import json, os
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "2")
seen, looked = {}, []

import torch
model = torch.nn.Linear(2, 1)
optim = lambda name, **given: getattr(torch.optim, name)(model.parameters(), **given).param_groups[0]
seen["torch-float64"] = str(model.weight.dtype)
seen["torch-single-threaded"] = [torch.get_num_threads(), torch.get_num_interop_threads()]
seen["torch-deterministic"] = torch.are_deterministic_algorithms_enabled()
seen["torch-onednn-off"] = torch.backends.mkldnn.enabled
seen["torch-cudnn-off"] = torch.backends.cudnn.enabled
seen["torch-cudnn-deterministic"] = torch.backends.cudnn.deterministic
seen["torch-foreach-off"] = optim("AdamW", foreach=True)["foreach"]
seen["torch-fused-off"] = optim("Adam", fused=True)["fused"]
compiled = torch.compile(model, backend=lambda graph, inputs: looked.append("compiled") or graph.forward)
compiled(torch.zeros(1, 2))
seen["torch-compile-off"] = "compiled" in looked

import jax, jax.numpy as jnp
seen["jax-x64"] = str(jnp.zeros(1).dtype)
add = jax.jit(lambda x: looked.append("add") or x + 1)
add(1.0), add(2.0)
seen["jax-jit-off"] = looked.count("add")
seen["jax-matmul-highest"] = jax.config.jax_default_matmul_precision
seen["jax-threefry-original"] = float(jax.random.uniform(jax.random.key(0), (3, 3), "float32")[1, 1])

import sklearn.linear_model, threadpoolctl
seen["sklearn-single-threaded"] = max(one["num_threads"] for one in threadpoolctl.threadpool_info())
print(json.dumps(seen))
"""
CHANGES: dict[str, tuple[Any, Any]] = {
    "torch-float64": ("torch.float32", "torch.float64"),
    "torch-single-threaded": ([2, 2], [1, 1]),
    "torch-deterministic": (False, True),
    "torch-onednn-off": (True, False),
    "torch-cudnn-off": (True, False),
    "torch-cudnn-deterministic": (False, True),
    "torch-foreach-off": (True, False),
    "torch-fused-off": (True, False),
    "torch-compile-off": (True, False),
    "jax-x64": ("float32", "float64"),
    "jax-jit-off": (1, 2),
    "jax-matmul-highest": (None, "highest"),
    "sklearn-single-threaded": (2, 1),
}
OTHER_NUMBERS = "jax-threefry-original"

TORCH_LOOP = """
import hashlib, json, sys
import torch
seed, given = int(sys.argv[1]), json.loads(sys.argv[2])
torch.manual_seed(seed)
rows = torch.randn(64, 4, generator=torch.Generator().manual_seed(5))
data = torch.utils.data.TensorDataset(rows, rows.sum(1, keepdim=True))
loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
parts = torch.nn.Linear(4, 80), torch.nn.BatchNorm1d(80), torch.nn.ReLU(), torch.nn.Linear(80, 1)
model = torch.nn.Sequential(*parts)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, **given)
compiled, loss_of = torch.compile(model, backend="eager", fullgraph=True), torch.nn.MSELoss()
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_of(compiled(x), y)
        loss.backward()
        optimizer.step()
weights = b"".join(one.numpy().tobytes() for one in model.state_dict().values())
print(json.dumps({"weights": hashlib.sha256(weights).hexdigest(), "random": torch.rand(1).item(), "loss": loss.item()}))
"""

KERAS_FIT = """
import hashlib, json, random, sys
import numpy as np
import keras
keras.utils.set_random_seed(int(sys.argv[1]))
x = np.random.RandomState(0).rand(64, 8, 8, 1).astype("float32")
y = x.mean(axis=(1, 2, 3)) > 0.5
layers = [
    keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization(), keras.layers.MaxPooling2D(),
    keras.layers.Flatten(), keras.layers.Dense(80, activation="tanh"), keras.layers.Dense(1, activation="sigmoid"),
]
model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.25, verbose=0)
weights = b"".join(weight.tobytes() for weight in model.get_weights())
print(json.dumps({
    "weights": hashlib.sha256(weights).hexdigest(),
    "history": {name: [float(value) for value in values] for name, values in history.history.items()},
    "random": [random.random(), np.random.rand()],
}))
"""

DEFAULTS = """
import json, torch
from sklearn.linear_model import LogisticRegression
from sklearn.base import clone
made = [torch.optim.AdamW([torch.zeros(1)], **given).defaults["weight_decay"] for given in ({}, {"weight_decay": 0.3})]
print(json.dumps({"decays": made, "solver": clone(LogisticRegression()).solver, "norm": torch.nn.BatchNorm1d(1).eps}))
"""


def test_a_switch_of_torch_jax_or_scikit_learn_changes_what_it_is_for(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    names = [*CHANGES, OTHER_NUMBERS]
    before = run_with([], stack(TORCH_AND_JAX), tmp_path, LOOKS)
    preludes = [Prelude(name=name, source=catalogue()[name].source) for name in names]
    after = run_with(preludes, stack(TORCH_AND_JAX), tmp_path, LOOKS)
    assert (before.exit_code, after.exit_code) == (0, 0), before.errors + after.errors
    numbers = [run.result.pop(OTHER_NUMBERS) for run in (before, after)]
    assert numbers[0] != numbers[1]
    assert {name: (before.result[name], after.result[name]) for name in CHANGES} == CHANGES
    assert {name: one.error for name, one in after.channel.preludes.items() if one.error} == {}
    assert set(names) - {name for name, one in after.channel.preludes.items() if one.applied} == {
        "torch-cudnn-off",
        "torch-cudnn-deterministic",
    }, "there is no GPU that they could change anything on"


def test_a_traced_loop_of_torch_is_as_one_without_and_parts_at_the_first_update_where_a_default_differs(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    lay_out([fixed_order()], tmp_path / "without")
    settings = {"RUNNER_SEED": "99", "RUNNER_PRELUDES": str(tmp_path / "without")}
    bare = execute(stack(TORCH_AND_JAX), tmp_path, TORCH_LOOP, "3", "{}", **settings)
    run, good = traced(stack(TORCH_AND_JAX), tmp_path, TORCH_LOOP, "3", "{}", tools=(fixed_order(),))
    assert run.result == bare.result
    assert (good.ended, good.notes, list(good.steps)) == (True, (), list(range(1, 21)))
    assert [layer.kind for layer in good.header.layers] == ["Linear", "BatchNorm1d", "Linear"]
    assert {slot.kind for slot in good.slots} == {"m", "v"}
    assert all(step.batch and step.outputs and step.loss and step.gradients for step in good.steps.values())
    given = initial_weights((tmp_path / INITIAL_FILE).read_text())
    changed = '{"eps": 0.001}'
    _, bad = traced(stack(TORCH_AND_JAX), tmp_path, TORCH_LOOP, "4", changed, tools=(given, fixed_order()))
    found = first_difference(good, bad)
    assert (found.where, found.step) == (Where.STEP, 1), found.sentence()
    assert {one.quantity.what for one in found.differ} == {"update"}
    assert found.sentence().startswith("Step 1: learning rate, output, loss and gradients agree; the update of the")


@pytest.fixture(scope="module")
def on_tensorflow(stack: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Prelude]:
    """The trace of Keras on TensorFlow, and the prelude with its initial weights."""
    folder = tmp_path_factory.mktemp("tensorflow")
    _, trace = traced(stack(KERAS3), folder, KERAS_FIT, "3", tools=(fixed_order(),))
    return trace, initial_weights((folder / INITIAL_FILE).read_text())


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_trace_of_keras_on_another_backend_is_neutral_and_agrees_with_that_on_tensorflow(
    backend: str, stack: Callable[[str], Path], on_tensorflow: tuple[Trace, Prelude], tmp_path: Path
) -> None:
    good, given = on_tensorflow
    tools = [given, fixed_order()]
    lay_out(tools, tmp_path / "without")
    settings = {"RUNNER_SEED": "99", "KERAS_BACKEND": backend, "RUNNER_PRELUDES": str(tmp_path / "without")}
    bare = execute(stack(TORCH_AND_JAX), tmp_path, KERAS_FIT, "4", **settings)
    run, bad = traced(stack(TORCH_AND_JAX), tmp_path, KERAS_FIT, "4", tools=tuple(tools), KERAS_BACKEND=backend)
    assert run.result == bare.result
    assert (bad.ended, bad.notes) == (True, ())
    assert all(step.batch and step.outputs for step in bad.steps.values())
    found = first_difference(good, bad)
    assert (found.where, found.recorded, found.only_good, found.only_bad) == (Where.NOWHERE, 18, (), ()), (
        found.sentence()
    )


def test_defaults_of_torch_and_scikit_learn_are_made_explicit_where_the_script_gives_none(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    changed = [
        Default(class_name="AdamW", key="weight_decay", good="0.5", bad="0.01", where=""),
        Default(class_name="LogisticRegression", key="solver", good='"liblinear"', bad='"lbfgs"', where=""),
        Default(class_name="BatchNorm1d", key="eps", good="0.25", bad="1e-05", where=""),
    ]
    run = run_with([explicit(*changed)], stack(TORCH_AND_JAX), tmp_path, DEFAULTS)
    assert run.result == {"decays": [0.5, 0.3], "solver": "liblinear", "norm": 0.25}, run.errors
