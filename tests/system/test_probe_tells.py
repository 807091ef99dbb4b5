"""What the probe tells beside losses: rates, norms, memory, live configurations, versions and seeds, in real stacks."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from probe_stacks import KERAS3, STACKS, TF1, TF2, execute, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.trials.record import Package

pytestmark = pytest.mark.slow

__all__ = ["stack"]

HEAD = """
import json
import numpy as np
if "{flavour}" == "keras":
    import keras
else:
    from tensorflow import keras
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
"""
FLAVOURS = [(TF1, "keras"), (TF1, "tf.keras"), (TF2, "tf.keras"), (KERAS3, "keras")]


SCRIPT = """
model = keras.models.Sequential([keras.layers.Dense(1, input_shape=(4,), use_bias=False, activation="relu")])
model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
drops = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=1e6, cooldown=0)
norms = [model.get_weights()[0]]
keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: norms.append(model.get_weights()[0]))
model.fit(x, y, epochs=4, verbose=0, callbacks=[keep, drops])
class Own(keras.Model):
    def __init__(self):
        super(Own, self).__init__()
        self.first = keras.layers.Dense(5, activation="tanh")
        self.last = keras.layers.Dense(1)
    def call(self, inputs, training=None, mask=None):
        return self.last(self.first(inputs))
own = Own()
own.compile(keras.optimizers.SGD(1e30), "mean_squared_error")
own.fit(x, y, epochs=3, verbose=0)
if hasattr(keras.optimizers, "schedules"):
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    scheduled = keras.models.Sequential([keras.layers.Dense(1)])
    scheduled.compile(keras.optimizers.SGD(rate), "mse")
    scheduled.fit(x, y, epochs=2, verbose=0)
print(json.dumps({"weights": [float(np.linalg.norm(w.astype("float64"))) for w in norms],
                  "updates": [float(np.linalg.norm(b.astype("float64") - a)) for a, b in zip(norms, norms[1:])]}))
"""


@pytest.mark.parametrize(("name", "flavour"), [(TF1, "keras"), (TF1, "tf.keras"), (TF2, "tf.keras"), (KERAS3, "keras")])
def test_rates_norms_memory_configurations_and_versions_are_told(
    name: str, flavour: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = execute(stack(name), tmp_path, HEAD.format(flavour=flavour) + SCRIPT)
    assert (run.exit_code, run.channel.probe_errors) == (0, ()), run.errors
    epochs = [epoch for epoch in run.channel.epochs if epoch.phase == "fit-1"]
    assert [epoch.weight_norm for epoch in epochs] == pytest.approx(run.result["weights"][1:], rel=1e-12)
    assert [epoch.update_norm for epoch in epochs] == pytest.approx(run.result["updates"], rel=1e-12)
    # The rate that an epoch was trained with, which a callback halves at its end; not so after the first epoch.
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx([0.1, 0.1, 0.05, 0.025])
    assert all(epoch.rss_bytes is not None and epoch.rss_bytes > 50e6 for epoch in epochs)
    assert all(epoch.time_s is not None and epoch.time_s > 0 for epoch in epochs)
    broken = [epoch for epoch in run.channel.epochs if epoch.phase == "fit-2"][-1]
    assert not math.isfinite(broken.logs["loss"])
    assert broken.weight_norm is not None
    assert not math.isfinite(broken.weight_norm)
    scheduled = [epoch.learning_rate for epoch in run.channel.epochs if epoch.phase == "fit-3"]
    assert scheduled == ([] if name == TF1 else pytest.approx([0.05, 0.025]))
    configurations_are_told(run.channel.configs)
    versions_are_told(run.channel.packages, name, flavour)


def configurations_are_told(configs: dict[str, str]) -> None:
    found = {what: json.loads(text) for what, text in configs.items()}
    assert layers_of(found["fit-1/model"]) == [("Dense", 1, "relu")]
    assert found["fit-1/optimizer"]["class_name"] == "SGD"
    assert found["fit-1/optimizer"]["config"]["momentum"] == pytest.approx(0.5)
    assert (found["fit-1/loss"], found["fit-2/loss"]) == ("mse", "mean_squared_error")
    assert found["fit-2/model"]["class_name"] == "Own"
    assert layers_of(found["fit-2/model"]) == [("Dense", 5, "tanh"), ("Dense", 1, "linear")]


def layers_of(model: dict[str, Any]) -> list[tuple[str, int, str]]:
    config = model["config"]
    layers = config if isinstance(config, list) else config["layers"]
    return [
        (layer["class_name"], layer["config"].get("units"), layer["config"].get("activation"))
        for layer in layers
        if layer["class_name"] != "InputLayer"
    ]


def versions_are_told(packages: dict[str, Package], name: str, flavour: str) -> None:
    assert packages["tensorflow"].version == name.partition("+")[0].removeprefix("tensorflow-")
    assert all(package.file for package in packages.values())
    if flavour == "keras":
        assert packages["keras"].version == name.rsplit("-", 1)[1]
        assert str(packages["keras"].file).endswith("site-packages/keras/__init__.py")
    elif name == TF1:
        assert packages["tensorflow.python.keras"].version == "2.2.4-tf"


@pytest.mark.parametrize("name", STACKS)
def test_the_seed_holds_for_every_model_that_a_script_makes(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    script = """
for fold in range(3):
    if fold:
        keras.backend.clear_session()
    layers = [keras.layers.Dense(4, input_shape=(4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.models.Sequential(layers)
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
"""
    script = HEAD.format(flavour="keras" if name == KERAS3 else "tf.keras") + script
    first, again = (execute(stack(name), tmp_path, script, RUNNER_SEED="5").channel.phases for _ in range(2))
    assert len(first) == 3
    assert all(phase.initial_weights and phase.final_weights for phase in first)
    weights = [[(phase.initial_weights, phase.final_weights) for phase in phases] for phases in (first, again)]
    assert weights[0] == weights[1]
