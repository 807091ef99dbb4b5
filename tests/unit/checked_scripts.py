"""Scripts to check, against histories of Keras, NumPy and scikit-learn as small as the tests need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histories_made import KWARGS, MODULE, VALUE, by_root, cls, function, history, method

from runner.check.checker import Checker
from runner.scripts.script import read_script
from runner.scripts.source import edited

if TYPE_CHECKING:
    from pathlib import Path

    from runner.check.findings import Finding

OPTIMIZER_WORDS = "`lr` is deprecated in Keras optimizer, please use `learning_rate` or use the legacy optimizer"

NOT_TO_PASS = "Do not pass an `input_shape`/`units` argument to a layer. Prefer an `Input(shape)` object."


def _keras(release: str) -> dict[str, dict]:
    """Keras as it was in 2.2.4, 2.10.0, 2.11.0 and 3.3.3, in a dozen names."""
    old, three, new = release == "2.2.4", release == "3.3.3", release in {"2.11.0", "3.3.3"}
    layer = ["units", ["activation", "None"], KWARGS]
    facts = {
        "keras": MODULE,
        "keras.models": MODULE,
        "keras.layers": MODULE,
        "keras.utils": MODULE,
        "keras.optimizers": MODULE,
        "keras.callbacks": MODULE,
        "keras.Sequential": {"t": "keras.models.Sequential"},
        "keras.Model": {"t": "keras.models.Model"},
        "keras.models.Model": cls("inputs", "outputs"),
        "keras.models.Model.compile": method("optimizer", ["loss", "None"], ["metrics", "None"]),
        "keras.models.Model.fit": method("x", "y", ["epochs", "1"], ["verbose", "'auto'" if three else "1"]),
        "keras.models.Model.predict": method("x"),
        "keras.models.Sequential": cls(["layers", "None"], bases=("keras.models.Model",)),
        "keras.models.Sequential.add": method("layer"),
        "keras.models.load_model": function("path"),
        "keras.callbacks.History": cls(),
        "keras.callbacks.EarlyStopping": cls(["monitor", "'val_loss'"]),
        "keras.layers.Layer": cls(KWARGS),
        "keras.layers.Dense": cls(
            *layer,
            bases=("keras.layers.Layer",),
            **(
                {"r": {"batch_input_shape": "Unrecognized"}, "a": {"input_shape": NOT_TO_PASS}}
                if three
                else {"a": {"batch_input_shape": ""}}
            ),
        ),
        "keras.layers.Input": function(["shape", "None"], ["batch_shape", "None"]),
        "keras.layers.Layer.add_weight": method(
            *(["shape", "initializer", "name"] if three else ["name", "shape", "initializer"])
        ),
        "keras.utils.to_categorical": function("y"),
        "keras.optimizers.Adadelta": cls(
            ["learning_rate", "1.0" if old else "0.001"], *([] if three else [["decay", "0.0"]])
        ),
    }
    if old:
        facts["keras.optimizers.SGD"] = cls(["lr", "0.01"])
    else:
        words = (
            {"r": {"lr": "not recognized"}} if three else {"a": {"lr": OPTIMIZER_WORDS}} if new else {"a": {"lr": ""}}
        )
        facts["keras.optimizers.SGD"] = cls(["learning_rate", "0.01"], KWARGS, **words)
    if not three:
        facts["keras.models.Model.fit_generator"] = method("generator", ["steps_per_epoch", "None"])
        facts["keras.models.Sequential.predict_classes"] = method("x")
        facts["keras.layers.core"] = MODULE
        facts["keras.layers.core.Dense"] = {"t": "keras.layers.Dense"}
        facts["keras.layers.core.Activation"] = cls("activation")
        facts["keras.utils.np_utils"] = MODULE
        facts["keras.utils.np_utils.to_categorical"] = {"t": "keras.utils.to_categorical"}
    facts["keras.layers.Activation"] = cls("activation")
    return facts


KERAS = history("keras", {release: _keras(release) for release in ("2.2.4", "2.10.0", "2.11.0", "3.3.3")})
NUMPY = history(
    "numpy",
    {
        "1.19.5": {
            "numpy": MODULE,
            "numpy.float": VALUE,
            "numpy.float_": VALUE,
            "numpy.float64": VALUE,
            "numpy.array": function("object"),
            "numpy.ndarray": cls(),
            "numpy.ndarray.tostring": method(),
            "numpy.ndarray.astype": method("dtype"),
        },
        "2.0.0": {
            "numpy": MODULE,
            "numpy.float64": VALUE,
            "numpy.array": function("object"),
            "numpy.ndarray": cls(),
            "numpy.ndarray.astype": method("dtype"),
        },
    },
)
SKLEARN = history(
    "scikit-learn",
    {
        "0.19.2": {
            "sklearn": MODULE,
            "sklearn.cross_validation": MODULE,
            "sklearn.cross_validation.KFold": cls("n"),
            "sklearn.externals": MODULE,
            "sklearn.externals.joblib": MODULE,
            "sklearn.model_selection": MODULE,
            "sklearn.model_selection.KFold": cls(["n_splits", "3"], ["shuffle", "False"]),
        },
        "1.0.2": {
            "sklearn": MODULE,
            "sklearn.model_selection": MODULE,
            "sklearn.model_selection.KFold": cls(["n_splits", "5"], ["shuffle", "False", "k"]),
        },
    },
)
OLD = {"keras": "2.2.4", "numpy": "1.19.5", "scikit-learn": "0.19.2"}
NEW = {"keras": "3.3.3", "numpy": "2.0.0", "scikit-learn": "1.0.2"}


class Checked:
    """A script in a folder, and what is found in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, text: str, before: dict | None = OLD, after: dict = NEW, **modules: str) -> tuple[Finding, ...]:
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source)
        (self.folder / "train.py").write_text(text)
        script = read_script(self.folder, "train.py")
        return Checker(script, by_root(KERAS, NUMPY, SKLEARN)).findings(before, after)

    def breaks(self, text: str, before: dict | None = OLD, after: dict = NEW, **modules: str) -> list[str]:
        found = self.find(text, before, after, **modules)
        return [f"{one.path}{'.' if one.argument else ''}{one.argument}" for one in found if one.kind == "breaks"]

    def mended(self, text: str, before: dict | None = OLD, after: dict = NEW) -> str:
        found = self.find(text, before, after)
        return edited(text, {one.edit for one in found if one.edit is not None})
