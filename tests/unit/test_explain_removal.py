"""What a failure says is gone, read from its words, and what the objects themselves say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from outcomes_records import crash, epochs, record
from packaging.version import Version

from runner.explain.removal import missing_in, remembered, removed_name
from runner.history.folding import Look, folded, write_history
from runner.investigate.question import Combination
from runner.outcomes.account import RemovedName
from runner.preludes.prelude import looking
from runner.trials.record import ScriptException
from runner.trials.trial import PROBE

if TYPE_CHECKING:
    from pathlib import Path


CLASS = '''
import warnings

class Sequential:
    """A model."""

    def __init__(self, learning_rate=0.01, name=None):
        """The `lr` argument is deprecated, use `learning_rate` instead."""

    def predict(self):
        """Predict."""

    def predict_classes(self):
        """Classes."""
        warnings.warn("`model.predict_classes()` is deprecated. Please use instead: `np.argmax(model.predict(x))`.")

    predict_step = None

model = Sequential()
'''
PRELUDE = "class prelude:\n applied = staticmethod(print)\n failed = staticmethod(print)\n"


def looked(question: tuple[str, str, str], script: str = CLASS) -> dict[str, Any]:
    source = f"{PRELUDE}\n{looking(*question).source}"
    tools = f"import sys\nsys.path.insert(0, {str(PROBE)!r})\n"
    code = f"{tools}exec({source!r}, {{'__name__': '__prelude__'}})\n{script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def raised(kind: str, message: str, source: str = "") -> RemovedName | None:
    return missing_in(
        ScriptException(type=kind, message=message, traceback="", source=source, stage="training", phase="")
    )


@pytest.mark.parametrize(
    ("kind", "message", "source", "expected"),
    [
        ("AttributeError", "'Sequential' object has no attribute 'predict_classes'", "", "Sequential predict_classes"),
        ("AttributeError", "module 'numpy' has no attribute 'bool'.\n`np.bool` was …", "", "numpy bool"),
        ("AttributeError", "type object 'Model' has no attribute 'load'", "", "Model load"),
        ("ImportError", "cannot import name 'np_utils' from 'keras.utils' (/a.py)", "", "keras.utils np_utils"),
        ("ValueError", "decay is deprecated in the new Keras optimizer, please", "SGD(0.1, decay=1e-3)", "SGD decay"),
        ("ImportError", "cannot import name 'keras'", "from tensorflow import keras", "tensorflow keras"),
        ("ModuleNotFoundError", "No module named 'keras.utils.np_utils'", "", "keras.utils np_utils"),
        ("TypeError", "__init__() got an unexpected keyword argument 'lr'", "model.compile(SGD(lr=0.1))", "SGD lr"),
        ("ValueError", "Argument(s) not recognized: {'lr': 0.1}", "sgd = SGD(momentum=0.9, lr=f(1))", "SGD lr"),
        ("ValueError", "Unrecognized keyword arguments passed to Dense: {'x': 1}", "Dense(1, x=(1, 2))", "Dense x"),
    ],
)
def test_what_is_missing_is_read_from_the_failure(kind: str, message: str, source: str, expected: str) -> None:
    missing = raised(kind, message, source)
    assert missing is not None
    assert f"{missing.owner} {missing.name}" == expected


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ValueError", "Shapes (2, 1) and (3, 1) are incompatible"),
        ("RuntimeError", "'Sequential' object has no attribute 'predict_classes'"),
        ("TypeError", "__init__() got an unexpected keyword argument 'lr'"),  # and no line says of what
    ],
)
def test_other_failures_name_nothing(kind: str, message: str) -> None:
    assert raised(kind, message) is None


def test_an_object_says_itself_what_replaced_a_method() -> None:
    found = looked(("attribute", "Sequential", "predict_classes"))
    assert (found["there"], found["where"]) == (True, "__main__.Sequential")
    assert "use instead: `np.argmax(model.predict(x))`" in found["said"]


def test_where_it_is_gone_the_names_that_are_alike_are_told() -> None:
    found = looked(("attribute", "Sequential", "predict_classes"), CLASS.replace("def predict_classes", "def classes"))
    assert (found["there"], found["said"]) == (False, "")
    assert found["near"][:2] == ["predict", "predict_step"]


def test_an_argument_is_told_by_its_initials_and_by_what_the_maker_says() -> None:
    found = looked(("argument", "Sequential", "lr"))
    assert (found["there"], found["near"]) == (False, ["learning_rate"])
    assert found["said"] == "The `lr` argument is deprecated, use `learning_rate` instead."


def test_a_module_that_warns_when_it_is_asked_is_heard() -> None:
    script = "import warnings, json\njson.__getattr__ = lambda name: warnings.warn('use `bool` by itself') or bool\n"
    found = looked(("attribute", "json", "bool"), script)
    assert (found["there"], found["said"]) == (True, "use `bool` by itself")


def test_an_object_that_is_not_there_is_not_guessed() -> None:
    assert looked(("attribute", "Functional", "predict_classes")) == {"found": False}


def test_what_is_told_fits_into_a_prelude_note() -> None:
    script = CLASS.replace("Please use instead", "Please use instead " + "\\u2026" * 400)
    found = looked(("attribute", "Sequential", "predict_classes"), script)
    assert len(json.dumps(found)) <= 1000
    assert found["said"]


@pytest.mark.parametrize(("asked", "expected"), [("acc", ("accuracy", "loss")), ("missing", None)])
def test_a_metric_that_is_logged_by_another_name_is_read_from_the_records(
    asked: str, expected: tuple[str, ...] | None
) -> None:
    good, bad = (Combination.of({"keras": version}) for version in ("2.2.5", "2.3.0"))
    fails = crash(f"'{asked}'", kind="KeyError", stage="after-training")
    trials = {
        good: [(record(epochs=epochs("fit-1", {"loss": 0.1, "acc": 0.9})), None)],
        bad: [(record(epochs=epochs("fit-1", {"loss": 0.1, "accuracy": 0.9}), **fails), None)],
    }
    found = removed_name(SimpleNamespace(trials=trials), good, bad)  # type: ignore[arg-type]
    assert (found and found.bad and found.bad.near) == expected
    assert found is None or found.package == "keras"


OLD = {
    "keras": {"k": "module"},
    "keras.utils": {"k": "module"},
    "keras.utils.np_utils": {"k": "module"},
    "keras.models": {"k": "module"},
    "keras.Sequential": {"k": "class", "p": []},
    "keras.models.Sequential": {"t": "keras.Sequential"},
    "keras.Sequential.predict_classes": {"k": "method", "p": [], "d": "use np.argmax"},
    "keras.Sequential.predict": {"k": "method", "p": []},
    "keras.SGD": {"k": "class", "p": [["kwargs", None, "w"]], "a": {"lr": "lr is deprecated"}},
}
NEW = {
    "keras": {"k": "module"},
    "keras.utils": {"k": "module"},
    "keras.Sequential": {"k": "class", "p": []},
    "keras.Sequential.predict": {"k": "method", "p": []},
    "keras.SGD": {"k": "class", "p": [["learning_rate", "0.01"], ["kwargs", None, "w"]], "r": {"lr": "not recognized"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A history of four releases of Keras, and of a TensorFlow of which none was looked at."""
    looks = [
        Look(release=Version(version), companions={}, facts=facts)
        for version, facts in (("2.2.0", OLD), ("2.2.4", OLD), ("3.0", NEW), ("3.3", NEW))
    ]
    write_history(tmp_path / "keras.gz", folded("keras", ["keras"], looks))
    write_history(tmp_path / "tensorflow.gz", folded("tensorflow", ["tensorflow"], []))
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "owner", "name", "said", "near"),
    [
        ("attribute", "keras.utils", "np_utils", "", ()),
        ("attribute", "keras.api.utils", "np_utils", "", ()),
        ("attribute", "Sequential", "predict_classes", "use np.argmax", ("predict",)),
        ("argument", "SGD", "lr", "lr is deprecated", ("learning_rate",)),
    ],
)
@pytest.mark.parametrize(("good", "bad"), [("2.2.4", "3.0"), ("2.2.3", "3.1")])  # also between two that are alike
def test_what_the_history_knows_is_not_looked_up(
    folder: Path, kind: str, owner: str, name: str, said: str, near: tuple[str, ...], good: str, bad: str
) -> None:
    missing = RemovedName(kind=kind, owner=owner, name=name)
    found = remembered(missing, {"keras": good}, {"keras": bad}, folder=folder)
    assert found is not None
    assert found.good is not None
    assert found.bad is not None
    assert (found.good.there, found.bad.there) == (True, False)
    assert found.package == "keras"
    assert found.good.said == said
    assert found.bad.near == near


