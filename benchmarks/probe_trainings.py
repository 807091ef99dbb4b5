"""The trainings whose cost with the probe is measured: short steps, and steps of an ordinary size.

Each is a script that defines `make()`, which gives `train(steps)`: a training by itself that goes on where it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

TF1, TF2, KERAS3 = "tensorflow-1.13.1+keras-2.2.4", "tensorflow-2.10.1+keras-2.10.0", "tensorflow-2.16.1+keras-3.3.3"
JAX, SKLEARN = "jax-0.4.34+d8639542", "scikit-learn-1.5.2+e51f02bd"
TORCH = "torch+lightning+transformers"
"""The wheel of PyTorch in the folder `RUNNER_WHEELS`, with what the kinds of scripts need."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What trains, and how much of it is one half of a pair."""

    name: str
    stack: str
    """The name of an environment that has a committed lock."""
    script: str
    steps: int
    """Of one half of a pair: some ten milliseconds of them."""
    pairs: int = 60
    epoch: int = 0
    """The steps of an epoch, where the probe's cost is by fit and not by step."""
    is_fit: bool = False
    """True where each half is a fit."""


FOUNDING = """
import numpy as np
IMPORT
def founding():
    inputs = keras.layers.Input(batch_shape=(1, 1, 1), dtype="float32")
    outputs = keras.layers.SimpleRNN(1, stateful=True, activation=None)(inputs)
    return inputs, outputs, keras.models.Model(inputs, outputs)
def data(steps):
    x = np.random.rand(steps)
    y, average = [], np.mean(x)
    for sample in x:
        average = 0.8 * average + 0.2 * sample
        y.append(average)
    return x.reshape(-1, 1, 1).astype("float32"), np.array(y).reshape(-1, 1).astype("float32")
"""
FIT = """
def make():
    model = founding()[2]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    def train(steps):
        x, y = data(steps)
        model.fit(x, y, batch_size=1, epochs=1, shuffle=False, verbose=0)
    return train
"""
SESSION = """
import tensorflow as tf
session = keras.backend.get_session()
x, y = data(1000)
def make():
    inputs, outputs, _ = founding()
    target = tf.placeholder("float32", [1, 1])
    loss = tf.reduce_mean((outputs - target) ** 2)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    def train(steps):
        for number in range(steps):
            session.run([step, loss], {inputs: x[number:number + 1], target: y[number:number + 1]})
    return train
"""
STEPS = """
import tensorflow as tf
x, y = data(1000)
def make():
    model, optimizer = founding()[2], keras.optimizers.SGD(0.1)
    def step(one, target):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(one, training=True) - target) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss
    COMPILED
    def train(steps):
        for number in range(steps):
            step(x[number:number + 1], y[number:number + 1])
    return train
"""
TAPE, FUNCTION = STEPS.replace("COMPILED", ""), STEPS.replace("COMPILED", "step = tf.function(step)")
KERAS, TF_KERAS = "import keras", "from tensorflow import keras"
FLAX = """
import jax, numpy as np, optax
import flax.linen as nn
from flax.training.train_state import TrainState
class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(OUTPUTS)(nn.relu(nn.Dense(UNITS)(x)))
x = np.random.rand(SAMPLES, INPUTS).astype("float32")
y = x[:, :OUTPUTS] * 2
def make():
    model = Network()
    state = TrainState.create(apply_fn=model.apply, params=model.init(jax.random.PRNGKey(0), x), tx=optax.adam(1e-3))
    @jax.jit
    def step(state, x, y):
        loss, change = jax.value_and_grad(lambda params: ((state.apply_fn(params, x) - y) ** 2).mean())(state.params)
        return state.apply_gradients(grads=change), loss
    def train(steps):
        nonlocal state
        for _ in range(steps):
            state, loss = step(state, x, y)
        loss.block_until_ready()
    return train
"""
TORCH_LOOP = """
import torch
from torch import nn
torch.set_num_threads(1)
class Recurrent(nn.RNN):
    def forward(self, inputs):
        return super().forward(inputs)[1][0]
def make():
    model = MODEL
    optimizer, criterion = torch.optim.SGD(model.parameters(), lr=0.01), nn.MSELoss()
    def train(steps):
        x, y = torch.rand(steps * SAMPLES, INPUTS), torch.rand(steps * SAMPLES, OUTPUTS)
        for inputs, targets in BATCHES:
            optimizer.zero_grad()
            criterion(model(inputs), targets).backward()
            optimizer.step()
    return train
"""
RECURRENT = "Recurrent(1, 1, batch_first=True)"
DENSE = "nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))"
GAN = """
import torch
from torch import nn
torch.set_num_threads(1)
one, zero = torch.ones(64, 1), torch.zeros(64, 1)
def make():
    generator = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    critic = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    ours, theirs = torch.optim.Adam(generator.parameters()), torch.optim.Adam(critic.parameters())
    criterion = nn.BCEWithLogitsLoss()
    def train(steps):
        for _ in range(steps // 2):
            made = generator(torch.rand(64, 64))
            theirs.zero_grad()
            criterion(critic(torch.rand(64, 64)), one).backward()
            criterion(critic(made.detach()), zero).backward()
            theirs.step()
            ours.zero_grad()
            criterion(critic(made), one).backward()
            ours.step()
    return train
"""
TABLE = """
import numpy as np
x = np.random.rand(SAMPLES, 20)
y = x.sum(axis=1)
"""
MLP = """
from sklearn.neural_network import MLPRegressor
def make():
    def train(steps):
        MLPRegressor(hidden_layer_sizes=(50,), max_iter=steps, random_state=0, tol=0).fit(x, y)
    return train
"""
PARTIAL = """
from sklearn.neural_network import MLPRegressor
def make():
    model = MLPRegressor(hidden_layer_sizes=(50,), random_state=0)
    def train(steps):
        for _ in range(steps):
            model.partial_fit(x, y)
    return train
"""
XGBOOST = """
import xgboost
def make():
    data = xgboost.DMatrix(x, y)
    def train(steps):
        xgboost.train({"nthread": 1}, data, steps, evals=[(data, "train")], verbose_eval=False)
    return train
"""
LIGHTGBM = """
import lightgbm
def make():
    def train(steps):
        data = lightgbm.Dataset(x, y)
        lightgbm.train({"num_threads": 1, "verbose": -1}, data, steps, valid_sets=[data])
    return train
"""


