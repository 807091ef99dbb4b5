"""The beginning and end of a training step in every Keras: what the tools that look into training have in common."""

import inspect
import os
import sys

from _runner_probe import watched_imports, wrapping

from . import keras_reading
from .model_reading import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROCESS = os.getpid()
TRAINING = ("train_function", "_fit_function")
"""The attributes in which models keep the function of a graph that trains a batch."""


class Shared:
    """The state that the tools of one trial share."""

    def __init__(self) -> None:
        self.before_steps: list[Any] = []
        """Called with the fit before each step, whichever of the tools sees the step first."""
        self.loops: list[Any] = []
        """What looks into a loop of PyTorch, once there is one."""
        self.fixed_order = False
        """True where every batch is cut from the data in the data's own order; said before the call is changed."""


shared = Shared()


class Fit:
    """One call of `fit` or `train_on_batch`: its model, and the arrays that its batches are cut from."""

    def __init__(self, model: "Any", backend: str, arguments: "Any", single: bool, number: int) -> None:
        self.number = number
        """The number of the `fit` in the process, from 1; for `train_on_batch` that of the last one, 1 before any."""
        self.model = self.subject = model
        self.backend = backend
        self.single = single
        self.rows = _Rows(arguments, single)
        self.inside = 0

    def reading(self, note: "Any") -> "Any":
        """The reading of the model; `note` is called with remarks."""
        return keras_reading.KerasReading(self, note)


class _Rows:
    """The rows that a batch has, where arrays are cut in their own order: the same in all versions of Keras."""

    def __init__(self, arguments: "Any", single: bool) -> None:
        numpy = sys.modules["numpy"]
        given = [arguments.get(name) for name in ("x", "y")]
        lists = [list(one) if isinstance(one, (list, tuple)) else [one] for one in given]
        arrays = all(isinstance(array, numpy.ndarray) for one in lists for array in one)
        self.shapes = [(None, *array.shape[1:]) for array in lists[0]] if arrays else []
        """Of the inputs, where they are arrays; the number of rows is open."""
        ordered = single or not arguments.get("shuffle", True) or shared.fixed_order
        self._lists = lists if arrays and ordered else None
        if self._lists is not None and not single:
            length = len(lists[0][0])
            self._size = arguments.get("batch_size") or 32
            self._end = int(length * (1.0 - (arguments.get("validation_split") or 0.0)))
        self._single = single

    def batch(self, number: int) -> "Any":
        """The batch of this number in an epoch, from 0; None where its rows can't be told."""
        if self._lists is None:
            return None
        if self._single:
            return Batch(*self._lists)
        begin = number * self._size
        end = min(begin + self._size, self._end)
        return Batch(*[[array[begin:end] for array in one] for one in self._lists]) if begin < end else None


class StepWatcher:
    """Tells a listener of training steps, by what is put around methods; the first exception in it ends all of it."""

    def __init__(self, listener: "Any", failed: "Any") -> None:
        self._listener = listener
        self._failed = failed
        self.alive = True

    def _is_looking(self) -> bool:
        """False where nothing is told: after an exception, and in a process that this one started."""
        return self.alive and os.getpid() == PROCESS

    def _around(self, owner: "Any", name: str, enter: "Any", leave: "Any", *given: "Any") -> None:
        """Put `enter(args, kwargs, *given)` and `leave(token, result, error)` around a method or function."""

        def entered(args: "Any", kwargs: "Any") -> "Any":
            return self._shielded(enter, args, kwargs, *given) if self._is_looking() else None

        def left(token: "Any", result: "Any", error: "Any") -> None:
            if token is not None:
                self._shielded(leave, token, result, error)

        wrapping.put_around(owner, name, entered, left)

    def _shielded(self, function: "Any", *args: "Any") -> "Any":
        try:
            return function(*args)
        except Exception as error:
            self.alive = False
            self._failed(error)
            return None


