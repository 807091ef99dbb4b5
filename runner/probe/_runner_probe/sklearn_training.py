"""Training with scikit-learn: the outermost `fit` is a phase, calls of `partial_fit` are the steps of a loop.

What a fit came to is read of the estimator when it is over: its curves are epochs, its other numbers belong to the last
one. What only prepares data (a scaler, an encoder) is no training.
"""

import time
import weakref
from _thread import get_ident
from collections import deque
from sys import modules

from . import estimators, phases
from .enclosing_importlib_bootstrap import enclosed
from .step_loop import Subject
from .wrapping import nothing, own_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .trainings import Trainings

FITS = ("fit", "fit_transform", "fit_predict")
WARNINGS = 5
"""So many different ones are told of a fit."""


class SklearnTraining:
    """All fits of estimators in the process."""

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._put_around = trainings.put_around
        self._begin_process()
        trainings.channel.after_fork(self._begin_process)

    def _begin_process(self) -> None:
        self._stacks: dict[int, list[Any]] = {}
        """By thread: the calls that it is in, the estimator and the outermost fit of each."""

    def watch(self, module: "Any") -> None:
        """Any module of scikit-learn."""
        for cls in own_classes(module):
            for name in FITS:
                self._put_around(cls, name, self._enter_fit, self._leave)
            # Under a condition it was a property once, which gives another method.
            is_property = isinstance(vars(cls).get("partial_fit"), property)
            self._put_around(
                cls, "_partial_fit" if is_property else "partial_fit", self._enter_partial_fit, self._leave_partial_fit
            )
        self.watch_scores(module)
        if module.__name__ == "sklearn.exceptions":
            self._watch_warnings(module.ConvergenceWarning)

    def watch_scores(self, module: "Any") -> None:
        """A module that defines classes with `score`: scikit-learn's, and what wraps a Keras for it."""
        for cls in own_classes(module):
            self._put_around(cls, "score", self._enter_score, self._leave_score)

    def _watch_warnings(self, cls: "Any") -> None:
        """See each one made, whether the script's filters show it or not."""

        def enter(args: "Any", kwargs: "Any") -> None:
            stack = self._stack() or self._main_stack()
            if stack and stack[0][1] is not None:
                stack[0][1].warned([one for one, _ in stack], str(args[1]))

        cls.__init__ = enclosed(cls.__init__, self._trainings.channel.shielded(enter), nothing)

    def _enter_fit(self, args: "Any", kwargs: "Any") -> "Any":
        estimator, stack = args[0], self._stack()
        fit = None
        if not self.is_inside() and estimators.is_trained(estimator):
            fit = EstimatorFit(self._trainings, estimator)
            fit.begin()
        stack.append((estimator, fit))
        return stack

    def _leave(self, stack: "Any", result: "Any", error: "Any") -> None:
        fit = stack.pop()[1]
        if fit is not None:
            fit.end(error)

    def _enter_partial_fit(self, args: "Any", kwargs: "Any") -> "Any":
        estimator, stack = args[0], self._stack()
        loop = None
        if not stack and not self._main_stack() and estimators.is_trained(estimator):
            loop = self._trainings.loops.known(estimator, "batches") or self._begin_loop(estimator)
        stack.append((estimator, None))
        return stack, loop, estimator

    def _begin_loop(self, estimator: "Any") -> "Any":
        subject = Subject(estimator, estimators.architecture(estimator))
        state = estimators.EstimatorState(estimator)
        loop = self._trainings.loops.begin(estimator, (), None, "batches", state=state, subject=subject)
        self._trainings.tell_configs(loop.name, estimators.config_texts(estimator))
        return loop

    def _leave_partial_fit(self, token: "Any", result: "Any", error: "Any") -> None:
        stack, loop, estimator = token
        stack.pop()
        if loop is None:
            return
        if error is not None:
            self._trainings.where.blame(error)
            return
        self._trainings.loops.end_step(loop, estimators.latest(estimator))

    def _enter_score(self, args: "Any", kwargs: "Any") -> "Any":
        self._trainings.results.begin("score")
        return args[0], self.is_inside()

    def _leave_score(self, token: "Any", result: "Any", error: "Any") -> None:
        estimator, is_inside = token
        if is_inside:
            self._trainings.results.leave("score")
        else:
            self._trainings.results.end("score", estimator, result, error)

    def is_inside(self) -> bool:
        """True where the script is in the fit of an estimator."""
        return bool(self._stack() or self._main_stack())

    def _stack(self) -> "Any":
        return self._stacks.setdefault(get_ident(), [])

    def _main_stack(self) -> "Any":
        """The calls of the main thread, whose workers other threads are meanwhile."""
        threading = modules.get("threading")
        return self._stacks.get(threading.main_thread().ident, ()) if threading is not None else ()


