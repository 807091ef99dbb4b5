"""The probe is neutral, and seeds what the script leaves open: the founding model in real stacks.

With RUNNER_ALL_STACKS=1 its neutrality is shown on five further stacks, which are installed for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from probe_stacks import JAX, KERAS3, MORE_STACKS, SKLEARN, STACKS, TF1, TF2, alike, execute, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

FOUNDING = """
import hashlib, json, random, sys
import numpy as np
flavour, seed = sys.argv[1], int(sys.argv[2])
if flavour == "keras":
    import keras
else:
    from tensorflow import keras
import tensorflow as tf
if seed and hasattr(getattr(getattr(tf, "config", None), "experimental", None), "enable_op_determinism"):
    tf.config.experimental.enable_op_determinism()
if seed:
    random.seed(seed)
    (tf.random.set_seed if hasattr(tf.random, "set_seed") else tf.set_random_seed)(seed)
np.random.seed(1337)
x = np.random.rand(200)
y, average = [], np.mean(x)
for sample in x:
    average = 0.8 * average + 0.2 * sample
    y.append(average)
x, y = x.reshape(-1, 1, 1), np.array(y).reshape(-1, 1)
inputs = keras.layers.Input(batch_shape=(1, 1, 1), dtype="float32")
outputs = keras.layers.SimpleRNN(1, stateful=True, activation=None, name="rnn_layer_1")(inputs)
model = keras.models.Model(inputs=inputs, outputs=outputs)
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
callbacks = [keras.callbacks.Callback()]
history = model.fit(x, y, batch_size=1, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
v1 = tf.compat.v1 if hasattr(tf, "compat") and hasattr(tf.compat, "v1") else tf
operations = [(op.name, op.type) for op in v1.get_default_graph().get_operations()]
print(json.dumps({
    "weights": weights,
    "loss": history.history["loss"],
    "graph": hashlib.sha256(repr(operations).encode()).hexdigest(),
    "random": [random.random(), np.random.rand()],
    "callbacks": len(callbacks),
    "keras": getattr(keras, "__version__", None),
    "tensorflow": tf.__version__,
}))
"""


TAPES = """
import hashlib, json, random, sys, tempfile
import numpy as np
import keras
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
random.seed(3), np.random.seed(3), tf.random.set_seed(3)
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.2), keras.layers.Dense(1)]
model = keras.Sequential(layers)
eager, traced = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.01)
mean, error = keras.metrics.Mean(name="train_loss"), keras.metrics.MeanAbsoluteError()
own = tf.Variable([1.0, 2.0])
def update(optimizer):
    with tf.GradientTape() as tape:
        predictions = model(x, training=True)
        loss = tf.reduce_mean((predictions - y) ** 2)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss, predictions
@tf.function
def step():
    loss, predictions = update(traced)
    mean.update_state(loss)
    error.update_state(y, predictions)
    return {"loss": loss, "seen": mean.result()}
losses = []
with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
    for epoch in range(4):
        for _ in range(5):
            losses.append(float(update(eager)[0]))
            losses.append(float(step()["loss"]))
        tf.summary.scalar("train", mean.result(), step=epoch)
        losses += [float(mean.result()), float(error.result())]
        for metric in (mean, error):
            (metric.reset_state if hasattr(metric, "reset_state") else metric.reset_states)()
for _ in range(5):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(own ** 2)
    own.assign_sub(0.1 * tape.gradient(loss, [own])[0])
weights = hashlib.sha256(b"".join(weight.tobytes() for weight in [*model.get_weights(), own.numpy()])).hexdigest()
graphs = step.get_concrete_function().graph, tf.compat.v1.get_default_graph()
print(json.dumps({
    "weights": weights,
    "losses": losses,
    "graphs": [[(op.name, op.type) for op in graph.get_operations()] for graph in graphs],
    "random": [random.random(), np.random.rand(), float(tf.random.uniform(()))],
}))
"""
SESSIONS = """
import hashlib, json, random, sys
import numpy as np
import tensorflow as tf
random.seed(3), np.random.seed(3), tf.set_random_seed(3)
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
def loss_of(features, labels):
    return tf.reduce_mean((tf.layers.dense(tf.layers.dropout(features, training=True), 1) - labels) ** 2)
