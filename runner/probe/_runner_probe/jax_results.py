"""What is read of the arguments and results of JAX' functions: what is trained, and the numbers beside it.

Arrays are read through copies, so that none is kept from being given away (`donate_argnums`).
"""

import hashlib
import inspect
import json
import sys
import weakref

from . import step_loop, weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_HELD_BYTES = 128 * 1024**2
MOST_NAMES = 20
MOST_STEPS = 4096
"""Of an array of more losses so many are told, evenly spread."""


class CallLayout:
    """Where a function's arguments have what is trained, and its results that and the numbers."""

    def __init__(self, key: "Any", place: "Any", paths: "dict[str, Any]", is_series: bool = False) -> None:
        self.key = key
        self._place = place
        self.index = _index(key, place)
        """Of what is trained in a result: -1 where it is all of it; None where it lies deeper, or has no position."""
        self._paths = list(paths.items())
        self.is_series = is_series
        """True where the numbers are arrays, one a step."""

    def given(self, args: "Any", kwargs: "Any") -> "Any":
        """What is trained, before the call."""
        if self.key is None:
            return None
        return kwargs.get(self.key) if isinstance(self.key, str) else args[self.key]

    def state(self, result: "Any") -> "Any":
        """What is trained, after the call; None where that does not come back."""
        return None if self._place is None else at(result, self._place)

    def values(self, result: "Any") -> "list[Any]":
        """(name, array) of each number."""
        return [(name, at(result, path)) for name, path in self._paths]


def _index(key: "Any", place: "Any") -> "int | None":
    if place is None or not isinstance(key, int) or len(place) > 1:
        return None
    return place[0] if place else -1


def plan(maker: str, args: "Any", kwargs: "Any", result: "Any") -> CallLayout:
    """Found out by the first call: what is trained comes back in the shape of an argument.

    Of a gradient's own function it is the first argument, which does not come back; of one that changes modules of
    flax in place, the first of them.
    """
    first = 0 if args else next(iter(kwargs), None)
    if maker == "grad":
        return CallLayout(first, None, {})
    if maker == "value_and_grad":
        return CallLayout(first, None, _numbers_at(result, _paths(result[0], (0,), {})))
    if maker == "nnx":
        modules = [number for number, value in enumerate(args) if _is_module(value)]
        return CallLayout(modules[0] if modules else None, None, _numbers_at(result, _paths(result, (), {})))
    given = [(key, _shapes(value)) for key, value in [*enumerate(args), *kwargs.items()]]
    parts = [((number,), part) for number, part in enumerate(result)] if _is_plain(result) else [((), result)]
    key, place = None, None
    paths: dict[str, Any] = {}
    for path, part in parts:
        shapes = _shapes(part)
        match = next((one for one in given if shapes and one[1] == shapes), None)
        if match is not None:
            given.remove(match)
            if place is None:
                key, place = match[0], path
        else:
            _paths(part, path, paths)
    found = _numbers_at(result, paths)
    return CallLayout(key, place, found, is_series=any(at(result, path).shape for path in found.values()))


def _paths(value: "Any", path: "Any", found: "dict[str, Any]", name: str = "") -> "dict[str, Any]":
    """{name: path} of all arrays of floating numbers of at most one dimension."""
    if _is_floating(value):
        if len(getattr(value, "shape", ())) < 2 and len(found) < MOST_NAMES:
            found[step_loop.metric_name(name) or ("output_%d" % len(found) if found else "loss")] = path
    elif isinstance(value, dict):
        for key, one in value.items():
            _paths(one, (*path, key), found, "%s/%s" % (name, key) if name else str(key)[:200])
    elif hasattr(value, "_fields") or hasattr(value, "__dataclass_fields__"):
        for key in value._fields if hasattr(value, "_fields") else value.__dataclass_fields__:
            _paths(getattr(value, key), (*path, "." + key), found, str(key))
    elif _is_plain(value):
        for number, one in enumerate(value):
            _paths(one, (*path, number), found)
    return found


def _numbers_at(result: "Any", paths: "dict[str, Any]") -> "dict[str, Any]":
    """The scalars among them; where there is none, the arrays: a number a step each."""
    scalars = {name: path for name, path in paths.items() if at(result, path).shape == ()}
    return scalars or paths


def at(result: "Any", path: "Any") -> "Any":
    """What lies at a path in a result."""
    for name in path:
        result = getattr(result, name[1:]) if isinstance(name, str) and name.startswith(".") else result[name]
    return result


class Holding:
    """What is trained as it stands. A module, and too large an amount, are not kept alive: the script lets them go."""

    __slots__ = ("_first", "value")

    def __init__(self, value: "Any", is_kept: bool) -> None:
        self._first: Any = None
        self.value: Any = None
        """Gives it; None where it is gone."""
        if is_kept:
            self.value = lambda: value
        elif _is_module(value):
            self.value = weakref.ref(value)
        else:
            self._first, self.value = weakref.ref(_first(value)), lambda: None

    def is_same(self, other: "Any") -> bool:
        """True where `other` holds the same arrays; of the first of them it is taken to hold for all."""
        value = self.value()
        if value is other:
            return value is not None
        first = _first(value) if self._first is None else self._first()
        return first is not None and first is _first(other)


def is_kept(value: "Any") -> bool:
    """True where what is trained may be kept until the next call."""
    return not _is_module(value) and weights.count(_floating(value)) * 4 <= MOST_HELD_BYTES


def digest(value: "Any") -> "str | None":
    """The digest of the numbers in it that can be trained."""
    arrays = _floating(_parameters(value))
    return weights.digest(arrays, _read) if arrays else None