class Steps(StepWatcher):
    """Calls a listener's `begin(fit, number)` and `end(fit, number, logs)` around every training step.

    `number` is the batch's in its epoch, from 0. Where a listener has `fed`, it is called within a step of a graph with
    the function and the arrays that are fed to it, before they are.
    """

    def __init__(self, listener: "Any", failed: "Any") -> None:
        super().__init__(listener, failed)
        self._fits: list[Any] = []
        self._count = 0
        self._hook = 0
        self._open: Any = None

    def install(self, after_import: "Any") -> None:
        """Watch the classes of every Keras."""
        for prefix in watched_imports.PREFIXES:
            backend = prefix + ".backend"
            for suffix in watched_imports.MODELS:
                after_import("%s.%s" % (prefix, suffix), lambda module, backend=backend: self._models(module, backend))
            for suffix in watched_imports.CALLBACKS:
                after_import("%s.%s" % (prefix, suffix), self._callbacks)
            for name in (backend, backend + ".tensorflow_backend"):
                after_import(name, self._functions)

    def _models(self, module: "Any", backend: str) -> None:
        for cls in wrapping.own_classes(module):
            for name in ("fit", "fit_generator", "train_on_batch"):
                if name in vars(cls):
                    names = list(inspect.signature(vars(cls)[name]).parameters)
                    single = name == "train_on_batch"
                    self._around(cls, name, self._enter_fit, self._leave_fit, names, backend, single)

    def _callbacks(self, module: "Any") -> None:
        cls = getattr(module, "CallbackList", None)
        if cls is not None and cls.__module__ == module.__name__:
            for name in (
                "_call_batch_hook",
                "on_train_batch_begin",
                "on_batch_begin",
                "on_train_batch_end",
                "on_batch_end",
            ):
                self._around(cls, name, self._enter_hook, self._leave_hook, name)

    def _functions(self, module: "Any") -> None:
        for cls in wrapping.own_classes(module):
            if cls.__name__ in ("Function", "GraphExecutionFunction") and hasattr(self._listener, "fed"):
                self._around(cls, "__call__", self._enter_function, wrapping.nothing)

    def _enter_fit(self, args: "Any", kwargs: "Any", names: "Any", backend: str, single: bool) -> "Any":
        model = args[0]
        outer = self._fits[-1] if self._fits else None
        if outer is not None and (outer.model is model or vars(outer.model).get("model") is model):
            if single and outer.rows._lists is None:  # a generator's batch is an argument of an inner train_on_batch
                outer.rows = _Rows(dict(zip(names, args), **kwargs), True)
            outer.inside += 1
            return outer, None
        self._count += not (single or self._fits)
        fit = Fit(model, backend, dict(zip(names, args), **kwargs), single, max(self._count, 1))
        self._fits.append(fit)
        if single:
            self._begin(fit, 0)
        return fit, single

    def _leave_fit(self, token: "Any", result: "Any", error: "Any") -> None:
        fit, single = token
        if fit.inside:
            fit.inside -= 1
            return
        if single and error is None and self._open is not None:
            values = result
            if isinstance(result, dict):
                values = result.get("loss")
            elif isinstance(result, (list, tuple)):
                values = result[0] if len(result) else None
            self._end(fit, 0, {"loss": values})
        self._open = None
        if fit in self._fits:
            self._fits.remove(fit)

    def _enter_hook(self, args: "Any", kwargs: "Any", name: str) -> "Any":
        self._hook += 1
        if self._hook > 1 or not self._fits:
            return name
        values = args[1:]
        if name == "_call_batch_hook":
            if str(getattr(values[0], "value", values[0])) != "train":
                return name
            name, values = "on_batch_" + values[1], values[2:]
        number = int(values[0] if values else kwargs["batch"])
        logs = values[1] if len(values) > 1 else kwargs.get("logs")
        if name.endswith("begin"):
            self._begin(self._fits[-1], number)
        else:
            self._end(self._fits[-1], number, logs or {})
        return name

    def _leave_hook(self, token: "Any", result: "Any", error: "Any") -> None:
        self._hook -= 1

    def _enter_function(self, args: "Any", kwargs: "Any") -> None:
        if self._open is None:
            return
        model = self._open[0].model  # the Sequential of old has a model of its own that trains for it
        functions = [vars(one).get(name) for one in (model, vars(model).get("model", model)) for name in TRAINING]
        if any(function is args[0] for function in functions):
            self._listener.fed(self._open[0], args[0], list(args[1] if len(args) > 1 else kwargs["inputs"]))

    def _begin(self, fit: "Fit", number: int) -> None:
        self._open = (fit, number)
        if getattr(fit.model, "built", True) is False and fit.rows.shapes:
            build(fit.model, fit.rows.shapes)
        for before in shared.before_steps:
            before(fit)
        self._listener.begin(fit, number)

    def _end(self, fit: "Fit", number: int, logs: "Any") -> None:
        if self._open is not None and self._open[0] is fit:
            self._listener.end(fit, number, self._open[1], logs)
        self._open = None


def build(model: "Any", shapes: "Any") -> None:
    """Have the weights of a model that would else be made within its first step; one that can't be built stays."""
    try:
        model.build(shapes[0] if len(shapes) == 1 else shapes)
    except Exception:
        pass
