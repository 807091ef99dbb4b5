"""How the tracer reads losses, batches and names, and how it knows that computing something would draw at random.

It is put in front of trace.py.
"""

import hashlib

RANDOM = ("Random", "Multinomial", "TruncatedNormal", "PyFunc", "Dropout", "Bernoulli", "Shuffle")
OPAQUE = ("PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient")


def _tracker(model):
    """(sum, count) of the losses of an epoch so far, as TensorFlow 2's Keras keeps them; None where it does not."""
    metric = getattr(model, "_loss_tracker", None)
    if metric is None:
        metric = next(iter(getattr(getattr(model, "compiled_loss", None), "metrics", None) or ()), None)
    total, count = getattr(metric, "total", None), getattr(metric, "count", None)
    return None if total is None or count is None else [total, count]


def _is_random(tensors):
    """Whether computing tensors of a graph runs an op that draws, or one that can't be looked into."""
    seen, todo = set(), [tensor.op for tensor in tensors]
    while todo:
        operation = todo.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type in OPAQUE or any(part in operation.type for part in RANDOM):
            if not _is_guarded(operation):
                return True
        todo += [one.op for one in operation.inputs] + list(operation.control_inputs)
    return False


def _is_guarded(operation):
    """Whether an op is in a branch that is taken in training only: it takes part in a `cond` of its own."""
    return "/cond" in "/" + operation.name


def _draws(graph):
    """Whether a function has an op that draws."""
    nodes = list(graph.node) + [node for function in graph.library.function for node in function.node_def]
    return any(part in node.op for node in nodes for part in RANDOM)


def _digest(arrays):
    """The digest of a batch's arrays, whatever kind of number and trailing shape they have."""
    numpy = sys.modules["numpy"]
    found = hashlib.sha256()
    for array in arrays:
        if array is None:
            continue
        array = numpy.asarray(array)
        array = array.astype("float32") if array.dtype.kind in "fiub" else array
        found.update(("%d/%d;" % (len(array), array.size)).encode("ascii") + array.tobytes())
    return found.hexdigest()[:32]


def _dtype(variable):
    dtype = variable.dtype
    return str(getattr(dtype, "base_dtype", dtype) if not isinstance(dtype, str) else dtype).replace("<dtype: '", "").replace("'>", "").replace("_ref", "")


def _flat(values):
    if values is None:
        return []
    if isinstance(values, dict):
        values = [values[name] for name in sorted(values)]
    if isinstance(values, (list, tuple)) or type(values).__name__ in ("ListWrapper", "_TupleWrapper"):
        return [one for value in values for one in _flat(value)]
    return [values]


def _loss_name(loss):
    if isinstance(loss, (list, tuple, dict)):
        return str(loss)[:200]
    return str(getattr(loss, "__name__", None) or (loss if isinstance(loss, str) else type(loss).__name__))[:200]
