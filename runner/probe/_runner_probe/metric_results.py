"""Numbers that a script asks for in a loop of its own: results of Keras' metrics, and what it writes as summaries.

A metric that is reset, or made anew, begins an epoch.
"""

import sys
import types
import weakref

from . import step_loop, wrapping
from .enclosing_importlib_bootstrap import enclosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .trainings import Trainings


class MetricResults:
    """The metrics and writers of summaries of the process, each with the name that its numbers are told by."""

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._loops = trainings.loops
        self._holders: dict[str, Any] = {}
        self._known: dict[Any, Any] = {}
        self._told: set[str] = set()
        self._leave_result = trainings.channel.shielded(self._leave_result)

    def watch_metrics(self, module: "Any") -> None:
        """A module of Keras that defines metrics."""
        put_around = self._trainings.put_around
        for cls in wrapping.own_classes(module):
            is_first = cls.__name__ == "Metric"
            if is_first and "__new__" in vars(cls):
                put_around(cls, "__new__", self._enter_making, self._leave_making)  # Keras 2
            elif is_first:
                put_around(cls, "__init__", self._enter_making, wrapping.nothing)
            elif "__new__" not in vars(_first_of(cls)):
                put_around(cls, "result", self._enter_result, self._leave_result)
            for name in ("reset_state", "reset_states") if _first_of(cls) is not object else ():
                put_around(cls, name, self._enter_reset, wrapping.nothing)

    def watch_summaries(self, module: "Any") -> None:
        """The module of the function that `tf.summary.scalar` is in TensorFlow 2."""
        self._trainings.put_around(module, "scalar", self._enter_scalar, self._leave_scalar)

    def _enter_making(self, args: "Any", kwargs: "Any") -> "Any":
        if not self._trainings.inside and self._told:
            self._begin_epoch()
        return True

    def _leave_making(self, token: "Any", result: "Any", error: "Any") -> None:
        """Keras 2 gives each metric a `result` of its own, which any class of the script's has too."""
        method = vars(result).get("result")
        if error is None and isinstance(method, types.MethodType):
            around = enclosed(method.__func__, self._trainings.channel.shielded(self._enter_result), self._leave_result)
            result.result = types.MethodType(around, result)

    def _enter_result(self, args: "Any", kwargs: "Any") -> "Any":
        return None if self._trainings.inside else args[0]

    def _leave_result(self, metric: "Any", result: "Any", error: "Any") -> None:
        if error is not None or metric is None:
            return
        for inner, one in result.items() if isinstance(result, dict) else [("", result)]:
            value = step_loop.number(one)
            if value is not None:
                name = self._name(metric, str(getattr(metric, "name", "metric")))
                self._tell(("%s.%s" % (name, inner) if inner else name), value)

    def _enter_reset(self, args: "Any", kwargs: "Any") -> None:
        if not self._trainings.inside:
            self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._told = set()
        self._loops.begin_epoch()

    def _enter_scalar(self, args: "Any", kwargs: "Any") -> "Any":
        given = dict(zip(("name", "data"), args), **kwargs)
        return None if self._trainings.inside else (str(given["name"]), step_loop.number(given["data"]))

    def _leave_scalar(self, token: "Any", result: "Any", error: "Any") -> None:
        name, value = token
        if error is None and value is not None and result is not False:
            writer = _writer()
            self._tell(name if writer is None else self._name(writer, name), value)

    def _tell(self, name: str, value: float) -> None:
        self._told.add(name)
        self._loops.tell_result(step_loop.metric_name(name), value)

    def _name(self, owner: "Any", name: str) -> str:
        """The name itself, or a further one where another metric (or writer) has told something by it in this epoch."""
        known = self._known.get((id(owner), name))
        if known is not None and self._holders[known]() is owner:
            return str(known)
        found, number = name, 0
        while found in self._told and self._holders.get(found, _nobody)() not in (None, owner):
            number += 1
            found = "%s_%d" % (name, number)
        self._holders[found] = weakref.ref(owner)
        self._known[id(owner), name] = found
        return found


def _first_of(cls: "Any") -> "Any":
    """The class of all metrics that a metric's class inherits from; `object` where it is no metric."""
    return next((one for one in cls.__mro__ if one.__name__ == "Metric"), object)


def _writer() -> "Any":
    """The writer of summaries that is the default now; None where that can't be told."""
    module: Any = sys.modules.get("tensorflow.python.ops.summary_ops_v2")
    return getattr(getattr(module, "_summary_state", None), "writer", None)


def _nobody() -> None:
    """In place of a reference, where there is none."""
