"""What is read from live objects: a made package, looked at by the program that runs in environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.history.particulars import LOOKING

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = {
    "__init__.py": '''
"""A package."""
from pack import layers
from pack.layers import Dense
from pack.optimizers import Optimizer, SGD
import math, os
integer = int
PI = 3

def renamed(a, b=2, *rest, c=layers.Layer, **others):
    """Adds (deprecated).

    Warning: THIS FUNCTION IS DEPRECATED. It will be removed in 3.
    Instructions for updating: use add.

    Something else.
    """

def __getattr__(name):
    if name == "old":
        import warnings
        warnings.warn("old is deprecated, use new", DeprecationWarning)
        return 1
    if name == "gone":
        raise AttributeError("gone was removed: use renamed")
    raise AttributeError(name)
''',
    "layers.py": """
import functools

def legacy(make):
    @functools.wraps(make)
    def wrapper(self, *args, **kwargs):
        if "output_dim" in kwargs:
            kwargs["units"] = kwargs.pop("output_dim")
        return make(self, *args, **kwargs)
    wrapper._original_function = make
    return wrapper

class _Base:
    def add_weight(self, shape): pass

class Layer(_Base):
    def __init__(self, **kwargs):
        for name in kwargs:
            if name not in ("input_shape", "name"):
                raise TypeError("Keyword argument not understood:", name)
    @property
    def weights(self): pass
    def call(self, inputs): pass
    @staticmethod
    def of(config):
        import warnings
        warnings.warn("`of` is deprecated: use `make`")
    @classmethod
    def make(cls, config): pass

class Dense(Layer):
    @legacy
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)

Fully = Dense
""",
    "optimizers.py": """
import warnings

class Optimizer:
    pass

class SGD(Optimizer):
    def __init__(self, learning_rate=0.01, **kwargs):
        if "lr" in kwargs:
            warnings.warn("`lr` is deprecated, use `learning_rate`")
            kwargs.pop("lr")
        if "decay" in kwargs:
            raise ValueError("decay is deprecated in the new optimizer")
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
SGD.__module__ = "keras.optimizers"
""",
    "compiled.py": '''
class fused_cython_function:
    """What asking older ones for the defaults of their keywords does to the process."""
    __name__ = __qualname__ = "solve"
    __module__ = "pack.compiled"
    __code__ = (lambda weights, alpha, positive: 0).__code__
    __defaults__ = (False,)
    def __call__(self): pass
    @property
    def __kwdefaults__(self):
        import os
        os._exit(139)

solve = fused_cython_function()
''',
    "words.py": '''
class _Namespace(type(__import__("os"))):
    def __getattr__(self, name):
        raise RuntimeError("it is asked for " + name)

namespace = _Namespace("pack.namespace")

class _Loader:
    def __getattr__(self, name):
        import pack.b.inner
        return getattr(pack.b.inner, name)

lazy = _Loader()

def train(parameters, feval=None):
    """Train.

    Parameters
    ----------
    parameters : what is deprecated elsewhere
    feval : a function

        .. deprecated:: 1.6.0
           Use `custom_metric`.

    train is not deprecated.
    """

def product(a):
    """A product.

    .. deprecated:: 1.25
        Use prod.

    Parameters
    ----------
    a : an array
    """
''',
    "a/__init__.py": "from pack.b import inner as other",
    "b/__init__.py": "",
    "b/inner.py": "def used(): pass",
    "test_layers.py": "raise SystemExit('a test was imported')",
    "utils/__init__.py": "def to_categorical(y): pass",
    "utils/broken.py": "import nothing_of_this_name",
}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the made package is seen to be."""
    folder = tmp_path_factory.mktemp("looked")
    for name, text in PACKAGE.items():
        (folder / "pack" / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / "pack" / name).write_text(text)
    question = {
        "package": "pack",
        "roots": ["pack"],
        "own": ["keras"],
        "modules": [],
        "skip": [],
        "shallow": [],
        "listed": True,
        "known": ["pack.old", "pack.gone", "pack.never", "pack.PI"],
        "arguments": {"Dense": {"units": None, "output_dim": None}},
    }
    return looked(folder, question)


