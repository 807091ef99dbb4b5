"""Results that a script asks a model for: what `evaluate` and `score` return, call by call."""

import weakref

from . import phases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter


class Models:
    """The numbers of a process's models, from 1 in the order in which they train or are asked for results."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}
        self._count = 0

    def number(self, model: "Any") -> int:
        """The model's number; a model that takes the place of one that is gone gets another."""
        known = self._known.get(id(model))
        if known is None or known[0]() is not model:
            self._count += 1
            known = self._known[id(model)] = weakref.ref(model), self._count
        return int(known[1])


class Evaluations:
    """All calls of the process that gave a result.

    A round is a stretch of calls with no training in between: results of the same model in different rounds are a
    series, those of one round are of different data.
    """

    def __init__(self, channel: "Emitter", models: Models) -> None:
        self._channel = channel
        self._models = models
        self._round = 0
        self._waiting: list[Any] = []
        self._has_trained = False
        self._begin_process()
        channel.after_fork(self._begin_process)
        self._named: Any = None
        self._phase = ""
        self.end = channel.shielded(self.end)

    def _begin_process(self) -> None:
        self._depths = {"evaluate": 0, "score": 0}

    def trained(self, phase: str) -> None:
        """Training has begun or went on since the last result."""
        self._has_trained = True
        self._phase = phase

    def before(self, act: "Any") -> None:
        """Have `act` called before a result is asked for: what trains may have steps to tell of."""
        self._waiting.append(act)

    def begin(self, kind: str) -> None:
        """A call begins that may call others of its kind: the outermost is told."""
        for act in self._waiting:
            act()
        self._depths[kind] += 1
        self._named = None

    def leave(self, kind: str) -> None:
        """The call is over, and what it returned is none of these results."""
        self._depths[kind] -= 1

    def names(self, logs: "Any") -> None:
        """Keras 3 is about to return `logs` without their names."""
        if isinstance(logs, dict):
            self._named = dict(logs)

    def pop_names(self) -> "Any":
        """What `names` was told since it was last asked."""
        found, self._named = self._named, None
        return found

    def end(self, kind: str, model: "Any", result: "Any", error: "Any") -> None:
        """The call is over: `result` is a number, or a list or dict of them."""
        self._depths[kind] -= 1
        if self._depths[kind] or error is not None or result is None:
            return
        if self._has_trained:
            self._round += 1
            self._has_trained = False
        logs = {kind: result} if kind == "score" else named(model, self.pop_names() or result)
        self._channel.emit(
            "evaluation",
            kind=kind,
            round=self._round,
            model=phases.model_name(model),
            model_number=self._models.number(model),
            phase=self._phase,
            logs=phases.numbers(logs),
        )


def named(model: "Any", result: "Any") -> "dict[str, Any]":
    """The loss and metrics that a call returned, by their names."""
    if isinstance(result, dict):
        return result
    values = list(result) if isinstance(result, (list, tuple)) else [result]
    names = list(getattr(model, "metrics_names", None) or [])
    if len(names) != len(values) or "compile_metrics" in names:
        names = ["loss"] + ["output_%d" % number for number in range(1, len(values))]
    return dict(zip(names, values))
