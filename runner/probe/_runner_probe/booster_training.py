"""Training with XGBoost and LightGBM: a call of `train` is a phase, a round of boosting that is evaluated an epoch.

Their classes for scikit-learn call it too. The names of metrics are those of the library, such as `validation_0-rmse`,
with `_` for what a criterion can't name.
"""

import hashlib
import inspect
import json
import re
import time
from _thread import get_ident
from functools import partial

from . import estimators, phases, step_loop
from .wrapping import nothing, own_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .sklearn_training import SklearnTraining
    from .trainings import Trainings

EVALUATIONS = ("eval_set", "eval_train", "eval_valid")


class BoosterTraining:
    """All boosters that are being trained in the process."""

    def __init__(self, trainings: "Trainings", sklearn: "SklearnTraining") -> None:
        self._trainings = trainings
        self._sklearn = sklearn
        self._begin_process()
        trainings.channel.after_fork(self._begin_process)

    def _begin_process(self) -> None:
        self._stacks: dict[int, list[Any]] = {}
        """By thread: the estimators and fits that it is in."""

    def watch_train(self, module: "Any") -> None:
        """The module that defines the function `train`."""
        signature = inspect.signature(module.train)
        self._trainings.put_around(module, "train", self._enter_train, self._leave_train, signature)

    def watch_boosters(self, module: "Any") -> None:
        """The module that defines the class `Booster`."""
        self._trainings.put_around(module.Booster, "update", self._enter_update, nothing)
        for name in EVALUATIONS:
            self._trainings.put_around(module.Booster, name, self._enter_evaluation, self._leave_evaluation)

    def watch_estimators(self, module: "Any") -> None:
        """A module that defines classes for scikit-learn, which call `train`."""
        for cls in own_classes(module):
            self._trainings.put_around(cls, "fit", self._enter_fit, self._leave_fit)

    def _enter_fit(self, args: "Any", kwargs: "Any") -> "Any":
        stack = self._stack()
        stack.append(args[0])
        return stack

    def _leave_fit(self, stack: "Any", result: "Any", error: "Any") -> None:
        stack.pop()

    def _enter_train(self, args: "Any", kwargs: "Any", signature: "Any") -> "Any":
        stack = self._stack()
        if self._sklearn.is_inside() or any(isinstance(one, BoosterFit) for one in stack):
            return None
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        fit = BoosterFit(self._trainings, bound.arguments, stack[0] if stack else None)
        fit.begin()
        stack.append(fit)
        return stack

    def _leave_train(self, stack: "Any", result: "Any", error: "Any") -> None:
        stack.pop().end(result, error)

    def _enter_update(self, args: "Any", kwargs: "Any") -> None:
        fit = self._fit()
        if fit is not None:
            fit.end_round()

    def _enter_evaluation(self, args: "Any", kwargs: "Any") -> "Any":
        return self._fit()

    def _leave_evaluation(self, fit: "BoosterFit", result: "Any", error: "Any") -> None:
        if error is None:
            fit.logs.update(evaluated(result))

    def _stack(self) -> "Any":
        return self._stacks.setdefault(get_ident(), [])

    def _fit(self) -> "Any":
        stack = self._stacks.get(get_ident())
        return stack[-1] if stack and isinstance(stack[-1], BoosterFit) else None