def model(features, labels, mode):
    loss = loss_of(features, labels)
    step = tf.train.AdamOptimizer(0.1).minimize(loss, global_step=tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)
def data():
    return tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(16)
estimator = tf.estimator.Estimator(model, config=tf.estimator.RunConfig(tf_random_seed=3))
for _ in range(2):
    estimator.train(data, steps=10)
loss = loss_of(tf.constant(x), tf.constant(y))
gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, tf.trainable_variables()), 5.0)
optimizer = tf.train.MomentumOptimizer(0.05, 0.9)
step = optimizer.apply_gradients(zip(gradients, tf.trainable_variables()), tf.train.get_or_create_global_step())
tf.summary.scalar("cost", loss)
merged = tf.summary.merge_all()
losses, final = [], [estimator.get_variable_value("dense/kernel")]
with tf.train.MonitoredTrainingSession(hooks=[tf.train.StopAtStepHook(10)]) as session:
    while not session.should_stop():
        losses.append(float(session.run([step, loss, merged])[1]))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for _ in range(10):
        losses.append(float(session.run({"step": step, "loss": loss})["loss"]))
        losses.append(float(session.run(loss)))
    final += session.run(tf.global_variables())
print(json.dumps({
    "weights": hashlib.sha256(b"".join(array.tobytes() for array in final)).hexdigest(),
    "losses": losses,
    "graphs": [(op.name, op.type) for op in tf.get_default_graph().get_operations()],
    "random": [random.random(), np.random.rand()],
}))
"""
GRADIENTS = """
import functools, hashlib, json, os, random
os.environ["KERAS_BACKEND"] = "jax"
import numpy as np
import jax, jax.numpy as jnp, keras, optax
import flax.linen as nn
from flax import nnx
from flax.training.train_state import TrainState
random.seed(3), np.random.seed(3), keras.utils.set_random_seed(3)
x = np.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
losses, donated = [], []
@functools.partial(jax.jit, donate_argnums=0)
def step(state, x, y):
    def loss_of(params):
        return ((state.apply_fn(params, x) - y) ** 2).mean()
    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), {"loss": loss}
for fold in range(2):
    model = nn.Dense(1)
    tx = optax.adam(0.05)
    state = TrainState.create(apply_fn=model.apply, params=model.init(jax.random.PRNGKey(fold), x), tx=tx)
    for number in range(30):
        given = jax.tree_util.tree_leaves(state.params)[0]
        state, logs = step(state, x, y)
        donated.append(given.is_deleted())
        losses.append(float(logs["loss"]))
module, = [nnx.Linear(4, 1, rngs=nnx.Rngs(0))]
optimizer = nnx.Optimizer(module, optax.sgd(0.1))
@nnx.jit
def change(module, optimizer, x, y):
    loss, gradients = nnx.value_and_grad(lambda module: ((module(x) - y) ** 2).mean())(module)
    optimizer.update(gradients)
    return loss
losses += [float(change(module, optimizer, x, y)) for number in range(10)]
params, slots = jnp.zeros((4, 1)), optax.sgd(0.1).init(jnp.zeros((4, 1)))
for number in range(10):
    loss, gradients = jax.value_and_grad(lambda params: ((x @ params - y) ** 2).mean())(params)
    updates, slots = optax.sgd(0.1).update(gradients, slots)
    params = optax.apply_updates(params, updates)
    losses.append(float(loss))
network = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
network.compile("adam", "mse")
losses += network.fit(x, y, epochs=2, verbose=0).history["loss"]
arrays = jax.tree_util.tree_leaves([state.params, nnx.state(module, nnx.Param), params]) + network.get_weights()
print(json.dumps({
    "weights": hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest(),
    "losses": losses,
    "donated": donated,
    "traces": [step._cache_size(), str(jax.make_jaxpr(lambda params: model.apply(params, x))(state.params))],
    "random": [random.random(), np.random.rand()],
}))
"""
ESTIMATORS = """
import hashlib, json, pickle, random, warnings
import numpy as np
import lightgbm, xgboost
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
random.seed(3), np.random.seed(3)
x = np.random.rand(100, 4)
y = x.sum(axis=1)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    fitted = [
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20)).fit(x, y),
        GradientBoostingRegressor(n_estimators=5, subsample=0.5).fit(x, y),
        RandomForestRegressor(5, n_jobs=2).fit(x, y),
        GridSearchCV(LogisticRegression(max_iter=1), {"C": [1, 10]}).fit(x, y > 2),
    ]
fitted[2].set_params(n_jobs=1)  # threads add up a forest's predictions in any order
step = SGDRegressor()
for _ in range(5):
    step.partial_fit(x, y)
data = lightgbm.Dataset(x, y)
boosters = [
    xgboost.train({"subsample": 0.5}, xgboost.DMatrix(x, y), 5, evals=[(xgboost.DMatrix(x, y), "train")]),
    xgboost.XGBRegressor(n_estimators=3).fit(x, y, eval_set=[(x, y)], verbose=False).get_booster(),
]
light = lightgbm.train({"bagging_freq": 1, "bagging_fraction": 0.5, "verbose": -1}, data, 5, valid_sets=[data])
found = [one.predict(x) for one in [*fitted, step]] + [np.frombuffer(one.save_raw(), "uint8") for one in boosters]
print(json.dumps({
    "weights": hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest(),
    "light": light.model_to_string(),
    "warnings": [(one.category.__name__, str(one.message), one.lineno, one.filename) for one in seen],
    "pickled": hashlib.sha256(pickle.dumps(fitted[0])).hexdigest(),
    "random": [random.random(), np.random.rand()],
}))
"""


# Five more environments of 1 to 2 GB do not fit in CI's share of time: `tox -e full` asks for them.
ONLY_ON_REQUEST = pytest.mark.skipif(
    os.environ.get("RUNNER_ALL_STACKS") != "1", reason="five further stacks, with RUNNER_ALL_STACKS=1 only"
)


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        (TF1, "keras"),
        (TF1, "tf.keras"),
        (TF2, "tf.keras"),
        (KERAS3, "keras"),
        *(
            pytest.param(name, flavour, marks=ONLY_ON_REQUEST)
            for name in MORE_STACKS
            for flavour in ("keras", "tf.keras")
        ),
    ],
)
def test_a_seeded_run_ends_bit_for_bit_as_it_does_without_the_probe(
    name: str, flavour: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = alike(stack(name), tmp_path, FOUNDING, flavour, "3", RUNNER_SEED="99")
    told, result = run.channel, run.result
    assert result["callbacks"] == 1
    assert [epoch.logs["loss"] for epoch in told.epochs] == pytest.approx(result["loss"], rel=1e-6)
    (phase,) = told.phases
    assert (phase.name, phase.planned_epochs, phase.steps, phase.finished) == ("fit-1", 2, 200, True)
    assert phase.initial_weights is not None
    assert phase.final_weights not in (None, phase.initial_weights)
    assert [epoch.learning_rate for epoch in told.epochs] == pytest.approx([0.1, 0.1])
    assert told.packages["tensorflow"].version == result["tensorflow"]
    if flavour == "keras":
        assert told.packages["keras"].version == result["keras"]


@pytest.mark.parametrize(("name", "script"), [(TF1, SESSIONS), (TF2, TAPES), (KERAS3, TAPES)])
def test_loops_of_the_script_s_own_end_bit_for_bit_as_they_do_without_the_probe(
    name: str, script: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    told = alike(stack(name), tmp_path, script).channel
    steps = [20, 10, 10] if name == TF1 else [20, 20, 5]
    assert [(phase.name, phase.steps) for phase in told.phases] == [
        (f"loop-{number}", count) for number, count in enumerate(steps, 1)
    ]
    assert all(phase.final_weights is not None and phase.weight_norm for phase in told.phases)
    assert {phase.name for phase in told.phases} == {one.phase for one in told.epochs if "loss" in one.logs}


def test_gradients_of_jax_end_bit_for_bit_as_they_do_without_the_probe_and_donated_arrays_stay_so(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = alike(stack(JAX), tmp_path, GRADIENTS, RUNNER_SEED="99")
    told = run.channel
    assert [(phase.name, phase.steps) for phase in told.phases] == [
        ("loop-1", 30),
        ("loop-2", 30),
        ("loop-3", 10),
        ("loop-4", 10),
        ("fit-1", 2),
    ]
    assert all(phase.final_weights not in (None, phase.initial_weights) for phase in told.phases)
    losses = [epoch.logs["loss"] for epoch in told.epochs if epoch.phase.startswith("loop")]
    assert losses == pytest.approx(run.result["losses"][: len(losses)], rel=1e-5)
    assert len(losses) == 80


def test_estimators_and_boosters_end_bit_for_bit_as_they_do_without_the_probe(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    told = alike(stack(SKLEARN), tmp_path, ESTIMATORS, RUNNER_SEED="99").channel
    assert [(phase.name, phase.model, bool(phase.warnings)) for phase in told.phases] == [
        ("fit-1", "Pipeline", True),
        ("fit-2", "GradientBoostingRegressor", False),
        ("fit-3", "RandomForestRegressor", False),
        ("fit-4", "GridSearchCV", True),
        ("batches-1", "SGDRegressor", False),
        ("fit-5", "Booster", False),
        ("fit-6", "XGBRegressor", False),
        ("fit-7", "Booster", False),
    ]
    assert all(phase.final_weights not in (None, phase.initial_weights) for phase in told.phases)


@pytest.mark.parametrize("name", STACKS)
def test_the_trial_s_seed_fixes_what_the_script_leaves_open_and_only_that(
    name: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    flavour = "keras" if name == KERAS3 else "tf.keras"
    runs = [execute(stack(name), tmp_path, FOUNDING, flavour, "0", RUNNER_SEED=seed) for seed in ("1", "1", "2")]
    first, again, other = (run.channel.phases[0] for run in runs)
    assert (first.initial_weights, first.final_weights) == (again.initial_weights, again.final_weights)
    assert first.initial_weights != other.initial_weights
    assert runs[0].channel.seeding == "seeded"
    assert runs[0].result["random"][1] == runs[2].result["random"][1], "np.random.seed(1337) of the script holds"
    assert runs[0].result["random"][0] != runs[2].result["random"][0]


def test_in_tensorflow_1_the_seed_holds_in_graphs_that_are_made_later(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    script = """
import json
import tensorflow as tf
from tensorflow import keras
drawn = []
for graph in range(3):
    keras.backend.clear_session()
    drawn.append(float(keras.backend.get_value(keras.backend.variable(tf.random_uniform(())))))
    with tf.Graph().as_default(), tf.Session() as session:
        drawn.append(float(session.run(tf.random_uniform(()))))
print(json.dumps({"drawn": drawn}))
"""
    first = execute(stack(TF1), tmp_path, script, RUNNER_SEED="5")
    again = execute(stack(TF1), tmp_path, script, RUNNER_SEED="5")
    free = execute(stack(TF1), tmp_path, script, RUNNER_SEED="5", RUNNER_SEEDING="as-written")
    assert first.result == again.result
    assert free.result != first.result
    assert free.channel.seeding == "as-written"
