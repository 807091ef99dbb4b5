"""The reading of a model: layers and their variables, losses, batches, and what its optimizer keeps for each weight.

Nothing here adds an op to a graph or draws a random number.
"""

import hashlib
import re
import sys

from _runner_probe import weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLASSES = ("V1", "V2", "CuDNN")
"""Parts of the names of layer classes that say nothing about what the layer computes."""
RANDOM = ("Random", "Multinomial", "TruncatedNormal", "PyFunc", "Dropout", "Bernoulli", "Shuffle")
SLOTS = {
    "_momentums": "m",
    "momentums": "m",
    "_m": "m",
    "_velocities": "v",
    "_v": "v",
    "_u": "v",
    "_velocity_hats": "vhat",
    "_accumulators": "accumulator",
    "_accumulated_grads": "accum_grad",
    "_accumulated_delta_vars": "accum_var",
    "_average_gradients": "mg",
}
OWN_SLOTS = {
    "SGD": {"m": "momentum"},
    "RMSprop": {"v": "rms", "m": "momentum"},
    "Adam": {},
    "AdamW": {},
    "Nadam": {},
    "Adamax": {},
    "Adagrad": {},
    "Adadelta": {},
    "Ftrl": {},
}
CHUNKS = {
    "SGD": ("momentum",),
    "Adam": ("m", "v", "vhat"),
    "RMSprop": ("rms",),
    "Adagrad": ("accumulator",),
    "Adadelta": ("accum_grad", "accum_var"),
    "Adamax": ("m", "v"),
    "Nadam": ("m", "v"),
}
"""The rest of the lists of Keras' first optimizers: one piece a kind, each in the order of the weights."""
OPAQUE = ("PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient")


class LayerWeights:
    """A layer that has variables: its class, its name, (role, variable) of each, and the states that it carries on."""

    def __init__(self, kind: str, name: str, variables: "Any", states: "Any" = ()) -> None:
        self.kind = kind
        self.name = name
        self.variables = list(variables)
        self.states = list(states)


class Batch:
    """A batch as far as it is known: inputs and targets as lists of arrays; None where the rows can't be told."""

    def __init__(self, inputs: "Any", targets: "Any") -> None:
        self.inputs = inputs
        self.targets = targets


class SeenStep:
    """What is known of one step, before it is taken and after."""

    def __init__(self, batch: "Any" = None) -> None:
        self.batch = batch
        self.outputs: Any = None
        self.fed = False
        self.tracked = (0.0, 0.0)
        """Sum and count of the epoch's losses before the step."""
        self.loss: Any = None
        self.loss_error = 0.0
        self.gradients: Any = None
        """One a weight, in their order, None where a weight has none; None altogether where none could be seen."""


def tracker_of(model: "Any") -> "Any":
    """(sum, count) of the losses of an epoch so far, as TensorFlow 2's Keras keeps them; None where it does not."""
    metric = getattr(model, "_loss_tracker", None)
    if metric is None:
        metric = next(iter(getattr(getattr(model, "compiled_loss", None), "metrics", None) or ()), None)
    total, count = getattr(metric, "total", None), getattr(metric, "count", None)
    return None if total is None or count is None else [total, count]


def is_random(tensors: "Any") -> bool:
    """True where computing tensors of a graph runs an op that draws, or one that can't be looked into."""
    seen, todo = set(), [tensor.op for tensor in tensors]
    while todo:
        operation = todo.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        may_draw = operation.type in OPAQUE or any(part in operation.type for part in RANDOM)
        if may_draw and not _is_guarded(operation):
            return True
        todo += [one.op for one in operation.inputs] + list(operation.control_inputs)
    return False


def _is_guarded(operation: "Any") -> "Any":
    """True where an op is in a branch that is taken in training only: it takes part in a `cond` of its own."""
    return "/cond" in "/" + operation.name


def draws(graph: "Any") -> bool:
    """True where a function has an op that draws."""
    nodes = list(graph.node) + [node for function in graph.library.function for node in function.node_def]
    return any(part in node.op for node in nodes for part in RANDOM)


def batch_digest(arrays: "Any") -> "str | None":
    """The digest of a batch's arrays, whatever kind of number and trailing shape they have."""
    numpy = sys.modules["numpy"]
    found = hashlib.sha256()
    for given in arrays:
        if given is None:
            continue
        array = numpy.asarray(given)
        array = array.astype("float32") if array.dtype.kind in "fiub" else array
        found.update(("%d/%d;" % (len(array), array.size)).encode("ascii") + array.tobytes())
    return found.hexdigest()[:32]


def dtype_of(variable: "Any") -> str:
    dtype = variable.dtype
    return (
        str(getattr(dtype, "base_dtype", dtype) if not isinstance(dtype, str) else dtype)
        .replace("<dtype: '", "")
        .replace("'>", "")
        .replace("_ref", "")
        .replace("torch.", "")
    )


