"""Runs a script under the probe on any CPython, with a tiny package named `keras` that has the classes it looks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

import runner

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE = Path(runner.__file__).parent / "probe"

KERAS = {
    "keras/__init__.py": "__version__ = '2.2.4'\nfrom . import models, callbacks, metrics, optimizers\n",
    "keras/backend.py": "def get_session():\n    raise RuntimeError('no session')\n",
    "keras/models.py": "from .engine.training import Model\n",
    "keras/engine/__init__.py": "",
    "keras/engine/base_layer.py": """
class Layer(object):
    '''A layer.'''
    def __init__(self, units=1):
        self.units = units
""",
    "keras/engine/training.py": """
from .base_layer import Layer
from ..callbacks import CallbackList, History
class Model(Layer):
    weights = []
    optimizer = loss = None
    metrics_names = ['loss', 'acc']
    def compile(self, loss='mse'):
        if loss == 'nonsense':
            raise ValueError('Unknown loss function: nonsense')
        self.loss = loss
    def fit(self, losses, epochs=1, callbacks=None, steps=3, validation=None):
        '''Trains.'''
        history = History()
        seen = CallbackList((callbacks or []) + [history])
        seen.params = {'epochs': len(losses), 'steps': steps}
        for epoch, loss in enumerate(losses):
            seen.on_epoch_begin(epoch)
            for step in range(steps):
                seen.on_batch_end(step, {'loss': loss + step})
            if isinstance(loss, Exception):
                raise loss
            if validation is not None:
                self.evaluate(validation)
            seen.on_epoch_end(epoch, {'loss': loss})
        return history
    def fit_generator(self, losses):
        return self.fit(losses)
    def train_on_batch(self, loss):
        return [loss, 0.5]
    def evaluate(self, losses, return_dict=False):
        if return_dict:
            return {'loss': losses, 'mae': 2.0}
        return self._flatten_metrics_in_order(losses) if isinstance(losses, dict) else [losses, 0.25]
    def evaluate_generator(self, loss):
        return self.evaluate(loss)
    def _flatten_metrics_in_order(self, logs):
        return list(logs.values())
    def predict(self):
        return 1
""",
    "keras/wrappers/__init__.py": "",
    "keras/wrappers/scikit_learn.py": """
class KerasClassifier(object):
    def score(self, model):
        return model.evaluate(0.5)[1]
""",
    "sklearn/__init__.py": "",
    "sklearn/base.py": """
class RegressorMixin(object):
    def score(self, x, y):
        return x - y
class BaseEstimator(object):
    def __init__(self, **params):
        self.params = params
    def get_params(self, deep=True):
        return dict(self.params)
""",
    "sklearn/exceptions.py": """
class ConvergenceWarning(UserWarning):
    pass
""",
    "sklearn/pipelines.py": """
import warnings
from .base import BaseEstimator, RegressorMixin
from .exceptions import ConvergenceWarning
class Available(object):
    def __init__(self, fn):
        self.fn = fn
    def __get__(self, owner, cls=None):
        return self.fn.__get__(owner)
class Scaler(BaseEstimator):
    def fit(self, x):
        self.mean_ = x
        return self
class Net(BaseEstimator, RegressorMixin):
    def fit(self, losses, wrong=None, warn=None):
        if warn:
            warnings.warn(warn, ConvergenceWarning)
        if wrong:
            raise wrong
        if not self.params.get('warm_start') or not hasattr(self, 'loss_curve_'):
            self.loss_curve_ = []
        self.loss_curve_ = self.loss_curve_ + list(losses)
        self.n_iter_ = len(losses)
        return self
    def predict(self, x):
        return x
    @Available
    def partial_fit(self, loss):
        self.loss_ = loss
        return self
class SearchCV(BaseEstimator, RegressorMixin):
    def __init__(self, candidates):
        self.candidates = candidates
    def get_params(self, deep=True):
        return {'candidates': self.candidates}
    def fit(self, losses):
        for net, warn in self.candidates:
            self.best_estimator_ = net.fit(losses, warn=warn)
            net.score(1, 2)
        self.best_score_ = 0.5
        return self
    def predict(self, x):
        return x
""",
    "keras/callbacks.py": """
class History(object):
    def __init__(self):
        self.history = {}
    def on_epoch_end(self, epoch, logs):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
class CallbackList(object):
    def __init__(self, callbacks):
        self.callbacks = callbacks
    def on_epoch_begin(self, epoch, logs=None):
        pass
    def on_batch_end(self, batch, logs=None):
        pass
    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
""",
    "keras/optimizers/__init__.py": "from .optimizer import Optimizer\n",
    "keras/optimizers/optimizer.py": """
class Optimizer(object):
    def apply_gradients(self, grads_and_vars, name=None):
        return self.apply(*zip(*grads_and_vars))
    def apply(self, grads, trainable_variables=None):
        return list(grads)
""",
    "keras/metrics/__init__.py": "from .metric import Accuracy, Metric\n",
    "keras/metrics/metric.py": """
class Metric(object):
    def __init__(self, name):
        self.name, self.value = name, 0.0
    def reset_state(self):
        self.value = 0.0
