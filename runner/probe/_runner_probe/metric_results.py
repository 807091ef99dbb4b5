"""Numbers that a script asks for in a loop of its own: results of Keras' metrics, and what it writes as summaries.

A metric that is reset, or made anew, begins an epoch. Metrics of one name are told apart by the variables that they
were made for: `val_acc = SparseCategoricalAccuracy()` is told as Keras' `fit` would, `val_sparse_categorical_accuracy`.
"""

import dis
import itertools
import os
import re
import sys
import types
import weakref

from . import step_loop, wrapping
from .enclosing_importlib_bootstrap import enclosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .trainings import Trainings

_VALIDATION = {"val", "valid", "validation", "test", "testing", "eval", "evaluation"}
"""Words in the names of what is measured on data that nothing is trained with."""
_LIBRARIES = {"keras", "tensorflow", "tensorflow_core", "tf_keras"}
_PROBE = os.path.dirname(os.path.abspath(__file__))


class MetricResults:
    """The metrics and writers of summaries of the process, each with the name that its numbers are told by."""

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._loops = trainings.loops
        self._holders: dict[str, Any] = {}
        self._known: dict[Any, Any] = {}
        self._made: dict[int, Any] = {}
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
        if self._trainings.inside:
            return True
        if self._told:
            self._begin_epoch()
        origin = _Origin(sys._getframe(1))
        if not isinstance(args[0], type):  # Keras 3
            self._made[id(args[0])] = weakref.ref(args[0]), origin
        return origin

    def _leave_making(self, token: "Any", result: "Any", error: "Any") -> None:
        """Keras 2 gives each metric a `result` of its own, which any class of the script's has too."""
        if error is None and token is not True:
            self._made[id(result)] = weakref.ref(result), token
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
        """The name that is told: its own, or a further one where another metric or writer has that."""
        known = self._known.get((id(owner), name))
        if known is not None and known[0]() is owner:
            return str(known[1])
        made = self._made.get(id(owner))
        origin = made[1] if made is not None and made[0]() is owner else None
        found = next(one for one in _names(owner, name, origin) if self._is_free(one, owner, origin))
        self._holders[found] = weakref.ref(owner), origin
        self._known[id(owner), name] = weakref.ref(owner), found
        return found

    def _is_free(self, name: str, owner: "Any", origin: "Any") -> bool:
        """False where another one has the name: it told something by it in this epoch, or was made elsewhere."""
        reference, its_origin = self._holders.get(name, (_nobody, None))
        if reference() in (None, owner):
            return True
        is_elsewhere = origin is not None and its_origin is not None and origin.place != its_origin.place
        return name not in self._told and not is_elsewhere


class _Origin:
    """The place in the script where a metric was made, and the variable or attribute that it was made for."""

    def __init__(self, frame: "Any") -> None:
        self.variable: str | None = None
        self.place: Any = None
        frame = _out_of_libraries(frame)
        while frame is not None:
            self.place = frame.f_code, frame.f_lasti
            next_one, self.variable = _next_store(*self.place)
            is_making = frame.f_code.co_name in ("__init__", "__new__")  # of a class that the metric's inherits from
            is_handed_on = self.variable is None and (is_making or next_one.startswith("RETURN"))
            frame = _out_of_libraries(frame.f_back) if is_handed_on else None


def _out_of_libraries(frame: "Any") -> "Any":
    """The first frame, from this one on outwards, that is neither Keras' nor the probe's."""
    while frame is not None and (
        str(frame.f_globals.get("__name__")).partition(".")[0] in _LIBRARIES
        or os.path.dirname(frame.f_code.co_filename) == _PROBE
    ):
        frame = frame.f_back
    return frame


def _next_store(code: "Any", call: int) -> "tuple[str, str | None]":
    """(the instruction that takes what a call returns, the name that it gives it)."""
    after = itertools.dropwhile(lambda one: one.offset <= call, dis.get_instructions(code))
    first = next((one for one in after if one.opname not in ("CACHE", "COPY", "DUP_TOP", "EXTENDED_ARG")), None)
    one = first
    while one is not None and one.opname.startswith("LOAD_"):  # the owner of an attribute
        one = next(after, None)
    if one is None or first is None or not one.opname.startswith("STORE_") or "SUBSCR" in one.opname:
        return "" if first is None else first.opname, None
    if one is not first and one.opname != "STORE_ATTR":
        return first.opname, None
    return one.opname, str(one.argval[0] if isinstance(one.argval, tuple) else one.argval)


def _names(owner: "Any", name: str, origin: "Any") -> "Iterator[str]":
    """The names that a metric may be told by, best first."""
    variable = None if origin is None else origin.variable
    if origin is not None:
        plain = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(owner).__name__)).lower()
        name = plain if re.sub(r"_\d+$", "", name) == plain else name  # Keras counts some, and others not
    if variable and _is_validation(variable) and not _is_validation(name):
        name = "val_" + name
    yield name
    if variable:
        yield variable
    for number in itertools.count(1):
        yield "%s_%d" % (name, number)


def _is_validation(name: str) -> bool:
    words = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower().split("_")
    return not _VALIDATION.isdisjoint(words)


def _first_of(cls: "Any") -> "Any":
    """The class of all metrics that a metric's class inherits from; `object` where it is no metric."""
    return next((one for one in cls.__mro__ if one.__name__ == "Metric"), object)


def _writer() -> "Any":
    """The writer of summaries that is the default now; None where that can't be told."""
    module: Any = sys.modules.get("tensorflow.python.ops.summary_ops_v2")
    return getattr(getattr(module, "_summary_state", None), "writer", None)


def _nobody() -> None:
    """In place of a reference, where there is none."""