class EstimatorFit:
    """The state of one outermost fit."""

    def __init__(self, trainings: "Trainings", estimator: "Any") -> None:
        self._trainings = trainings
        self._estimator = estimator
        self._name, number = trainings.next_fit()
        self._is_sampled = phases.is_sampled(number)
        self._state = estimators.EstimatorState(estimator)
        self._warned: Any = deque(maxlen=1000)
        self._digest = trainings.channel.shielded(self._state.digest)
        self._norm = trainings.channel.shielded(self._state.norm)
        self._before = trainings.where.stage, trainings.where.phase
        self._began = time.perf_counter()

    def begin(self) -> None:
        """The estimator is as the script gave it."""
        trainings, estimator = self._trainings, self._estimator
        trainings.where.move("training", self._name)
        trainings.results.trained(self._name)
        goes_on = self._state.is_warm()
        trainings.channel.emit(
            "phase",
            name=self._name,
            model=phases.model_name(estimator),
            model_number=trainings.models.number(estimator),
            architecture=estimators.architecture(estimator) if self._is_sampled else None,
            planned_epochs=estimators.planned_epochs(estimator),
            steps=None,
            initial_weights=(self._digest() if goes_on else estimators.NOTHING) if self._is_sampled else None,
            weight_norm=self._norm() if goes_on and self._is_sampled else None,
        )
        if self._is_sampled:
            trainings.tell_configs(self._name, estimators.config_texts(estimator))

    def warned(self, estimators: "list[Any]", message: str) -> None:
        """One of the estimators that are being fitted, each within the one before, did not converge."""
        self._warned.append(([weakref.ref(one) for one in estimators], message))

    def end(self, error: "Any") -> None:
        """The fit returned, or an exception left it."""
        where = self._trainings.where
        if error is not None:
            where.blame(error)
        else:
            self._tell_epochs(time.perf_counter() - self._began)
        self._tell_warnings()
        self._trainings.channel.emit(
            "phase-end",
            name=self._name,
            final_weights=self._digest() if self._is_sampled else None,
            weight_norm=self._norm() if self._is_sampled else None,
            error=error is not None,
        )
        if self._trainings.inside:
            where.move(*self._before)
        elif error is None:
            where.move("after-training")

    def _tell_epochs(self, seconds: float) -> None:
        curves, numbers = estimators.results(self._estimator)
        count = max([len(values) for values in curves.values()] or [bool(numbers)])
        rows: list[dict[str, Any]] = []
        for epoch in range(count):
            logs = {name: values[epoch] for name, values in curves.items() if epoch < len(values)}
            rows.append(phases.epoch_row(self._name, epoch + 1, logs, seconds / count))
        if rows:
            rows[-1]["logs"].update(numbers)
            rows[-1]["rss_bytes"] = phases.resident_bytes()
        self._trainings.channel.emit_all("epoch", rows)

    def _tell_warnings(self) -> None:
        """Of a search the best candidate's, refitted, alone: the others are no part of what it gives."""
        best = vars(self._estimator).get("best_estimator_")
        told: list[str] = []
        for references, message in self._warned:
            estimators = [reference() for reference in references]
            if (
                message not in told
                and len(told) < WARNINGS
                and (best is None or any(one is best for one in estimators))
            ):
                told.append(message)
                self._trainings.channel.emit("warning", phase=self._name, message=message[:1000])
