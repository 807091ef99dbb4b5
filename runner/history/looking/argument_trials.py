"""Finds arguments that a signature does not name, by giving them: what is taken in `**kwargs`, or renamed.

An object is made with what it requires and one argument more; a model of one layer is compiled and trained with one
argument more. It counts as refused where what is raised says that there is no such argument, as taken where it works
with one of several values; else nothing is known.
"""

import ast
import inspect
import re
import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LAYER_ARGUMENTS = {
    "input_shape": "(8, 8, 3)",
    "batch_input_shape": "(2, 8, 8, 3)",
    "input_dim": "4",
    "input_length": "4",
    "batch_size": "2",
    "dtype": "'float32'",
    "name": "'a_name'",
    "trainable": "True",
    "weights": "None",
    "input_dtype": "'float32'",
    "autocast": "True",
    "dynamic": "False",
}
OPTIMIZER_ARGUMENTS = {
    "lr": "0.01",
    "learning_rate": "0.01",
    "decay": "0.0001",
    "clipnorm": "1.0",
    "clipvalue": "0.5",
    "global_clipnorm": "1.0",
    "name": "'a_name'",
    "epsilon": "1e-06",
    "weight_decay": "0.001",
    "use_ema": "False",
    "jit_compile": "False",
}
REFUSED = (
    r"unexpected keyword argument|not understood|not recogni[sz]ed|unrecogni[sz]ed|is deprecated in|"
    r"invalid (?:keyword )?argument|unknown (?:keyword )?argument|not (?:a )?supported|unexpected arg"
)
VALUES = (1, 2, "relu", (2, 2), 0.5, [1], None)
REQUIRED = {
    "layer": "layer",
    "cell": "cell",
    "cells": "cells",
    "function": "function",
    "target_shape": (4,),
    "dims": (1,),
    "kernel_size": 3,
    "activation": "relu",
    "p": 0.5,
    "rate": 0.5,
    "units": 3,
    "filters": 3,
    "learning_rate": 0.01,
}
METHODS = ("compile", "fit", "evaluate", "predict")
"""Of a model, those whose arguments are tried."""
SAID = 300


class Trials:
    """Tries the arguments of Keras' classes; `arguments` has, by a class's name, what any release takes."""

    def __init__(self, walk: "Any", arguments: "dict[str, dict[str, str | None]]") -> None:
        self._walk = walk
        self._arguments = arguments

    def run(self) -> None:
        """Try every class that takes more than its signature names; what was found goes into the walk's facts."""
        for path, cls in self._walk.classes:
            extra = self._candidates(cls)
            fact = self._walk.facts[path]
            named = [one for one in fact.get("p", ()) if isinstance(one, str) or one[2:] not in (["a"], ["w"])]
            names = {one if isinstance(one, str) else one[0] for one in named}
            if extra is None or not open_ended(cls.__init__, fact):
                continue
            wanted = {name: text for name, text in extra.items() if name not in names}
            required = [one for one in named if isinstance(one, str)]
            taken, refused = self._try_all(cls, required, wanted)
            if taken:
                fact["a"] = taken
            if refused:
                fact["r"] = refused
        for name in ("Sequential", "Model"):
            for cls in [cls for _, cls in self._walk.classes if cls.__name__ == name and "keras" in cls.__module__][:1]:
                for method in METHODS:
                    self._method(cls, method)

    def _method(self, cls: "Any", method: "str") -> None:
        """Try the arguments of a model's method; what was found is kept where the method is defined."""
        home = next((one for one in inspect.getmro(cls) if method in vars(one)), None)
        path = "%s.%s" % (self._walk.entered.get(id(home), ""), method)
        fact = self._walk.facts.get(path, {})
        if home is None or "a" in fact or "r" in fact or not open_ended(vars(home)[method], fact):
            return
        named = {one if isinstance(one, str) else one[0] for one in fact["p"]}
        wanted = {name: text for name, text in self._arguments.get(method, {}).items() if name not in named}
        try:
            use = user_of(cls, method)
            use()
        except Exception:
            return
        taken, refused = self._try_all(use, [], wanted)
        fact.update({key: found for key, found in (("a", taken), ("r", refused)) if found})

    def _candidates(self, cls: "Any") -> "dict[str, str | None] | None":
        """The arguments to try on a class; None for one that is no layer and no optimizer."""
        names = {one.__name__ for one in inspect.getmro(cls)}
        known = dict(self._arguments.get(cls.__name__, {}))
        if names & {"Layer", "BaseLayer"} and "Model" not in names:
            return {**LAYER_ARGUMENTS, **known}
        if names & {"Optimizer", "OptimizerV2", "_BaseOptimizer", "BaseOptimizer"} and "keras" in cls.__module__:
            return {**OPTIMIZER_ARGUMENTS, **known}
        return None

    def _try_all(
        self, cls: "Any", required: "list[str]", wanted: "dict[str, str | None]"
    ) -> "tuple[dict[str, str], dict[str, str]]":
        taken: dict[str, str] = {}
        refused: dict[str, str] = {}
        base = self._base(cls, required)
        if base is None:
            return taken, refused
        for name, text in sorted(wanted.items()):
            answer, words = self._try(cls, base, name, text)
            if answer is None and required:
                answer, words = self._renamed(cls, base, name)
            if answer is True:
                taken[name] = words
            elif answer is False:
                refused[name] = words
        return taken, refused

    def _base(self, cls: "Any", required: "list[str]") -> "dict[str, Any] | None":
        """Values for what a class requires, with which it can be made."""
        first = {name: REQUIRED.get(name, 1) for name in required}
        for value in (OFFERED, *VALUES):
            tried = {name: first[name] if value is OFFERED else value for name in required}
            if made(cls, tried)[0] is None:
                return tried
            if not required:
                return None
        return None

    def _try(self, cls: "Any", base: "dict[str, Any]", name: "str", text: "str | None") -> "tuple[bool | None, str]":
        others = VALUES[:5] if inspect.isclass(cls) else ()
        for value in (*_literal(text), None, *others):
            error, words = made(cls, {**base, name: value})
            if error is None:
                return True, words
            if says_no(error, name):
                return False, short(error)
        return None, ""

    def _renamed(self, cls: "Any", base: "dict[str, Any]", name: "str") -> "tuple[bool | None, str]":
        """An old name of something required can be given only in its place."""
        for left_out, value in base.items():
            others = {key: one for key, one in base.items() if key != left_out}
            error, words = made(cls, {**others, name: value})
            if error is None:
                return True, words
        return None, ""


