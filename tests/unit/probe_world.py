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
    "keras/__init__.py": "__version__ = '2.2.4'\nfrom . import models, callbacks, optimizers\n",
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
    for name, text in {**KERAS, **TENSORFLOW_1}.items():
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