def looked(folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    (folder / "question.json").write_text(json.dumps(question))
    subprocess.run(
        [sys.executable, LOOKING / "public_names.py", folder / "question.json", folder / "answer.json"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


def test_modules_are_found_as_attributes_and_as_files(facts: dict[str, Any]) -> None:
    modules = {path for path, fact in facts.items() if fact.get("k") == "module"}
    assert modules == {
        *("pack", "pack.layers", "pack.optimizers", "pack.utils", "pack.compiled", "pack.words"),
        *("pack.words.namespace", "pack.a", "pack.b", "pack.b.inner"),
    }
    assert facts["pack.utils.to_categorical"] == {"k": "function", "p": ["y"]}


def test_an_object_of_two_names_is_kept_once(facts: dict[str, Any]) -> None:
    assert facts["pack.layers.Dense"] == {"t": "pack.Dense"}
    assert facts["pack.layers.Fully"] == {"t": "pack.Dense"}
    assert facts["pack.integer"] == {"k": "class", "t": "builtins.int"}
    assert facts["pack.PI"] == {"k": "value"}


def test_signatures_are_those_below_decorators(facts: dict[str, Any]) -> None:
    assert facts["pack.Dense"]["p"] == ["units", ["activation", "None"], ["kwargs", None, "w"]]
    assert facts["pack.renamed"]["p"] == [
        "a",
        ["b", "2"],
        ["rest", None, "a"],
        ["c", "pack.layers.Layer", "k"],
        ["others", None, "w"],
    ]


def test_a_compiled_function_is_not_asked_for_what_ends_the_process(facts: dict[str, Any]) -> None:
    assert facts["pack.compiled.solve"] == {"k": "function", "p": ["weights", "alpha", ["positive", "False"]]}


def test_a_module_has_the_path_that_it_calls_itself(facts: dict[str, Any]) -> None:
    assert facts["pack.a.other"] == {"t": "pack.b.inner"}
    assert facts["pack.words.lazy"] == {"t": "pack.b.inner"}
    assert facts["pack.b.inner.used"] == {"k": "function", "p": []}


def test_members_lose_self_and_stand_where_they_are_defined(facts: dict[str, Any]) -> None:
    assert facts["pack.layers.Layer.call"] == {"k": "method", "p": ["inputs"]}
    assert facts["pack.layers.Layer.of"] == {"k": "method", "p": ["config"], "d": "`of` is deprecated: use `make`"}
    assert facts["pack.layers.Layer.make"] == {"k": "method", "p": ["config"]}
    assert facts["pack.layers.Layer.weights"] == {"k": "property"}
    assert "pack.Dense.call" not in facts
    assert facts["pack.Dense"]["b"] == ["pack.layers.Layer"]
    assert facts["pack.layers.Layer"]["b"] == ["~pack.layers._Base"]
    assert facts["~pack.layers._Base.add_weight"] == {"k": "method", "p": ["shape"]}


def test_what_a_package_says_is_kept(facts: dict[str, Any]) -> None:
    said = "THIS FUNCTION IS DEPRECATED. It will be removed in 3. Instructions for updating: use add."
    assert facts["pack.renamed"]["d"] == said
    assert facts["pack.old"] == {"k": "value", "d": "old is deprecated, use new"}
    assert facts["pack.gone"] == {"k": "gone", "d": "gone was removed: use renamed"}
    assert "pack.never" not in facts


def test_what_is_said_of_an_argument_is_not_said_of_the_function(facts: dict[str, Any]) -> None:
    assert facts["pack.words.train"] == {"k": "function", "p": ["parameters", ["feval", "None"]]}
    assert facts["pack.words.product"]["d"] == ".. deprecated:: 1.25 Use prod."


def test_arguments_of_layers_are_found_by_giving_them(facts: dict[str, Any]) -> None:
    dense = facts["pack.Dense"]
    assert set(dense["a"]) == {"input_shape", "name", "output_dim"}
    assert "batch_input_shape" in dense["r"]
    assert "not understood" in dense["r"]["trainable"]


def test_arguments_of_optimizers_are_found_with_what_is_said_of_them(facts: dict[str, Any]) -> None:
    sgd = facts["pack.SGD"]
    assert sgd["a"] == {"lr": "`lr` is deprecated, use `learning_rate`"}
    assert sgd["r"]["decay"] == "decay is deprecated in the new optimizer"
    assert "not recognized" in sgd["r"]["clipnorm"]
