"""Reads weights and the learning rate of a model without adding an op to a graph or changing a random state.

In a graph the variables themselves are fetched, through the session that Keras uses; its `get_session` first
initialises what is not initialised yet, as the first batch would have done a moment later. Under eager execution
`numpy()` copies.
"""

import hashlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DIGEST_BYTES = 512 * 1024**2
NORM_PARAMETERS = 50 * 10**6
FINAL_PARAMETERS = 4 * 10**9
UPDATE_PARAMETERS = 10 * 10**6
"""Above these sizes a model's digest, norm, norm at the end of a training, and update norm (which keeps a copy of the
weights) are left out."""
CHUNK = 1 << 20


def variables_of(model: "Any") -> "list[Any]":
    """The model's weights in its own order; none where it is not built yet."""
    try:
        return list(model.weights)
    except Exception:
        return []


def count(variables: "Any") -> int:
    """The number of parameters the variables hold."""
    total = 0
    for variable in variables:
        size = 1
        for length in tuple(variable.shape):
            size *= int(getattr(length, "value", length) or 0)
        total += size
    return total


def reader(backend: str) -> "Callable[[Any], Any]":
    """Reads variables as NumPy arrays, one after the other; `backend` is the name of Keras' backend module."""

    def read(variables: "Any") -> "Any":
        if not variables or is_eager():
            return (_of_this_process(variable).numpy() for variable in variables)
        if is_first_graph():
            return iter(sys.modules[backend].get_session().run(list(variables)))
        return iter(_outside(variables))

    return read


def _of_this_process(variable: "Any") -> "Any":
    """The first replica of a variable that has several: reading them all may wait for other processes to read too."""
    replicas = getattr(variable, "_values", None)
    return replicas[0] if isinstance(replicas, tuple) and replicas else variable


def _outside(variables: "Any") -> "list[Any]":
    """What variables hold while a function is traced; nothing where they get their values only when it runs."""
    try:
        with _tensorflow("framework.ops").init_scope():
            return [_of_this_process(variable).numpy() for variable in variables]
    except Exception:
        return []


def digest(variables: "Any", read: "Any") -> "str | None":
    """SHA-256 (hex) over dtype, shape and bytes of every variable in the model's order; None where there is none."""
    if not variables or count(variables) * 4 > DIGEST_BYTES:
        return None
    found, number = hashlib.sha256(), 0
    for array in read(variables):
        found.update(("%s%s" % (array.dtype, list(array.shape))).encode("ascii"))
        found.update(array.tobytes())
        number += 1
    return found.hexdigest() if number else None


def norm(arrays: "Any") -> "float | None":
    """The Euclidean norm over all arrays together, in double precision; not finite where a weight is not.

    None where there is no NumPy to take it with.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    total = 0.0
    with numpy.errstate(all="ignore"):
        for array in arrays:
            flat = numpy.asarray(array).reshape(-1)
            for first in range(0, flat.size, CHUNK):  # a large array's double would need as much memory again, twice
                total += float(numpy.square(flat[first : first + CHUNK].astype("float64")).sum())
        return float(numpy.sqrt(total))


def norm_of(variables: "Any", read: "Any") -> "float | None":
    """The norm of what is read of variables; None where there are none, or too many."""
    if not variables or count(variables) > NORM_PARAMETERS:
        return None
    arrays = list(read(variables))
    return norm(arrays) if arrays else None


def difference(after: "Any", before: "Any") -> "list[Any]":
    """The arrays of `after` minus those of `before`."""
    numpy = sys.modules["numpy"]
    with numpy.errstate(all="ignore"):
        return [
            numpy.asarray(new, dtype="float64") - numpy.asarray(old, dtype="float64") for new, old in zip(after, before)
        ]


def learning_rate(optimizer: "Any", read: "Any") -> "float | None":
    """The optimizer's learning rate as it stands; None where only a new op could tell it."""
    for name in ("learning_rate", "lr", "_lr"):
        value = getattr(optimizer, name, None)
        if value is not None:
            break
    else:
        return None
    if hasattr(value, "assign"):
        value = next(read([value]))
    elif callable(value):
        if not is_eager():
            return None
        value = value(optimizer.iterations)
    try:
        return float(value)
    except TypeError:
        return None


def is_eager() -> bool:
    """True where TensorFlow, where there is one, executes at once."""
    context = _tensorflow("eager.context")
    if context is None:  # TensorFlow 1.3 and older, or none at all
        return _tensorflow("framework.ops") is None
    return bool(context.executing_eagerly() if hasattr(context, "executing_eagerly") else context.in_eager_mode())


def is_stateless() -> bool:
    """True where Keras 3 computes new values of variables and changes none: a function of JAX' does that."""
    module = sys.modules.get("keras.src.backend.common.stateless_scope")
    return module is not None and bool(module.in_stateless_scope())


def is_first_graph() -> bool:
    """True where a graph as of TensorFlow 1 is being made, which a session runs, and not the trace of a function."""
    ops = _tensorflow("framework.ops")
    if ops is None:
        return False
    outside = getattr(ops, "executing_eagerly_outside_functions", None)
    return not (is_eager() if outside is None else outside())


def _tensorflow(name: str) -> "Any":
    module: Any = sys.modules.get("tensorflow.python." + name)
    return sys.modules.get("tensorflow_core.python." + name) if module is None else module
