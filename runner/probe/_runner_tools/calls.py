"""Records what goes into a training and comes out of it: one JSON line an observation in `runner-calls.jsonl`.

What `fit`, `evaluate`, `predict` and their like are given (shape, type, digest, first elements), what callbacks are
told and do (stops, weights that are set, learning rates), and what the calls return. Nothing is drawn and nothing is
changed: a generator is handed on item by item, of a data set only the types are read.
"""

import hashlib
import inspect
import json
import os
import sys
import time
import zlib

from _runner_probe import watched_imports, weights, wrapping

from . import model_reading
from .steps import PROCESS, StepWatcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

METHODS = (
    *("fit", "fit_generator", "train_on_batch", "evaluate", "evaluate_generator", "test_on_batch"),
    *("predict", "predict_generator", "predict_on_batch"),
)
MOST_CALLS = {"train_on_batch": 3, "test_on_batch": 3, "predict_on_batch": 3}
MOST_OF_ANY = 10
"""So many calls of a method are looked at."""
MOST_ITEMS = 2
"""So many items of a generator, a sequence or a loader are looked at."""
MOST_EPOCHS = 100
MOST_LINES = 2000
HEAD = 256
"""So many elements of an array are recorded as they are."""
MOST_IN_LISTS = 1000000
PARTS = 64
"""An array's bytes have so many digests, by which the first that differs is found."""


class Observations:
    """The file of what was seen."""

    def __init__(self, prelude: "PreludeHandle", folder: str) -> None:
        self._prelude = prelude
        self._path = os.path.join(folder, "runner-calls.jsonl")
        self._file: Any = None
        self._lines = 0

    def see(self, kind: str, place: str, value: "Any") -> None:
        """Keep one observation: its kind (given, told, did, returned), its place, and a described value."""
        if os.getpid() != PROCESS or self._lines >= MOST_LINES:
            return
        if self._file is None:
            self._file = open(self._path, "w")
            self._prelude.applied("what calls are given and return is recorded in runner-calls.jsonl")
        self._lines += 1
        line = {"kind": kind, "place": place}
        line.update(value)
        self._file.write(json.dumps(line, sort_keys=True) + "\n")
        self._file.flush()

    def see_all(self, kind: str, place: str, value: "Any", depth: int = 0) -> None:
        """The same of a value that may hold several: a list or tuple of arrays, or a dict."""
        parts = None
        if isinstance(value, dict) and depth < 2:
            parts = [("%s[%s]" % (place, key), value[key]) for key in list(value)[:20]]
        elif isinstance(value, (list, tuple)) and depth < 2 and _holds_parts(value):
            parts = [("%s[%d]" % (place, number), one) for number, one in enumerate(value[:20])]
        if parts is None:
            return self.see(kind, place, described(value))
        for name, part in parts:
            self.see_all(kind, name, part, depth + 1)