class BoosterFit:
    """The state of one call of `train` with its arguments; `estimator` is what called it, where something did."""

    def __init__(self, trainings: "Trainings", arguments: "Any", estimator: "Any") -> None:
        self.logs: dict[str, float] = {}
        """What was evaluated since the last round."""
        self._trainings = trainings
        self._arguments = arguments
        self._estimator = estimator
        self._name, number = trainings.next_fit()
        self._is_sampled = phases.is_sampled(number)
        self._rounds = 0
        self._rows: list[dict[str, Any]] = []
        self._began = self._written = time.perf_counter()

    def begin(self) -> None:
        """Before the first round."""
        trainings, estimator = self._trainings, self._estimator
        trainings.where.move("training", self._name)
        trainings.results.trained(self._name)
        model = "Booster" if estimator is None else phases.model_name(estimator)
        before = self._arguments.get("xgb_model") or self._arguments.get("init_model")
        planned = self._arguments.get("num_boost_round")
        trainings.channel.emit(
            "phase",
            name=self._name,
            model=model,
            model_number=None if estimator is None else trainings.models.number(estimator),
            architecture=hashlib.sha256(model.encode("utf-8")).hexdigest(),
            planned_epochs=planned if isinstance(planned, int) else None,
            steps=None,
            initial_weights=estimators.NOTHING if before is None else SavedBooster(before).digest,
            weight_norm=None,
        )

    def end_round(self) -> None:
        """A round is over, if it was evaluated: the next one begins, or it was the last."""
        if not self.logs:
            return
        self._rounds += 1
        logs, self.logs = self.logs, {}
        seconds, self._began = time.perf_counter() - self._began, time.perf_counter()
        self._rows.append(phases.epoch_row(self._name, self._rounds, logs, seconds))
        if self._began - self._written > 1:
            self._write()

    def _write(self) -> None:
        """A round may take less than to write of it: those of a second are written at once."""
        self._written = self._began
        rows, self._rows = self._rows, []
        self._trainings.channel.emit_all("epoch", rows)

    def end(self, booster: "Any", error: "Any") -> None:
        """`train` returned a booster, or an exception left it."""
        self.end_round()
        self._write()
        trainings = self._trainings
        read = (
            trainings.channel.shielded(partial(SavedBooster, booster))() if error is None and self._is_sampled else None
        )
        if read is not None and read.settings:
            # All that the booster was trained with, what it had by default too.
            text = json.dumps({"class_name": "Booster", "config": read.settings}, sort_keys=True)
            trainings.tell_configs(self._name, [("optimizer", text[: phases.CONFIG_BYTES])])
        if error is not None:
            trainings.where.blame(error)
        trainings.channel.emit(
            "phase-end",
            name=self._name,
            final_weights=None if read is None else read.digest,
            weight_norm=None,
            error=error is not None,
        )
        if error is None:
            trainings.where.move("after-training")


class SavedBooster:
    """A booster as it is saved: the digest (SHA-256, hex) of that, and its settings by name.

    The digest is None where it is the name of a file; an old XGBoost keeps the settings to itself.
    """

    def __init__(self, booster: "Any") -> None:
        self.digest: str | None = None
        self.settings: dict[str, str] = {}
        if hasattr(booster, "model_to_string"):
            saved = booster.model_to_string()
            self.digest = hashlib.sha256(saved.encode("utf-8")).hexdigest()
            self.settings = dict(re.findall(r"^\[(\w+): (.*)\]$", saved.partition("\nparameters:")[2], re.MULTILINE))
        elif hasattr(booster, "save_raw"):
            takes_format = "raw_format" in inspect.signature(booster.save_raw).parameters
            saved = booster.save_raw(raw_format="ubj") if takes_format else booster.save_raw()
            self.digest = hashlib.sha256(bytes(saved)).hexdigest()
            if hasattr(booster, "save_config"):
                self.settings = _texts(json.loads(booster.save_config()))


def _texts(sections: "Any") -> "dict[str, str]":
    """The texts in nested sections by name."""
    found: dict[str, str] = {}
    waiting = [sections]
    while waiting:
        for name, value in waiting.pop().items():
            waiting += [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]
            if isinstance(value, str):
                found.setdefault(name, value)
    return found


def evaluated(result: "Any") -> "dict[str, float]":
    """The numbers by name: of the text that XGBoost makes of them, or of the tuples of LightGBM."""
    if isinstance(result, list):
        pairs = [("%s_%s" % (one[0], one[1]), one[2]) for one in result]
    else:
        text = result.decode("utf-8") if isinstance(result, bytes) else str(result)
        pairs = [(part.rpartition(":")[0], part.rpartition(":")[2]) for part in text.split()[1:]]
    return phases.numbers({step_loop.metric_name(name): value for name, value in pairs})
