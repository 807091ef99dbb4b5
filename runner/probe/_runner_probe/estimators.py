"""What is read of an estimator of scikit-learn: whether it trains, its settings, what it learned and what that came to.

Nothing is read but what lies in the estimator's own attributes: a property might compute.
"""

import hashlib
import inspect
import json
import pickle
import weakref

from . import phases, weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTHING = hashlib.sha256(b"").hexdigest()
"""The digest of what an estimator has learned that begins anew."""
CURVES = (
    ("loss_curve_", "loss"),
    ("validation_scores_", "validation_score"),
    ("lower_bounds_", "lower_bound"),
    ("loglike_", "loglike"),
    ("error_", "loss"),
    ("estimator_errors_", "estimator_error"),
)
NUMBERS = (
    *("best_loss_", "best_validation_score_", "best_score_", "oob_score_", "inertia_", "kl_divergence_"),
    *("reconstruction_err_", "lower_bound_", "dual_gap_", "stress_", "bound_", "n_iter_"),
)
LATEST = (*((name, name.rstrip("_")) for name in NUMBERS if name != "n_iter_"), ("loss_", "loss"))
"""The attributes with a number of the last step, by the names that these are told by."""
ARRAYS = (
    *("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_", "components_", "cluster_centers_", "means_"),
    *("weights_", "theta_", "embedding_", "feature_log_prob_", "scalings_"),
)
KNOWN = frozenset(
    (
        *("builtins", "collections", "copyreg", "functools", "joblib", "lightgbm", "numpy", "pandas"),
        *("scipy", "sklearn", "xgboost"),
    )
)
"""Packages whose objects can be pickled without an effect on what a script does."""
MOST = 100


def is_trained(estimator: "Any") -> bool:
    """True where its `fit` is a training: it predicts, or it iterates; a scaler or an encoder does neither."""
    return hasattr(estimator, "predict") or "max_iter" in settings(estimator)


def settings(estimator: "Any") -> "dict[str, Any]":
    """Its parameters by name."""
    return dict(estimator.get_params(deep=False)) if hasattr(estimator, "get_params") else {}


def final(estimator: "Any") -> "Any":
    """The estimator that learns in the end: the last step of a pipeline, the best candidate of a search."""
    for _ in range(MOST):
        own = vars(estimator)
        inner = own.get("best_estimator_")
        if inner is None and own.get("steps"):
            inner = own["steps"][-1][1]
        elif inner is None and type(estimator).__name__.endswith("SearchCV"):
            inner = own.get("estimator")
        if not hasattr(inner, "get_params"):
            break
        estimator = inner
    return estimator


def planned_epochs(estimator: "Any") -> "int | None":
    """The epochs that it is to have, where it has any that can be told."""
    one = final(estimator)
    kind, given = type(one).__name__, settings(one)
    if not (kind.startswith("MLP") or "GradientBoosting" in kind):
        return None
    planned = given.get("max_iter", given.get("n_estimators"))
    return planned if isinstance(planned, int) and planned > 0 else None


def results(estimator: "Any") -> "tuple[dict[str, list[float]], dict[str, float]]":
    """The curves that it kept, a value an epoch each, and its other numbers, by name."""
    one = final(estimator)
    own = vars(one)
    curves = {name: _curve(own.get(attribute)) for attribute, name in CURVES if own.get(attribute) is not None}
    if own.get("train_score_") is not None:
        curves.update(_scores(own, settings(one)))
    found = {attribute: own.get(attribute) for attribute in NUMBERS}
    if not curves.get("loss"):
        found["loss"] = own.get("loss_")
    found.update({name: value for name, value in vars(estimator).items() if name == "best_score_"})
    return (
        {name: values for name, values in curves.items() if values},
        {name.rstrip("_"): value for name, value in _numbers(found).items()},
    )


def latest(estimator: "Any") -> "dict[str, float]":
    """What it came to with the data that it was given last: its numbers, and the ends of its curves."""
    own = vars(final(estimator))
    found = {name: own[attribute] for attribute, name in LATEST if attribute in own}
    for attribute, name in CURVES:
        if own.get(attribute) is not None and len(own[attribute]):
            found[name] = own[attribute][-1]
    return _numbers(found)


def architecture(estimator: "Any") -> str:
    """SHA-256 (hex) over the classes of an estimator and of those in its parameters."""
    return hashlib.sha256(json.dumps([type(one).__name__ for one in _nested(estimator)]).encode("ascii")).hexdigest()


def config_texts(estimator: "Any") -> "list[tuple[str, str]]":
    """(what, JSON text): as a model whose layers are the estimator and those in its parameters, and as an optimizer."""
    layers = [_config(one) for one in _nested(estimator)]
    model = {"class_name": type(estimator).__name__, "config": {"layers": layers}}
    texts = [("model", model), ("optimizer", _config(final(estimator)))]
    return [(what, json.dumps(config, sort_keys=True)[: phases.CONFIG_BYTES]) for what, config in texts]