class Accuracy(Metric):
    def __init__(self, name='accuracy'):
        super().__init__(name)
    def result(self):
        return self.value
""",
}

TENSORFLOW_1 = {
    "tensorflow/__init__.py": "",
    "tensorflow/python/__init__.py": "",
    "tensorflow/python/eager/__init__.py": "",
    "tensorflow/python/eager/context.py": """
eager = False
def executing_eagerly():
    return eager
class Context(object):
    pass
""",
    "tensorflow/python/eager/backprop.py": """
class GradientTape(object):
    def gradient(self, target, sources):
        return [0.5 for source in sources]
""",
    "tensorflow/python/eager/def_function.py": """
from . import context
class Function(object):
    def __init__(self, body, result):
        self.body, self.result, self.traced = body, result, set()
    def __call__(self, *args):
        if args not in self.traced:
            self.traced.add(args)
            context.eager = False
            self.body(*args)
            context.eager = True
        return self.result
""",
    "tensorflow/python/framework/__init__.py": "",
    "tensorflow/python/framework/ops.py": """
outside = False
def executing_eagerly_outside_functions():
    return outside
class Graph(object):
    pass
class Operation(object):
    def __init__(self, waits_for=()):
        self.control_inputs = waits_for
""",
    "tensorflow/python/ops/__init__.py": "",
    "tensorflow/python/ops/gradients_impl.py": "def gradients(ys, xs):\n    return list(xs)\n",
    "tensorflow/python/training/__init__.py": "",
    "tensorflow/python/training/optimizer.py": """
from ..framework.ops import Operation
class Optimizer(object):
    def minimize(self, variables):
        return self.apply_gradients([(None, variable) for variable in variables])
    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        return Operation()
""",
    "tensorflow/python/client/__init__.py": "",
    "tensorflow/python/client/session.py": """
class Array(bytes):
    dtype, shape = 'float32', (60000000,)
    def tobytes(self):
        return bytes(self)
class BaseSession(object):
    graph = None
    _closed = False
    steps = 0
    def run(self, fetches, feed_dict=None):
        if feed_dict == 'wrong':
            raise ValueError('wrong shape')
        if isinstance(fetches, list) and fetches and hasattr(fetches[0], 'shape'):
            return [Array(b'%d' % self.steps) for variable in fetches]
        self.steps += 1
        return feed_dict
    def close(self):
        self._closed = True
class Session(BaseSession):
    pass
""",
}


BOOSTERS = {
    "xgboost/__init__.py": "from .training import train\nfrom . import sklearn\n",
    "xgboost/core.py": """
import json
class Booster(object):
    def __init__(self, rounds=()):
        self.rounds = list(rounds)
    def update(self, data, iteration):
        self.rounds.append(data)
    def eval_set(self, evals, iteration=0):
        return '[%d]' % iteration + ''.join('\\t%s-rmse:%s' % (name, value) for value, name in evals)
    def save_raw(self, raw_format='deprecated'):
        assert raw_format == 'ubj'
        return bytearray(repr(self.rounds).encode())
    def save_config(self):
        learner = {'train_param': {'eta': '0.3'}, 'updater': [{'name': 'grow'}]}
        return json.dumps({'learner': learner, 'version': [1, 2]})
""",
    "xgboost/training.py": """
from .core import Booster
def train(params, data, num_boost_round=10, evals=(), xgb_model=None):
    booster = Booster(xgb_model.rounds if xgb_model else ())
    for number in range(num_boost_round):
        booster.update(data, number)
        if evals:
            booster.eval_set([(value / (1 + number), name) for value, name in evals], number)
        if isinstance(data, Exception):
            raise data
    return booster
""",
    "xgboost/sklearn.py": """
from .training import train
class XGBRegressor(object):
    def fit(self, data, evals=()):
        self.booster = train({}, data, 2, evals)
        return self
""",
    "lightgbm/__init__.py": "from .engine import train\n",
    "lightgbm/basic.py": """
class Booster(object):
    def update(self, train_set=None):
        return False
    def eval_train(self, feval=None):
        return [('training', 'l2', 0.5, False)]
    def eval_valid(self, feval=None):
        return [('valid_1', 'ndcg@3', float('nan'), True)]
    def model_to_string(self):
        return 'tree\\n\\nparameters:\\n[boosting: gbdt]\\n[metric: ]\\n\\nend of parameters\\n'
""",
    "lightgbm/engine.py": """
from .basic import Booster
def train(params, train_set, num_boost_round=100, init_model=None):
    booster = Booster()
    for number in range(num_boost_round):
        booster.update()
        booster.eval_train()
        booster.eval_valid()
    return booster
""",
}

JAX = {
    "jax/__init__.py": """
import functools
from . import tree_util
from .arrays import Array, Tracer
def jit(fun, *, donate_argnums=()):
    @functools.wraps(fun)
    def compiled(*args):
        if not compiled.traced:
            compiled.traced = True
            fun(*tree_util.tree_map(Tracer, args))
        result = tree_util.tree_map(Array.copy, fun(*args))
        for number in donate_argnums:
            for leaf in tree_util.tree_leaves(args[number]):
                leaf.gone = True
        return result
    compiled.traced = False
    return compiled
