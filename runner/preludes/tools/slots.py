"""What an optimizer keeps for each weight, by any of the ways in which the optimizers of all Keras keep it.

It is put in front of trace.py.
"""

SLOTS = {
    "_momentums": "m", "momentums": "m", "_m": "m", "_velocities": "v", "_v": "v", "_u": "v", "_velocity_hats": "vhat",
    "_accumulators": "accumulator", "_accumulated_grads": "accum_grad", "_accumulated_delta_vars": "accum_var",
    "_average_gradients": "mg",
}
OWN_SLOTS = {
    "SGD": {"m": "momentum"}, "RMSprop": {"v": "rms", "m": "momentum"},
    "Adam": {}, "AdamW": {}, "Nadam": {}, "Adamax": {}, "Adagrad": {}, "Adadelta": {}, "Ftrl": {},
}
CHUNKS = {
    "SGD": ("momentum",), "Adam": ("m", "v", "vhat"), "RMSprop": ("rms",), "Adagrad": ("accumulator",),
    "Adadelta": ("accum_grad", "accum_var"), "Adamax": ("m", "v"), "Nadam": ("m", "v"),
}
"""How the lists of the first optimizers of Keras go on: one piece a kind, each in the order of the weights."""


def _rate(optimizer):
    """The variable of the learning rate, as a list; empty where it is none."""
    for name in ("_learning_rate", "learning_rate", "lr", "_lr"):
        value = getattr(optimizer, name, None)
        if hasattr(value, "assign"):
            return [value]
    return []


def _slots_of(model, optimizer, trained):
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
        return _slots_of(model, wrapped, trained)
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


def _chunks(name, values, order):
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


def _trained_order(model, trained):
    """(place, weight) of the weights that are trained, in the order in which an optimizer gets them."""
    places = {id(variable): place for place, variable in trained}
    return [(places[id(one)], one) for one in model.trainable_weights if id(one) in places]
