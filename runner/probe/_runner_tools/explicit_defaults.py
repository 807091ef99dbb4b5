"""Sets, in constructors of the frameworks' classes, values where the script goes by their defaults."""

import functools
import inspect
import json
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

PACKAGES = ("keras", "tf_keras", "tensorflow", "tensorflow.contrib.keras", "torch", "xgboost", "lightgbm")
ESTIMATORS = (
    *("calibration", "cluster", "covariance", "cross_decomposition", "decomposition", "discriminant_analysis"),
    *("ensemble", "feature_extraction", "feature_selection", "gaussian_process", "impute", "isotonic"),
    *("kernel_approximation", "kernel_ridge", "linear_model", "manifold", "mixture", "model_selection", "multiclass"),
    *("multioutput", "naive_bayes", "neighbors", "neural_network", "pipeline", "preprocessing", "random_projection"),
    *("semi_supervised", "svm", "tree"),
)
"""The packages of scikit-learn, which come in one by one."""
ROOTS = ("keras", "tf_keras", "torch", "sklearn", "xgboost", "lightgbm")


def install(prelude: "PreludeHandle", settings: "list[tuple[str, list[str], str]]") -> None:
    """Put values in the place of defaults; a setting is a class, the names of an argument, and a value as JSON."""
    explicit = ExplicitDefaults(prelude, settings)
    for package in (*PACKAGES, *("sklearn." + name for name in ESTIMATORS)):
        prelude.after_import(package, explicit.switch)


class ExplicitDefaults:
    """Puts itself around the constructor of each class that a setting names, once."""

    def __init__(self, prelude: "PreludeHandle", settings: "list[tuple[str, list[str], str]]") -> None:
        self._prelude = prelude
        self._settings = settings
        self._switched: set[type] = set()

    def switch(self, package: "Any") -> None:
        """Go through the classes of all modules of frameworks that are imported by now."""
        for name, module in list(sys.modules.items()):
            if _is_framework(name):
                for cls in list(getattr(module, "__dict__", {}).values()):
                    if inspect.isclass(cls) and _is_framework(cls.__module__) and cls not in self._switched:
                        self._switched.add(cls)
                        for called, keys, value in self._settings:
                            if re.sub(r"(Initializer|V[0-9]+)$", "", cls.__name__) == called:
                                self._switch_class(cls, keys, json.loads(value))

    def _switch_class(self, cls: "Any", keys: "list[str]", value: "Any") -> None:
        prelude = self._prelude
        make = cls.__init__
        signature = inspect.signature(make)
        standard = _standard_of(cls, keys)
        is_only = len(self._settings) == 1

        def make_explicit(thing: "Any", standard: "Any", args: "Any", kwargs: "Any") -> None:
            given = {key: kwargs[key] for key in kwargs if key not in keys}
            given[standard.name] = value
            make(thing, *args, **given)
            prelude.applied("%s.%s(%s=%s)" % (cls.__module__, cls.__name__, standard.name, json.dumps(value)))

        @functools.wraps(make)
        def make_switched(self: "Any", *args: "Any", **kwargs: "Any") -> None:
            by_default = _is_of(self, cls) and not _was_given(signature, keys, (self, *args), kwargs)
            if by_default and standard is None and is_only:
                prelude.failed(TypeError("%s takes no argument %s" % (cls.__name__, keys[0])))
            if by_default and standard is not None and not _is_same(standard.default, value):
                make_explicit(self, standard, args, kwargs)
                return
            make(self, *args, **kwargs)
            if _is_of(self, cls) and standard is not None and not _is_heeded(self, standard, keys, kwargs):
                make_explicit(self, standard, args, kwargs)

        make_switched.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = make_switched


def _is_framework(name: str) -> bool:
    parts = str(name).split(".")
    return parts[0] in ROOTS or (parts[0].startswith("tensorflow") and "keras" in parts)


def _is_of(thing: "Any", cls: "Any") -> bool:
    """True where an object is of this class itself, or of the one of its name that Keras has for its backend."""
    own = type(thing)
    return own is cls or (own.__name__ == cls.__name__ and _is_framework(own.__module__))


def _is_same(default: "Any", value: "Any") -> bool:
    """True where a default is a value that was read from JSON, which has no tuples."""
    return bool((list(default) if isinstance(default, tuple) else default) == value)


def _standard_of(cls: "Any", keys: "Any") -> "Any":
    """The parameter that the setting is, of the class or of one that it hands further arguments to; None without."""
    for one in cls.__mro__:
        if "__init__" in vars(one):
            parameters = inspect.signature(vars(one)["__init__"]).parameters if one is not object else {}
            for key in keys:
                if key in parameters:
                    return parameters[key]
            if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
                return None
    return None


def _was_given(signature: "Any", keys: "Any", args: "Any", kwargs: "Any") -> "Any":
    try:
        given = set(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:  # arguments of an older Keras, which the class itself understands
        given = set()
    return bool(set(keys) & (given | set(kwargs)))


def _is_heeded(thing: "Any", standard: "Any", keys: "Any", kwargs: "Any") -> "Any":
    """True where an object has the value that it was given by an older name.

    Some accept `lr` and go by their default.
    """
    given = [kwargs[key] for key in keys if key in kwargs and key != standard.name]
    try:
        return not given or abs(float(thing.get_config()[standard.name]) - float(given[0])) <= 1e-6 * abs(given[0])
    except (AttributeError, KeyError, TypeError, ValueError):
        return True