class EstimatorState:
    """What an estimator has learned so far."""

    def __init__(self, estimator: "Any") -> None:
        self._estimator = weakref.ref(estimator)

    def is_warm(self) -> bool:
        """True where its `fit` goes on with what it has learned."""
        one = final(self._estimator())
        return bool(settings(one).get("warm_start")) and any(_is_learned(name) for name in vars(one))

    def digest(self) -> "str | None":
        """SHA-256 (hex) over the estimator as it is pickled.

        None where it is gone, holds what the script or another framework defines how to pickle, or is too large.
        """
        estimator = self._estimator()
        if estimator is None:
            return None
        found = Digest()
        try:
            Pickler(found).dump(vars(estimator).get("best_estimator_", estimator))
        except (UnknownObjectError, pickle.PicklingError, AttributeError, TypeError):
            return None
        return found.hexdigest()

    def norm(self) -> "float | None":
        """The norm of its coefficients, or what it has in their place."""
        estimator = self._estimator()
        own = {} if estimator is None else vars(final(estimator))
        found = [array for name in ARRAYS for array in _arrays(own.get(name))]
        if not found or sum(array.size for array in found) > weights.NORM_PARAMETERS:
            return None
        return weights.norm(found)


class UnknownObjectError(Exception):
    """What is to be pickled is not to be."""


class Digest:
    """A file that hashes what is written to it."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()
        self._left = weights.DIGEST_BYTES
        self.hexdigest = self._found.hexdigest

    def write(self, part: "Any") -> None:
        """Add some bytes."""
        self._left -= len(part)
        if self._left < 0:
            raise UnknownObjectError
        self._found.update(part)


class Pickler(pickle.Pickler):
    """Pickles what can be pickled without running code of the script's or of another framework's."""

    def __init__(self, file: "Any") -> None:
        super().__init__(file, protocol=4)
        self._known: set[type] = set()

    def persistent_id(self, thing: "Any") -> None:
        """Called with everything that is pickled."""
        cls = type(thing)
        if cls not in self._known:
            if not _is_known(cls):
                raise UnknownObjectError
            self._known.add(cls)


def _is_known(cls: type) -> bool:
    """True where no Python code of an unknown package says how it is pickled."""
    for name in ("__reduce_ex__", "__reduce__", "__getstate__"):
        owner = next((one for one in cls.__mro__ if name in vars(one)), object)
        if inspect.isfunction(vars(owner).get(name)) and owner.__module__.partition(".")[0] not in KNOWN:
            return False
    return True


def _nested(estimator: "Any") -> "list[Any]":
    found: list[Any] = []
    waiting: list[Any] = [estimator]
    while waiting and len(found) < MOST:
        one = waiting.pop(0)
        if isinstance(one, (list, tuple)):
            waiting += one[:MOST]
        elif hasattr(one, "get_params") and not isinstance(one, type):
            found.append(one)
            waiting += settings(one).values()
    return found


def _config(estimator: "Any") -> "Any":
    config = {name: _setting(value) for name, value in settings(estimator).items()}
    return {"class_name": type(estimator).__name__, "config": config}


def _setting(value: "Any") -> "Any":
    """A parameter as JSON has it; of what JSON does not have, its name or class."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if value - value == 0 else str(float(value))
    if isinstance(value, (list, tuple)):
        return [_setting(one) for one in value[:MOST]]
    if isinstance(value, dict):
        return {str(name): _setting(one) for name, one in list(value.items())[:MOST]}
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return value.item()
    return getattr(value, "__name__", type(value).__name__)


def _is_learned(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _curve(values: "Any") -> "list[float]":
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError):
        return []


def _scores(own: "Any", given: "Any") -> "dict[str, list[float]]":
    """The curves of gradient boosting: losses, or with histograms scores; the score of a loss is the loss negated."""
    train, validation = _curve(own["train_score_"]), _curve(own.get("validation_score_"))
    if given.get("scoring", "loss") != "loss":
        return {"train_score": train, "validation_score": validation}
    if "scoring" in given:
        train, validation = [-value for value in train], [-value for value in validation]
    return {"loss": train, "val_loss": validation}


def _numbers(found: "dict[str, Any]") -> "dict[str, float]":
    """Those that are numbers; of several, as the iterations for each class are, the largest."""
    numbers = {}
    for name, value in found.items():
        if value is None:
            continue
        try:
            numbers[name] = float(value if isinstance(value, float) or not hasattr(value, "max") else value.max())
        except (TypeError, ValueError):
            continue
    return numbers


def _arrays(value: "Any") -> "list[Any]":
    """The arrays of numbers in an attribute, which may be a list of them."""
    some = value if isinstance(value, list) else [value]
    return [one for one in some if getattr(getattr(one, "dtype", None), "kind", "") == "f" and hasattr(one, "tobytes")]