def flat(values: "Any") -> "list[Any]":
    if values is None:
        return []
    if isinstance(values, dict):
        values = [values[name] for name in sorted(values)]
    if isinstance(values, (list, tuple)) or type(values).__name__ in ("ListWrapper", "_TupleWrapper"):
        return [one for value in values for one in flat(value)]
    return [values]


def loss_name(loss: "Any") -> str:
    if isinstance(loss, (list, tuple, dict)):
        return str(loss)[:200]
    return str(getattr(loss, "__name__", None) or (loss if isinstance(loss, str) else type(loss).__name__))[:200]


def rate_of(optimizer: "Any") -> "list[Any]":
    """The variable of the learning rate, as a list; empty where it is none."""
    for name in ("_learning_rate", "learning_rate", "lr", "_lr"):
        value = getattr(optimizer, name, None)
        if hasattr(value, "assign"):
            return [value]
    return []


def slots_of(model: "Any", optimizer: "Any", trained: "Any") -> "list[Any]":
    """((kind, place of its weight), variable) of every slot, by any of the ways in which optimizers keep them."""
    own = OWN_SLOTS.get(type(optimizer).__name__, {})
    found = []
    if callable(getattr(optimizer, "get_slot_names", None)) and callable(getattr(optimizer, "get_slot", None)):
        for kind in optimizer.get_slot_names():
            for place, variable in trained:
                try:
                    slot = optimizer.get_slot(variable, kind)
                except Exception:
                    slot = None
                if slot is not None:
                    found.append(((str(kind), place), slot))
        return found
    wrapped = vars(optimizer).get("optimizer")
    if callable(getattr(wrapped, "get_slot_names", None)):
        return slots_of(model, wrapped, trained)
    order = _trained_order(model, trained)
    for name, values in sorted(vars(optimizer).items()):
        kind = SLOTS.get(name)
        if kind is None or not isinstance(values, (list, tuple)) or len(values) != len(order):
            continue
        if all(hasattr(one, "shape") and shape_of(one) == shape_of(two) for one, (_, two) in zip(values, order)):
            found += [((own.get(kind, kind), place), one) for one, (place, _) in zip(values, order)]
    if found:
        return found
    values = getattr(optimizer, "weights", None)
    return _chunks(type(optimizer).__name__, list(values), order) if isinstance(values, (list, tuple)) else []


def _chunks(name: "Any", values: "Any", order: "Any") -> "Any":
    shapes = [shape_of(variable) for _, variable in order]
    begin = 0
    while begin < len(values) and [shape_of(one) for one in values[begin : begin + len(order)]] != shapes:
        begin += 1
    found, piece = [], 0
    while order and begin + len(order) <= len(values):
        chunk = values[begin : begin + len(order)]
        if [shape_of(one) for one in chunk] == shapes:
            kinds = CHUNKS.get(name, ())
            kind = kinds[piece] if piece < len(kinds) else "slot-%d" % (piece + 1)
            found += [((kind, place), one) for one, (place, _) in zip(chunk, order)]
        begin, piece = begin + len(order), piece + 1
    return found


def _trained_order(model: "Any", trained: "Any") -> "Any":
    """(place, weight) of the weights that are trained, in the order in which an optimizer gets them."""
    places = {id(variable): place for place, variable in trained}
    return [(places[id(one)], one) for one in model.trainable_weights if id(one) in places]


def class_of(layer: "Any") -> str:
    """The name of a layer's class, without what only says which implementation it is."""
    name = type(layer).__name__
    for part in CLASSES:
        name = name.replace(part, "")
    return name


def layers_of(model: "Any") -> "list[Any]":
    """(layer, its variables) of every layer that has variables, in the model's order; models within are opened."""
    found, seen = [], set()

    def visit(layers: "Any") -> None:
        for layer in layers:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            inner = getattr(layer, "layers", None)
            if isinstance(inner, (list, tuple)) and inner:
                visit(inner)
                continue
            variables = weights.variables_of(layer)
            if variables:
                found.append((layer, variables))

    visit(list(getattr(model, "layers", ())))
    return found


def roles_of(variables: "Any") -> "list[str]":
    """The role of each variable of a layer: "kernel", "bias"; the second of one name is "kernel-2"."""
    roles: list[str] = []
    for variable in variables:
        role = str(getattr(variable, "path", None) or variable.name).split("/")[-1].split(":")[0]
        role = re.sub(r"_\d+$", "", role) or "weight"
        same = sum(re.sub(r"-\d+$", "", other) == role for other in roles)
        roles.append("%s-%d" % (role, same + 1) if same else role)
    return roles


def shape_of(variable: "Any") -> "list[int]":
    """A variable's shape as a list."""
    return [int(getattr(length, "value", length) or 0) for length in tuple(variable.shape)]
