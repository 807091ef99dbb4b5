"""What the probe tells of loops of the script's own: eager and traced steps, and runs of TensorFlow 1's sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_stacks import CONTRIB, KERAS3, TF1, TF2, alike, execute, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

EAGER = """
import numpy as np
import keras
import tensorflow as tf
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.models.Sequential([keras.layers.Dense(8, input_shape=(4,)), keras.layers.Dense(1)])
variables = model.trainable_variables
def gradients():
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
    return tape.gradient(loss, variables)
eager = keras.optimizers.SGD(0.01)
for _ in range(10):
    eager.apply_gradients(zip(gradients(), variables))
other = keras.optimizers.SGD(0.01)
for _ in range(3):
    if hasattr(other, "minimize"):
        other.minimize(lambda: tf.reduce_mean((model(x) - y) ** 2), variables)
    else:
        other.apply(gradients(), variables)
traced = keras.optimizers.Adam(0.01)
@tf.function
def fast():
    traced.apply_gradients(zip(gradients(), variables))
for _ in range(7):
    fast()
"""
GRAPH = """
import hashlib, json, random, sys
import numpy as np
import tensorflow as tf
x = np.random.RandomState(1).rand(64, 4)
inputs = tf.placeholder("float64", [None, 4])
weights = tf.Variable(tf.zeros([4, 1], "float64"))
loss = tf.reduce_mean((tf.matmul(inputs, weights) - 1) ** 2)
step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
grouped = tf.group(step, tf.no_op())
with tf.control_dependencies([step]):
    after = tf.identity(loss)
start = tf.global_variables_initializer()
feed = {inputs: x}
final = []
for fold in range(2):
    with tf.Session() as session:
        session.run(start)
        for _ in range(10):
            session.run([step, loss], feed)
        session.run({"step": grouped, "losses": [loss]}, feed_dict=feed)
        session.run(after, feed)
        session.run(loss, feed)
        session.run(step.name, feed)
        final.append(session.run(weights).tolist())
operations = [(op.name, op.type) for op in tf.get_default_graph().get_operations()]
print(json.dumps({"final": final, "operations": operations, "random": [random.random(), np.random.rand()]}))
"""


@pytest.mark.parametrize("name", [TF2, KERAS3])
def test_an_optimizer_s_steps_are_counted_also_where_they_are_traced(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = execute(stack(name), tmp_path, EAGER)
    assert run.exit_code == 0, run.errors
    assert (run.channel.probe_errors, run.channel.stage) == ((), "training")
    assert [(phase.name, phase.steps) for phase in run.channel.phases] == [("loop-1", 10), ("loop-2", 3), ("loop-3", 7)]
    eager, _, traced = run.channel.phases
    assert eager.initial_weights not in (None, eager.final_weights)
    assert traced.initial_weights not in (None, traced.final_weights)
    assert {epoch.phase for epoch in run.channel.epochs if "loss" in epoch.logs} == {"loop-1", "loop-2"}


@pytest.mark.parametrize("name", [CONTRIB, TF1])
def test_what_a_session_runs_of_an_optimizer_s_operation_are_steps_and_nothing_changes(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    seed = "import random, numpy\nrandom.seed(1), numpy.random.seed(1)\n"
    told = alike(stack(name), tmp_path, seed + GRAPH).channel
    assert (told.stage, told.phase) == ("training", "loop-2")
    first, second = told.phases
    assert [(phase.name, phase.steps, phase.finished) for phase in (first, second)] == [
        ("loop-1", 13, True),
        ("loop-2", 13, True),
    ]
    assert first.initial_weights not in (None, first.final_weights)
    assert (first.initial_weights, first.final_weights) == (second.initial_weights, second.final_weights)
    losses = [epoch.logs["loss"] for epoch in told.epochs if epoch.phase == "loop-1"]
    assert (losses[0], len(losses), losses[-1] < 0.5) == (1.0, 11, True)


def test_an_error_of_a_session_s_step_belongs_to_the_training(stack: Callable[[str], Path], tmp_path: Path) -> None:
    script = GRAPH.replace("session.run(after, feed)", "session.run(after, {inputs: x[:, :0]})")
    error = execute(stack(TF1), tmp_path, script).channel.exception
    assert error is not None
    assert (error.stage, error.phase, error.file) == ("training", "loop-1", "train.py")
    assert error.source == "session.run(after, {inputs: x[:, :0]})"