class ArrayState:
    """What a loop trains, whose owner has it as it is by now."""

    def __init__(self, loop: "Any") -> None:
        self._loop = loop

    def digest(self) -> "str | None":
        """The digest of all parameters."""
        return digest(self._loop.current())

    def norm(self) -> "float | None":
        """The norm of all parameters."""
        arrays = _floating(_parameters(self._loop.current()))
        if not arrays or weights.count(arrays) > weights.NORM_PARAMETERS:
            return None
        return weights.norm(_read(arrays))


def numbers(values: "Any") -> "list[dict[str, float]]":
    """The numbers of a step by name; of several steps where they are arrays of that many."""
    there = [(name, value) for name, value in values if not _is_gone(value)]
    if not any(value.shape for _, value in there):
        return [{name: float(value) for name, value in there}]
    read = {name: _host(value).astype("float64") for name, value in there}
    length = max(value.size for value in read.values())
    stride = -(-length // MOST_STEPS)
    series = {name: value.ravel()[::stride] for name, value in read.items() if value.size == length}
    return [{name: float(value[step]) for name, value in series.items()} for step in range(-(-length // stride))]


def is_traced(result: "Any") -> bool:
    """True where a result has no values yet: the call is part of a trace."""
    return hasattr(_first(result), "_trace")


def donates(settings: "Any") -> bool:
    """True where a function may take the memory of arguments."""
    return bool(settings.get("donate_argnums") or settings.get("donate_argnames"))


def taken(settings: "Any", args: "Any", kwargs: "Any") -> "dict[Any, Any]":
    """The arguments that a function takes the memory of, and modules, which it changes."""
    modules = {number: value for number, value in enumerate(args) if _is_module(value)}
    positions, names = settings.get("donate_argnums"), settings.get("donate_argnames")
    positions = (positions,) if isinstance(positions, int) else tuple(positions or ())
    names = (names,) if isinstance(names, str) else tuple(names or ())
    modules.update({position: args[position] for position in positions if -1 < position < len(args)})
    return dict(modules, **{name: kwargs[name] for name in names if name in kwargs})


def copies(value: "Any") -> "Any":
    """The numbers that can be trained in it, copied."""
    arrays = _floating(_parameters(value))
    return list(_read(arrays)) if weights.count(arrays) * 4 <= weights.DIGEST_BYTES else []


def architecture(value: "Any") -> str:
    """SHA-256 (hex) over shapes and types of the numbers in it that can be trained."""
    return hashlib.sha256(json.dumps(_shapes(_parameters(value))).encode("ascii")).hexdigest()


def code_of(function: "Any") -> "Any":
    """The code of the innermost function, by which one is known that is made anew in each step."""
    for _ in range(8):
        code = getattr(function, "__code__", None)
        if code is not None and not hasattr(function, "__wrapped__"):
            return code
        inner = [getattr(function, name, None) for name in ("__wrapped__", "func", "f", "fun")]
        inner = [one for one in inner if callable(one)]
        if not inner:
            return code or id(function)
        function = inner[0]
    return id(function)


def config_text(maker: "Any", args: "Any", kwargs: "Any") -> str:
    """An optimizer's name and arguments, those by default too, as JSON text."""
    bound = inspect.signature(maker).bind(*args, **kwargs)
    bound.apply_defaults()
    config = {name: _setting(value) for name, value in bound.arguments.items()}
    return json.dumps({"class_name": maker.__name__, "config": config}, sort_keys=True)


def _setting(value: "Any") -> "Any":
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if getattr(value, "shape", None) == ():
        return float(value)
    return getattr(value, "__name__", type(value).__name__)


def _parameters(state: "Any") -> "Any":
    """Of a state or a module that has them by name, the parameters; of others all of it."""
    if _is_module(state):
        nnx = sys.modules["flax.nnx"]
        return nnx.state(state, nnx.Param)
    return getattr(state, "params", state)


def _is_module(value: "Any") -> bool:
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Module)


def _leaves(value: "Any") -> "list[Any]":
    return list(sys.modules["jax.tree_util"].tree_leaves(value))


def _floating(value: "Any") -> "list[Any]":
    return [leaf for leaf in _leaves(value) if _is_floating(leaf) and not _is_gone(leaf)]


def _is_floating(leaf: "Any") -> bool:
    return hasattr(leaf, "shape") and str(getattr(leaf, "dtype", "")).startswith(("float", "bfloat", "complex"))


def _is_gone(leaf: "Any") -> bool:
    """True where its memory was given away."""
    asked = getattr(leaf, "is_deleted", None)
    return asked is not None and asked()


def _read(arrays: "Any") -> "Any":
    return (_host(array) for array in arrays)


def _host(array: "Any") -> "Any":
    """A copy: a view would keep the memory from being given away, and so would one that the array itself holds."""
    part = array.addressable_data(0) if hasattr(array, "addressable_data") else array
    numpy: Any = sys.modules.get("numpy")
    return part if numpy is None else numpy.array(part)


def _shapes(value: "Any") -> "Any":
    """Shapes and types of the arrays in it; nothing where none can be trained."""
    return [(leaf.shape, str(leaf.dtype)) for leaf in _leaves(value) if _is_floating(leaf)] or None


def _is_plain(value: "Any") -> bool:
    return type(value) in (tuple, list)


def _first(value: "Any") -> "Any":
    """The first array in it, without a look at the others."""
    while isinstance(value, (tuple, list, dict)) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value if hasattr(value, "dtype") or value is None else next(iter(_leaves(value)), None)
