"""Each switch of the catalogue in a real environment: it says that it was applied, and what it is for is different.

Switches that don't get in each other's way share a process; one without any of them shows what it is like as it is.
With RUNNER_ALL_STACKS=1 on two further stacks, too large for CI's share of time. Those that take a script of their own
to be seen are in `test_switches_alone.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from probe_stacks import KERAS3, TF1, TF2, TF_KERAS, Run, execute, stack

from runner.preludes.defaults import Default, explicit
from runner.preludes.prelude import Prelude, catalogue, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

TF215 = "tensorflow-2.15.1+keras-2.15.0"
MORE = (TF215, TF_KERAS)
SCRIPT = """
import importlib, json, sys
import numpy as np
import tensorflow as tf
if "{flavour}" == "keras":
    import keras
else:
    from tensorflow import keras
layers, seen = keras.layers, {{}}
x = np.random.rand(8, 2, 2, 2).astype("float32") * 4 + 3
y = x.sum(axis=(1, 2, 3)).reshape((8, 1)) / 100
frozen = layers.BatchNormalization(trainable=False, input_shape=(2, 2, 2))
model = keras.models.Sequential([frozen, layers.BatchNormalization(), layers.Flatten(), layers.Dense(1)])
model.compile("rmsprop", "mse")
model.fit(x, y, batch_size=4, epochs=1, verbose=0)

def look(name, how):
    try:
        seen[name] = how()
    except Exception as error:
        seen[name] = type(error).__name__

def part(end):
    return [module for name, module in list(sys.modules.items()) if name.endswith(".python." + end)][0]

def training_mean():
    if tf.executing_eagerly():
        return np.mean(np.asarray(frozen(tf.cast(x, keras.backend.floatx()), training=True)))
    phase = keras.backend.learning_phase()
    if isinstance(phase, int):
        return None
    return np.mean(keras.backend.function([model.input, phase], [model.layers[0].output])([x, 1])[0])

def session(field):
    part = keras.backend.get_session()._config
    for name in field.split("."):
        part = getattr(part, name)
    return part

def fuses_training(operation):
    fused = operation.type.startswith("FusedBatchNorm") and "Grad" not in operation.type
    return fused and operation.get_attr("is_training")

