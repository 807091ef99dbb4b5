"""The weights, slots and states that two traces have in common, by the layers' order, classes, roles and shapes.

Names count only where someone gave them: `dense_1` is the first layer in one Keras and the second in another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.investigate.trace import Trace, TracedLayer

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """One thing that both traces have at each step."""

    what: str
    """"learning rate", "output", "loss", "update", "weight", "state", or the kind of an optimizer's slot."""
    role: str = ""
    layer: str = ""
    """The layer's class and its name in the good cell."""

    def __str__(self) -> str:
        """In words: `the update of the recurrent kernel of SimpleRNN rnn_layer_1`."""
        if not self.role:
            return f"the {self.what}"
        return f"the {self.what} of the {self.role.replace('_', ' ')} of {self.layer}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One thing that both have: its places in the two lists, its shape's size and dtype."""

    quantity: Quantity
    good: int
    bad: int
    size: int
    dtype: str


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What belongs together; each quantity is named after the good trace."""

    weights: tuple[Match, ...]
    slots: tuple[Match, ...]
    states: tuple[Match, ...]
    only_good: tuple[str, ...]
    only_bad: tuple[str, ...]


def align(good: Trace, bad: Trace) -> Alignment:
    """The alignment of two traces."""
    layers = _layers(good.header.layers, bad.header.layers)
    ours, theirs = _weights(good, layers.keys()), _weights(bad, layers.values())
    names = {bad_place: good_place for good_place, bad_place in layers.items()}
    theirs_named = {(names[layer], weight): place for (layer, weight), place in theirs.items()}
    weights = tuple(
        _match(good, layer, weight[0], place, theirs_named[layer, weight])
        for (layer, weight), place in ours.items()
        if (layer, weight) in theirs_named
    )
    by_weight = {match.bad: match for match in weights}
    their_slots = {
        (by_weight[slot.weight].good, slot.kind): place
        for place, slot in enumerate(bad.slots)
        if slot.weight in by_weight
    }
    our_weights = {match.good: match for match in weights}
    slots = tuple(
        Match(
            quantity=Quantity(what=slot.kind, role=match.quantity.role, layer=match.quantity.layer),
            good=place,
            bad=their_slots[slot.weight, slot.kind],
            size=match.size,
            dtype=match.dtype,
        )
        for place, slot in enumerate(good.slots)
        if (match := our_weights.get(slot.weight)) is not None and (slot.weight, slot.kind) in their_slots
    )
    our_states = {(state.layer, state.role): place for place, state in enumerate(good.header.states)}
    their_states = {(names.get(state.layer), state.role): place for place, state in enumerate(bad.header.states)}
    states = tuple(
        Match(
            quantity=Quantity(what="new value", role=role, layer=_named(good.header.layers[layer])),
            good=place,
            bad=their_states[layer, role],
            size=_size(good.header.states[place].shape),
            dtype=good.header.states[place].dtype,
        )
        for (layer, role), place in our_states.items()
        if (layer, role) in their_states
    )
    matched = (weights, slots, states)
    return Alignment(
        weights=weights,
        slots=slots,
        states=states,
        only_good=_unmatched(good, tuple({match.good for match in matches} for matches in matched)),
        only_bad=_unmatched(bad, tuple({match.bad for match in matches} for matches in matched)),
    )


def _match(good: Trace, layer: int, role: str, ours: int, theirs: int) -> Match:
    found = good.header.layers[layer]
    weight = next(weight for weight in found.weights if weight.role == role)
    quantity = Quantity(what="weight", role=role, layer=_named(found))
    return Match(quantity=quantity, good=ours, bad=theirs, size=_size(weight.shape), dtype=weight.dtype)


def _layers(good: tuple[TracedLayer, ...], bad: tuple[TracedLayer, ...]) -> dict[int, int]:
    """Places of layers that belong together: in order where all come in the same one; else by name, then by kind."""
    if list(map(_signature, good)) == list(map(_signature, bad)):
        return {place: place for place in range(len(good))}
    found: dict[int, int] = {}
    for same in (_is_same_named, lambda one, two: _signature(one) == _signature(two), _shares_weights):
        for place, layer in enumerate(good):
            if place in found:
                continue
            taken = set(found.values())
            fitting = [other for other, two in enumerate(bad) if other not in taken and same(layer, two)]
            if fitting:
                found[place] = fitting[0]
    return dict(sorted(found.items()))


def _is_same_named(one: TracedLayer, two: TracedLayer) -> bool:
    """The same name, given by someone and not made from the class."""
    made = re.compile(rf"{re.escape(_CAPITAL.sub('_', one.kind).lower())}(_\d+)?")
    return one.name == two.name and not made.fullmatch(one.name) and _signature(one) == _signature(two)


def _shares_weights(one: TracedLayer, two: TracedLayer) -> bool:
    """The same class with some weights alike: one version has a weight that the other has not."""
    return one.kind == two.kind and bool(set(_roles(one)) & set(_roles(two)))


def _signature(layer: TracedLayer) -> tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    return layer.kind, tuple(sorted(_roles(layer)))


def _roles(layer: TracedLayer) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.role, weight.shape) for weight in layer.weights]


def _weights(trace: Trace, layers: Iterable[int]) -> dict[tuple[int, tuple[str, tuple[int, ...]]], int]:
    """The place of each weight among all weights, by layer, role and shape, of the layers that have a counterpart."""
    wanted = set(layers)
    flat = [(number, role) for number, layer in enumerate(trace.header.layers) for role in _roles(layer)]
    return {(number, role): place for place, (number, role) in enumerate(flat) if number in wanted}


def _unmatched(trace: Trace, matched: tuple[set[int], ...]) -> tuple[str, ...]:
    weights, slots, states = matched
    flat = [(layer, weight) for layer in trace.header.layers for weight in layer.weights]
    names = [
        f"the {weight.role.replace('_', ' ')} of {_named(layer)}"
        for place, (layer, weight) in enumerate(flat)
        if place not in weights
    ]
    kinds: dict[str, None] = {}
    for place, slot in enumerate(trace.slots):
        if place not in slots and slot.weight in weights:
            kinds[f"the optimizer's {slot.kind}"] = None
    names += kinds
    names += [
        f"the {state.role} of {_named(trace.header.layers[state.layer])}"
        for place, state in enumerate(trace.header.states)
        if place not in states
    ]
    return tuple(names)


def _named(layer: TracedLayer) -> str:
    return f"{layer.kind} {layer.name}"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