@pytest.mark.parametrize(
    ("kind", "owner", "name", "good", "bad"),
    [
        ("attribute", "keras.utils", "never", "2.2.4", "3.0"),  # it is not there in the good cell either
        ("attribute", "keras.utils", "np_utils", "2.1", "3.0"),  # a release before those that were looked at
        ("attribute", "keras.utils", "np_utils", "2.3", "3.0"),  # one between two that tell otherwise
        ("argument", "SGD", "lr", "2.2.4", "2.9"),  # likewise
        ("attribute", "keras.utils", "np_utils", "2.2.4", "3.4"),  # one after those that were looked at
        ("attribute", "keras.utils", "np_utils", "2.2.4", "2.2.4"),  # it is there in both
        ("attribute", "Functional", "predict", "2.2.4", "3.0"),  # no such class
        ("argument", "SGD", "momentum", "2.2.4", "3.0"),  # it was not tried
        ("attribute", "pandas", "Panel", "2.2.4", "3.0"),  # a package without a history
    ],
)
def test_what_the_history_does_not_settle_is_looked_up(
    folder: Path, kind: str, owner: str, name: str, good: str, bad: str
) -> None:
    missing = RemovedName(kind=kind, owner=owner, name=name)
    assert remembered(missing, {"keras": good}, {"keras": bad}, folder=folder) is None