look("eager", tf.executing_eagerly)
look("functions run eagerly", lambda: tf.config.functions_run_eagerly())
look("control flow 2", lambda: part("ops.control_flow_util").ENABLE_CONTROL_FLOW_V2)
look("version 2", lambda: part("tf2").enabled())
look("jit", lambda: tf.config.optimizer.get_jit())
look("grappler off", lambda: tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer"))
look("threads", tf.config.threading.get_inter_op_parallelism_threads if hasattr(tf, "config") else lambda: None)
look("deterministic", lambda: part("framework.config").is_op_determinism_enabled())
look("arrays", lambda: hasattr(tf.constant([1.0]), "T"))
look("session jit", lambda: session("graph_options.optimizer_options.global_jit_level"))
look("session grappler off", lambda: session("graph_options.rewrite_options.disable_meta_optimizer"))
look("session threads", lambda: session("inter_op_parallelism_threads"))
look("float", keras.backend.floatx)
look("variable", lambda: type(model.weights[0]).__name__)
look("frozen infers", lambda: bool(abs(training_mean()) > 1))
look("phase", lambda: str(keras.backend.learning_phase())[:1])
look("fused", lambda: model.layers[1].fused)
look("fused operations", lambda: any(map(fuses_training, tf.get_default_graph().get_operations())))
look("optimizer", lambda: type(model.optimizer).__module__)
look("class", lambda: keras.optimizers.SGD.__module__)
look("imported class", lambda: importlib.import_module("tensorflow.keras.optimizers").SGD.__module__)
look("keras", lambda: type(model).__module__.split(".")[0])
look("promotion", lambda: str((np.ones(2, "float32") + np.float64(3)).dtype))
look("decay", lambda: round(float(model.optimizer.get_config()["rho"]), 3))
print(json.dumps(seen, default=str))
"""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Switches that run in one process, each with what it changes: what is looked at, as it is, and with the switch."""

    stack: str
    flavour: str
    changes: dict[str, tuple[str, Any, Any]]

    @property
    def name(self) -> str:
        return f"{self.stack}-{self.flavour}-{'+'.join(self.changes)}"


def group(stack: str, flavour: str, **changes: tuple[str, Any, Any]) -> Group:
    return Group(stack=stack, flavour=flavour, changes={key.replace("_", "-"): one for key, one in changes.items()})


GROUPS = [
    group(
        TF1,
        "keras",
        resource_variables=("variable", "RefVariable", "ResourceVariable"),
        single_threaded=("session threads", 0, 1),
        grappler_off=("session grappler off", False, True),
        frozen_batchnorm_infers=("frozen infers", False, True),
        unfused_normalization=("fused operations", True, False),
        xla_jit=("session jit", 0, 1),
    ),
    group(
        TF1,
        "tf.keras",
        reference_variables=("variable", "ResourceVariable", "RefVariable"),
        control_flow_v2=("control flow 2", False, True),
        learning_phase_on=("phase", "T", "1"),
    ),
    group(TF1, "keras", learning_phase_off=("phase", "T", "0")),
    group(TF1, "tf.keras", enable_eager_execution=("eager", False, True)),
    group(TF1, "tf.keras", enable_v2_behavior=("version 2", False, True)),
    group(
        TF2,
        "tf.keras",
        float64=("float", "float32", "float64"),
        single_threaded=("threads", 0, 1),
        grappler_off=("grappler off", False, True),
        frozen_batchnorm_trains=("frozen infers", True, False),
        unfused_normalization=("fused", True, False),
        xla_jit=("jit", "", "autoclustering"),
        new_optimizers=(
            "class",
            "keras.optimizers.optimizer_v2.gradient_descent",
            "keras.optimizers.optimizer_experimental.sgd",
        ),
    ),
    group(
        TF2,
        "tf.keras",
        run_eagerly=("functions run eagerly", False, True),
        op_determinism=("deterministic", False, True),
        tensorflow_numpy_behavior=("arrays", False, True),
        control_flow_v1=("control flow 2", True, False),
    ),
    group(
        TF2,
        "tf.keras",
        new_optimizers=(
            "imported class",
            "keras.optimizers.optimizer_v2.gradient_descent",
            "keras.optimizers.optimizer_experimental.sgd",
        ),
    ),
    group(TF2, "tf.keras", disable_eager_execution=("eager", True, False)),
    group(TF2, "tf.keras", disable_v2_behavior=("version 2", True, False)),
    group(
        TF215,
        "keras",
        legacy_optimizers=("optimizer", "keras.src.optimizers.rmsprop", "keras.src.optimizers.legacy.rmsprop"),
        float64=("float", "float32", "float64"),
        numpy_weak_promotion=("promotion", "float32", "float64"),
        frozen_batchnorm_trains=("frozen infers", True, False),
    ),
    group(
        KERAS3,
        "keras",
        float64=("float", "float32", "float64"),
        frozen_batchnorm_trains=("frozen infers", True, False),
        run_eagerly=("functions run eagerly", False, True),
        single_threaded=("threads", 0, 1),
    ),
    group(TF_KERAS, "tf.keras", legacy_keras=("keras", "keras", "tf_keras")),
]
# Two more environments of 1 to 2 GB do not fit in CI's share of time: `tox -e full` asks for them.
MORE_ONLY = pytest.mark.skipif(
    os.environ.get("RUNNER_ALL_STACKS") != "1", reason="two further stacks, with RUNNER_ALL_STACKS=1 only"
)
PARAMETERS = [pytest.param(one, id=one.name, marks=MORE_ONLY if one.stack in MORE else ()) for one in GROUPS]


@pytest.fixture(scope="session")
def as_it_is(
    stack: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], dict[str, Any]]:
    """What is seen on a stack without any switch."""

    @cache
    def seen(name: str, flavour: str) -> dict[str, Any]:
        run = execute(stack(name), tmp_path_factory.mktemp("plain"), SCRIPT.format(flavour=flavour), RUNNER_SEED="1")
        assert run.exit_code == 0, run.errors
        return run.result

    return seen


def run_with(preludes: list[Prelude], python: Path, folder: Path, script: str) -> Run:
    lay_out(preludes, folder / "preludes")
    return execute(python, folder, script, RUNNER_PRELUDES=str(folder / "preludes"), RUNNER_SEED="1")


@pytest.mark.parametrize("one", PARAMETERS)
def test_a_switch_says_that_it_was_applied_and_what_it_is_for_is_different(
    one: Group, stack: Callable[[str], Path], as_it_is: Callable[[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    preludes = [Prelude(name=name, source=catalogue()[name].source) for name in one.changes]
    run = run_with(preludes, stack(one.stack), tmp_path, SCRIPT.format(flavour=one.flavour))
    assert run.exit_code == 0, run.errors
    told = run.channel.preludes
    assert {name: (told[name].applied, told[name].error) for name in told} == dict.fromkeys(one.changes, (True, ""))
    before = as_it_is(one.stack, one.flavour)
    looked_at = {what for what, _, _ in one.changes.values()}
    expected = [{change[0]: change[side] for change in one.changes.values()} for side in (1, 2)]
    assert [{what: seen[what] for what in looked_at} for seen in (before, run.result)] == expected


@pytest.mark.parametrize(("name", "flavour"), [(TF1, "keras"), (TF1, "tf.keras"), (TF2, "tf.keras")])
def test_a_default_made_explicit_is_that_of_the_object_which_the_script_makes_by_name(
    name: str, flavour: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    default = Default(class_name="RMSprop", key="rho", good="0.75", bad="0.9", where="fit-1/optimizer")
    other = Default(class_name="BatchNormalization", key="colour", good='"red"', bad=None, where="fit-1/model")
    run = run_with([explicit(default), explicit(other)], stack(name), tmp_path, SCRIPT.format(flavour=flavour))
    assert run.exit_code == 0, run.errors
    assert run.result["decay"] == 0.75
    made, refused = (run.channel.preludes[explicit(one).name] for one in (default, other))
    assert (made.applied, made.error) == (True, "")
    assert (refused.applied, refused.error.endswith("takes no argument colour")) == (False, True)