pmap = jit
def value_and_grad(fun, has_aux=False):
    def differentiated(params, *args):
        return fun(params, *args), tree_util.tree_map(lambda leaf: leaf + 1, params)
    return differentiated
def grad(fun):
    return lambda *args: value_and_grad(fun)(*args)[1]
""",
    "jax/arrays.py": """
class Array(object):
    dtype, shape, gone, reads = 'float32', (), False, 0
    def __init__(self, value):
        self.value = value
    def copy(self):
        return type(self)(self.value)
    def __add__(self, other):
        return type(self)(self.value + other)
    def addressable_data(self, index):
        assert not self.gone
        return self.copy()
    def is_deleted(self):
        return self.gone
    def __float__(self):
        assert not self.gone
        Array.reads += 1
        return float(self.value)
    def tobytes(self):
        assert not self.gone
        return repr((float(self.value), self.shape)).encode()
class Weight(Array):
    shape = (2, 3)
class Series(Array):
    shape = (3,)
    @property
    def size(self):
        return 3
    def astype(self, dtype):
        return self
    def ravel(self):
        return [self.value, self.value / 2, self.value / 4]
class Tracer(Array):
    def __init__(self, leaf):
        self.value, self.shape, self._trace = leaf.value, leaf.shape, True
    def copy(self):
        return self
    def __add__(self, other):
        return self
""",
    "jax/tree_util.py": """
def tree_leaves(tree):
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in tree_leaves(part)]
    return [] if tree is None else [tree]
def tree_map(change, tree):
    if isinstance(tree, dict):
        return {key: tree_map(change, part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(tree_map(change, part) for part in tree)
    return change(tree) if hasattr(tree, 'dtype') else tree
""",
    "optax/__init__.py": """
from .alias import sgd
def apply_updates(params, updates):
    return params + -2
""",
    "optax/alias.py": """
def sgd(learning_rate, momentum=None):
    return (learning_rate, momentum)
""",
}


@cache
def interpreters() -> dict[str, Path]:
    """The CPythons that the probe is for and that this machine has, by minor release."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": Path(sys.executable)}
    for python in sorted(root.glob("versions/3.*/bin/python")):
        release = re.match(r"3\.(\d+)", python.parents[1].name)
        if release and 6 <= int(release[1]) <= 13:
            found.setdefault(f"3.{release[1]}", python)
    return found


def on_every(*, of: slice = slice(None)) -> pytest.MarkDecorator:
    """Runs a test on every CPython, or on some of them in the order of their releases."""
    names = sorted(interpreters(), key=lambda name: int(name[2:]))[of]
    return pytest.mark.parametrize("python", [interpreters()[name] for name in names], ids=names)


OLDEST_AND_NEWEST = on_every(of=slice(None, None, max(len(interpreters()) - 1, 1)))
EVERY_PYTHON = on_every() if os.environ.get("RUNNER_ALL_PYTHONS") == "1" else OLDEST_AND_NEWEST
"""Every CPython where RUNNER_ALL_PYTHONS=1, as in CI; a child process each is what these tests take their time for."""


@cache
def validator(kind: str) -> Draft202012Validator:
    """Checks an event of a kind against the contract; only that part of it, which is the quicker by far."""
    schema = json.loads((PROBE / "events.schema.json").read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


@dataclass(frozen=True)
class Told:
    """What a script wrote and what the probe wrote of it."""

    exit_code: int
    out: str
    err: str
    channel: Path

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Every event, held against the schema."""
        events = [json.loads(line) for line in self.channel.read_text().splitlines()]
        for event in events:
            errors = [error.message for error in validator(event["event"]).iter_errors(event)]
            assert not errors, (event, errors)
        return events

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds, without their time."""
        return [
            {name: value for name, value in event.items() if name not in ("t", "event")}
            for event in self.events
            if event["event"] in kinds
        ]

    def only(self, kind: str) -> dict[str, Any]:
        """The one event of a kind."""
        (event,) = self.of(kind)
        return event


def run(
    python: Path, folder: Path, script: str, *arguments: str, env: Mapping[str, str] | None = None, probe: bool = True
) -> Told:
    """Run `script` in `folder/work` as a trial; `keras` is on its path, the channel beside the folder."""
    work = folder / "work"
    site = folder / "site"
    for name, text in {**KERAS, **TENSORFLOW_1, **BOOSTERS, **JAX}.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    work.mkdir(exist_ok=True)
    (work / "train.py").write_text(script)
    channel = folder / "channel"
    channel.write_bytes(b"")
    paths = [str(PROBE), str(site)] if probe else [str(site)]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        **(env or {}),
    }
    if probe:
        variables["RUNNER_CHANNEL"] = str(channel)
    command = [str(python), *(arguments or ("train.py",))]
    done = subprocess.run(command, cwd=work, env=variables, capture_output=True, text=True, timeout=30, check=False)
    return Told(done.returncode, done.stdout, done.stderr, channel)