OFFERED = object()


def open_ended(maker: "Any", fact: "dict[str, Any]") -> "bool":
    """True where the signature is not all: `**kwargs`, or a wrapper of Keras 2 that renames what Keras 1 took."""
    return hasattr(maker, "_original_function") or any(
        not isinstance(one, str) and one[2:] == ["w"] for one in fact.get("p", ())
    )


def user_of(cls: "Any", method: "str") -> "Any":
    """A function that calls a method of a new model of one layer, with further arguments, as far as training."""
    import numpy as np

    keras: Any = sys.modules["tensorflow"].keras if "tensorflow" in cls.__module__ else sys.modules["keras"]
    keras = sys.modules["tf_keras"] if cls.__module__.startswith("tf_keras") else keras
    layers = keras.layers
    inputs, targets = np.zeros((2, 2), "float32"), np.zeros((2, 1), "float32")

    def made_model() -> "Any":
        if cls.__name__ == "Sequential":
            model = cls()
            model.add(layers.Dense(1, input_shape=(2,)))
            return model
        entrance = layers.Input(shape=(2,))
        return cls(entrance, layers.Dense(1)(entrance))

    models = [made_model()]
    models[0].compile(loss="mse", optimizer="sgd")

    def use(**arguments: "Any") -> None:
        if method == "compile":
            model = made_model()
            model.compile(loss="mse", optimizer="sgd", **arguments)
            model.train_on_batch(inputs, targets)
        elif method == "predict":
            models[0].predict(inputs, verbose=0, **arguments)
        else:
            getattr(models[0], method)(inputs, targets, verbose=0, **arguments)

    return use


def made(cls: "Any", arguments: "dict[str, Any]") -> "tuple[Exception | None, str]":
    """What is raised in making an object (None: it is made), and what is said of one of the arguments."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            cls(**arguments)
        except Exception as error:
            return error, ""
    name = list(arguments)[-1] if arguments else ""
    told = [str(one.message) for one in warned]
    about = [text for text in told if re.search(r"\b%s\b" % re.escape(name), text) or "Update your" in text]
    return None, " ".join(about[0].split())[:SAID] if name and about else ""


def says_no(error: "Exception", name: "str") -> "bool":
    """True where an error is about there being no such argument."""
    text = str(error)
    return bool(re.search(REFUSED, text, re.IGNORECASE)) and bool(re.search(r"\b%s\b" % re.escape(name), text))


def short(error: "Exception") -> "str":
    """The words of an error, without addresses."""
    text = " ".join(map(str, error.args)) if len(error.args) > 1 else str(error)
    return re.sub(r" at 0x[0-9a-f]+", "", " ".join(text.split()))[:SAID]


def _literal(text: "str | None") -> "tuple[Any, ...]":
    try:
        return () if text is None else (ast.literal_eval(text),)
    except (ValueError, SyntaxError):
        return ()