def founding(how: str, name: str, stack: str, flavour: str, **settings: int) -> Training:
    """The founding model, trained in one of the ways."""
    return Training(name=name, stack=stack, script=FOUNDING.replace("IMPORT", flavour) + how, **settings)


def flax(units: tuple[int, int, int], samples: int, steps: int) -> Training:
    """A network of two layers."""
    script = FLAX.replace("SAMPLES", str(samples))
    for word, number in zip(("INPUTS", "UNITS", "OUTPUTS"), units, strict=True):
        script = script.replace(word, str(number))
    name = f"flax, {'-'.join(map(str, units))} units, batches of {samples}"
    return Training(name=name, stack=JAX, script=script, steps=steps)


def torch_loop(name: str, model: str, sizes: tuple[int, str, int], steps: int, *, loader: bool = False) -> Training:
    """A loop around SGD; `sizes` are those of a batch, its inputs and its outputs."""
    batches = "zip(x.split(SAMPLES), y.split(SAMPLES))"
    if loader:
        batches = "torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), SAMPLES)"
    script = TORCH_LOOP.replace("BATCHES", batches).replace("MODEL", model)
    for word, size in zip(("SAMPLES", "INPUTS", "OUTPUTS"), sizes, strict=True):
        script = script.replace(word, str(size))
    return Training(name=name, stack=TORCH, script=script, steps=steps)


def table(how: str, name: str, samples: int, **settings: int) -> Training:
    """A regression on 20 columns."""
    return Training(name=name, stack=SKLEARN, script=TABLE.replace("SAMPLES", str(samples)) + how, **settings)


def fit(stack: str, flavour: str) -> Training:
    """The founding model's `fit`: all that the probe does is done once an epoch, or once a fit."""
    return founding(FIT, "RNN of 1 unit, `fit`", stack, flavour, steps=100, pairs=30, epoch=3000, is_fit=True)


TRAININGS = (
    fit(TF1, TF_KERAS),
    fit(TF2, KERAS),
    fit(KERAS3, KERAS),
    founding(SESSION, "RNN of 1 unit, runs of a session", TF1, TF_KERAS, steps=200),
    founding(TAPE, "RNN of 1 unit, tape", TF2, KERAS, steps=20),
    founding(TAPE, "RNN of 1 unit, tape", KERAS3, KERAS, steps=20),
    founding(FUNCTION, "RNN of 1 unit, tape in a `tf.function`", TF2, KERAS, steps=100),
    founding(FUNCTION, "RNN of 1 unit, tape in a `tf.function`", KERAS3, KERAS, steps=100),
    flax((1, 1, 1), 1, steps=500),
    flax((784, 256, 10), 64, steps=100),
    torch_loop("RNN of 1 unit, loop", RECURRENT, (1, "1, 1", 1), steps=100),
    torch_loop("RNN of 1 unit, loop with a `DataLoader`", RECURRENT, (1, "1, 1", 1), steps=100, loader=True),
    torch_loop("784-256-10 units, batches of 64, loop", DENSE, (64, "784", 10), steps=20),
    Training(name="GAN of 64 units, batches of 64, loop", stack=TORCH, script=GAN, steps=20),
    table(MLP, "MLP, `fit` of 100 iterations", 2000, steps=100, pairs=30, is_fit=True),
    table(PARTIAL, "MLP, `partial_fit`", 2000, steps=20),
    table(XGBOOST, "XGBoost, 100 rounds that are evaluated", 20000, steps=100, pairs=30, is_fit=True),
    table(LIGHTGBM, "LightGBM, 100 rounds that are evaluated", 20000, steps=100, pairs=30, is_fit=True),
)