def described(value: "Any") -> "dict[str, Any]":
    """What is recorded of a value: of an array shape, type, digests and the first elements; of others a text."""
    if value is None or isinstance(value, (bool, str)):
        return {"text": str(value)[:200]}
    if isinstance(value, (int, float)):
        return {"number": float(value)}
    array = _array(value)
    if array is None:
        spec = getattr(value, "element_spec", None)
        return {"text": (type(value).__name__ + (" of %s" % (spec,) if spec is not None else ""))[:500]}
    numpy = sys.modules["numpy"]
    if array.shape == () and array.dtype.kind in "fiub":
        return {"number": float(array)}
    if array.dtype.kind == "O":
        kinds = sorted({type(one).__name__ for one in array.ravel()[:HEAD].tolist()})
        plain = (str, int, float, bool)
        texts = [repr(one) if isinstance(one, plain) else type(one).__name__ for one in array.ravel()[:4096].tolist()]
        data, dtype = "\n".join(texts).encode("utf-8", "replace"), "object (%s)" % ", ".join(kinds)
    else:
        data, dtype = numpy.ascontiguousarray(array).tobytes(), str(array.dtype)
    size = max(1, -(-len(data) // PARTS))
    found: dict[str, Any] = {
        "of": type(value).__name__,
        "shape": [int(length) for length in array.shape],
        "dtype": dtype,
        "digest": hashlib.sha256(data).hexdigest()[:32],
        "parts": ["%08x" % zlib.crc32(data[at : at + size]) for at in range(0, len(data), size)],
        "head": [_element(one) for one in array.ravel()[:HEAD].tolist()],
    }
    if array.dtype.kind == "f" and array.size:
        found["not_finite"] = int(array.size - numpy.isfinite(array).sum())
        with numpy.errstate(all="ignore"):
            found["mean"] = _element(float(array.astype("float64").mean()))
    return found


def _element(one: "Any") -> "Any":
    if isinstance(one, float):
        return one if one - one == 0 else str(one)
    return one if isinstance(one, (bool, int)) and abs(one) < 1 << 53 else str(one)[:40]


def _holds_parts(value: "Any") -> bool:
    """True where the elements of a list are told one by one: arrays, or a few numbers."""
    few = len(value) <= 20 and all(isinstance(one, (int, float)) for one in value)
    return bool(value) and (few or any(_is_array(one) or one is None for one in value))


def _is_array(value: "Any") -> bool:
    return (hasattr(value, "shape") and hasattr(value, "dtype")) or hasattr(value, "to_numpy")


def _array(value: "Any") -> "Any":
    """A value as an array, where that costs nothing but a copy; else None."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    try:
        if isinstance(value, (list, tuple)):
            array = numpy.asarray(value) if 0 < len(value) < MOST_IN_LISTS else None
            return None if array is None or array.dtype.kind == "O" else array
        for name in ("to_numpy", "detach", "numpy", "__array__"):  # of pandas, PyTorch and TensorFlow; others
            if hasattr(value, name) and hasattr(value, "shape"):
                value = value.detach().cpu() if name == "detach" else value
                return numpy.asarray(value.to_numpy() if name == "to_numpy" else value)
    except Exception:
        return None
    return None


class Calls(StepWatcher):
    """Looks at the outermost calls of the methods of Keras' models, their callbacks, and loaders of PyTorch."""

    def __init__(self, seen: "Observations", failed: "Any") -> None:
        super().__init__(self, failed)
        self._seen = seen
        self._depth = self._setting = 0
        self._numbers: dict[str, int] = {}
        self._fit = ""
        self._model: Any = None
        self._read: Any = None
        self._epoch = ""
        self._watched: set[Any] = set()
        self._items: dict[Any, int] = {}
        self._told_data: dict[str, int] = {}

    def install(self, after_import: "Any") -> None:
        """Watch the classes of every Keras, and PyTorch's loaders."""
        for prefix in watched_imports.PREFIXES:
            backend = prefix + ".backend"
            for suffix in watched_imports.MODELS:
                after_import("%s.%s" % (prefix, suffix), lambda module, backend=backend: self._models(module, backend))
            for suffix in (*watched_imports.LAYERS, "engine.training", "models.model"):
                after_import("%s.%s" % (prefix, suffix), self._setters)
            for suffix in watched_imports.CALLBACKS:
                after_import("%s.%s" % (prefix, suffix), self._callbacks)
        after_import("torch.utils.data.dataloader", self._loaders)

    def _models(self, module: "Any", backend: str) -> None:
        for cls in wrapping.own_classes(module):
            for name in METHODS:
                if inspect.isfunction(vars(cls).get(name)):
                    names = list(inspect.signature(vars(cls)[name]).parameters)
                    self._around(cls, name, self._enter, self._leave, name, names, backend)

    def _setters(self, module: "Any") -> None:
        for cls in wrapping.own_classes(module):
            for name in ("set_weights", "load_weights"):
                if name in vars(cls) and (cls, name) not in self._watched:
                    self._watched.add((cls, name))
                    self._around(cls, name, self._enter_setter, self._leave_setter, name)

    def _callbacks(self, module: "Any") -> None:
        cls = getattr(module, "CallbackList", None)
        if cls is not None and cls.__module__ == module.__name__:
            self._around(cls, "on_epoch_end", self._enter_epoch, self._leave_epoch)

    def _loaders(self, module: "Any") -> None:
        cls = getattr(module, "_BaseDataLoaderIter", None)
        if cls is not None:
            self._around(cls, "__next__", lambda args, kwargs: type(args[0]).__name__, self._leave_loader)

    def _enter(self, args: "Any", kwargs: "Any", name: str, names: "Any", backend: str) -> "Any":
        self._depth += 1
        if self._depth > 1:
            return None, None
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        place = "%s %d" % (name, number)
        if name.startswith("fit"):
            self._fit, self._model, self._epoch = place, args[0], "before the first epoch"
            self._read = weights.reader(backend)
        if number > MOST_CALLS.get(name, MOST_OF_ANY):
            return None, None
        for at, argument in enumerate(names[1:], 1):
            given = args[at] if at < len(args) else kwargs.get(argument)
            if given is None or argument in ("self", "callbacks", "verbose"):
                continue
            stream = self._streamed(given, "%s: %s" % (place, argument))
            if stream is not None:
                if at < len(args):
                    args[at] = stream
                else:
                    kwargs[argument] = stream
            else:
                self._seen.see_all("given", "%s: %s" % (place, argument), given)
        callbacks = args[names.index("callbacks")] if "callbacks" in names[: len(args)] else kwargs.get("callbacks")
        return place, (time.time(), callbacks)

    def _leave(self, token: "Any", result: "Any", error: "Any") -> None:
        self._depth -= 1
        place, about = token
        if place is None or error is not None:
            return
        began, callbacks = about
        for callback in callbacks if isinstance(callbacks, (list, tuple)) else ():
            self._state_of(callback, place)
        for name, number in sorted(self._told_data.items()):
            self._seen.see("did", "%s: calls of %s.on_epoch_end" % (place, name), {"number": float(number)})
        history = getattr(result, "history", None)
        if isinstance(history, dict):
            self._seen.see(
                "returned", "%s: epochs" % place, {"number": float(max(map(len, history.values()), default=0))}
            )
            result = {name: values[-1] for name, values in history.items() if values}
            self._seen.see("returned", "%s: names" % place, {"text": ", ".join(sorted(map(str, result)))[:500]})
        self._seen.see_all("returned", "%s: returned" % place, result)
        self._seen.see("took", place, {"number": round(time.time() - began, 3)})
        if place == self._fit:
            self._epoch = "after %s" % place

    def _state_of(self, callback: "Any", place: str) -> None:
        """What a callback says of itself in the end: the epoch that it stopped at, the best it saw."""
        for name in ("stopped_epoch", "best_epoch", "best"):
            value = getattr(callback, name, None)
            if value is not None and not isinstance(value, str) and not callable(value):
                self._seen.see("did", "%s: %s.%s" % (place, type(callback).__name__, name), described(value))

    def _streamed(self, given: "Any", place: str) -> "Any":
        """A generator that hands on what another one gives, its first items seen; None for what is none."""
        if inspect.isgenerator(given):
            return self._handed_on(given, place)
        cls = type(given)
        is_sequence = hasattr(cls, "__getitem__") and hasattr(cls, "__len__") and not _is_array(given)
        if is_sequence and not isinstance(given, (list, tuple, dict, str)) and (cls, "item") not in self._watched:
            self._watched.add((cls, "item"))
            owner = next((one for one in cls.__mro__ if "__getitem__" in vars(one)), cls)
            self._around(owner, "__getitem__", lambda args, kwargs: "%s[%s]" % (place, args[1]), self._leave_item)
            told = next((one for one in cls.__mro__ if "on_epoch_end" in vars(one)), None)
            if told is not None:
                self._around(told, "on_epoch_end", lambda args, kwargs: cls.__name__, self._leave_epoch_of_data)
        return None

    def _leave_epoch_of_data(self, token: "Any", result: "Any", error: "Any") -> None:
        self._told_data[token] = self._told_data.get(token, 0) + 1

    def _handed_on(self, given: "Any", place: str) -> "Any":
        for number, item in enumerate(given, 1):
            if number <= MOST_ITEMS and self._is_looking():
                self._shielded(self._seen.see_all, "given", "%s, item %d" % (place, number), item)
            yield item

    def _leave_item(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is None and self._items.setdefault("sequence", 0) < MOST_ITEMS:
            self._items["sequence"] += 1
            self._seen.see_all("given", token, result)

    def _leave_loader(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is None and self._items.setdefault(token, 0) < MOST_ITEMS:
            self._items[token] += 1
            self._seen.see_all("given", "loader: item %d" % self._items[token], result)

    def _enter_setter(self, args: "Any", kwargs: "Any", name: str) -> "Any":
        self._setting += 1
        if self._setting > 1 or not hasattr(args[0], "layers"):
            return name
        given = args[1] if len(args) > 1 else next(iter(kwargs.values()), None)
        if isinstance(given, (list, tuple)):
            found = hashlib.sha256()
            for one in given:
                found.update(sys.modules["numpy"].asarray(one).tobytes())
            value = {"text": "%d arrays" % len(given), "note": found.hexdigest()[:32]}
        else:
            value = {"text": os.path.basename(str(given))[:200]}
        when = "%s, %s" % (self._fit, self._epoch) if self._depth else self._epoch or "before any fit"
        self._seen.see("did", "%s: %s" % (when, name), value)
        return name

    def _leave_setter(self, token: "Any", result: "Any", error: "Any") -> None:
        self._setting -= 1

    def _enter_epoch(self, args: "Any", kwargs: "Any") -> "Any":
        epoch = int(args[1] if len(args) > 1 else kwargs.get("epoch", 0)) + 1
        if self._model is None or epoch > MOST_EPOCHS:
            return None
        self._epoch = "after epoch %d" % epoch
        logs = args[2] if len(args) > 2 else kwargs.get("logs")
        if epoch == 1 and isinstance(logs, dict):
            self._seen.see("told", "%s: names" % self._fit, {"text": ", ".join(sorted(map(str, logs)))[:500]})
        return epoch, self._rate()

    def _leave_epoch(self, token: "Any", result: "Any", error: "Any") -> None:
        _, rate = token
        now = self._rate()
        place = "%s, %s" % (self._fit, self._epoch)
        if rate is not None and now is not None and now != rate:
            self._seen.see("did", "%s: learning rate" % place, {"number": now})
        if getattr(self._model, "stop_training", False) is True:
            self._seen.see("did", "%s: training was stopped" % place, {"text": "yes"})

    def _rate(self) -> "float | None":
        optimizer = getattr(self._model, "optimizer", None)
        variables = model_reading.rate_of(optimizer)
        if variables:
            return float(next(iter(self._read(variables))))
        return weights.learning_rate(optimizer, self._read)


def install(prelude: "PreludeHandle") -> None:
    """Record what calls are given and return."""
    Calls(Observations(prelude, os.getcwd()), prelude.failed).install(prelude.after_import)
