"""The trace of one trial's training steps, as the prelude `trace` wrote it: read as data that someone may have made up.

What is too large, or is not what a trace looks like, is refused; lines of kinds that are not known are passed over.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner import foreign_json
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_BYTES = 8 * 1024**2 + 64 * 1024
MAX_STEPS = 100_000
SMALL = 64

_Name = Annotated[str, Field(max_length=200)]
_Shape = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(max_length=16)]


class TraceError(RunnerError):
    """A file is no trace that could be read."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Tensor(_Line):
    """A tensor at one moment: all of its elements, or norm, extremes and a projection on a fixed direction."""

    values: Annotated[tuple[float, ...], Field(max_length=SMALL)] | None = None
    norm: float = math.nan
    min: float = math.nan
    max: float = math.nan
    projection: float = math.nan

    @property
    def size(self) -> float:
        """Its Euclidean norm."""
        return self.norm if self.values is None else math.hypot(*self.values)

    def numbers(self) -> tuple[float, ...]:
        """All numbers that are known of it, in an order that is the same for all tensors of a shape."""
        return (self.norm, self.projection, self.min, self.max) if self.values is None else self.values


class Weight(_Line):
    """One weight of a layer; `role` is what it is to the layer, such as "kernel"."""

    role: _Name
    shape: _Shape
    dtype: _Name = "float32"
    trainable: bool = True


class TracedLayer(_Line):
    """One layer with weights; `class` in the file is `kind` here."""

    kind: _Name = Field(alias="class")
    name: _Name
    weights: Annotated[tuple[Weight, ...], Field(max_length=1000)]


class State(Weight):
    """A state that a stateful layer carries from batch to batch; `layer` is the layer's place."""

    layer: int = Field(ge=0)


class OptimizerSlot(_Line):
    """A value that an optimizer keeps for a weight; `weight` is the weight's place among all weights."""

    kind: _Name
    weight: int = Field(ge=0)


class Header(_Line):
    """The model and the versions that were traced."""

    framework: _Name = ""
    packages: dict[_Name, _Name] = Field(default_factory=dict, max_length=20)
    optimizer: _Name = ""
    loss: _Name = ""
    layers: Annotated[tuple[TracedLayer, ...], Field(max_length=5000)]
    states: Annotated[tuple[State, ...], Field(max_length=5000)] = ()


class TracedStep(_Line):
    """One training step. Outputs are those before it; None: not seen."""

    step: int = Field(ge=1)
    batches: int = 1
    """The number of batches that were trained in this step; more than one where Keras runs several at once."""
    batch: Annotated[tuple[_Name, ...], Field(max_length=2)] | None = None
    """Digests of inputs and targets."""
    learning_rate: float | None = None
    loss: float | None = None
    loss_error: float = 0.0
    """The largest error in the loss that comes from the way in which it was seen."""
    outputs: tuple[Tensor, ...] | None = None
    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...] | None = None
    """One a weight, None for a weight without one; only loops of PyTorch show them."""
    updates: tuple[Tensor, ...] | None = None
    slots: tuple[Tensor, ...] = ()
    states: tuple[Tensor, ...] = ()


class _Slots(_Line):
    slots: Annotated[tuple[OptimizerSlot, ...], Field(max_length=20_000)]


class _Initial(_Line):
    weights: tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """All that one trial's trace says."""

    header: Header
    slots: tuple[OptimizerSlot, ...] = ()
    initial: tuple[Tensor, ...] | None = None
    """The weights before the first step; None where the model was built by its first batch."""
    steps: dict[int, TracedStep] = field(default_factory=dict)
    """By number, ascending."""
    notes: tuple[str, ...] = ()
    ended: bool = False
    """True where the process wrote its last line."""


def parse_trace(text: str) -> Trace:
    """The trace in a file's text; raises TraceError where it is none."""
    if len(text) > MAX_BYTES:
        raise TraceError(
            f"The trace can't be used: it is larger than {MAX_BYTES // 1024} KB, more than the tracer writes."
        )
    lines = text.split("\n")
    whole = lines[:-1]  # a process that was killed leaves half a line
    try:
        return _trace([foreign_json.loads(line) for line in whole if line])
    except (ValueError, TypeError, RecursionError, ValidationError) as error:
        first = str(error).splitlines()[0][:200]
        raise TraceError(
            f"The trace can't be used: {first}. A trial with the prelude trace writes it; a script that writes to the "
            "same file spoils it."
        ) from error


def _trace(lines: list[Any]) -> Trace:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if not isinstance(line, dict):
            raise TypeError("a line is not an object")
        kinds.setdefault(str(line.get("kind")), []).append(line)
    if "header" not in kinds:
        raise ValueError("it has no header: nothing with weights was trained")
    if len(kinds.get("step", [])) > MAX_STEPS:
        raise ValueError("it has too many steps")
    steps = sorted((TracedStep.model_validate(line) for line in kinds.get("step", [])), key=lambda step: step.step)
    found = Trace(
        header=Header.model_validate(kinds["header"][0]),
        slots=_Slots.model_validate(kinds["slots"][0]).slots if "slots" in kinds else (),
        initial=_Initial.model_validate(kinds["initial"][0]).weights if "initial" in kinds else None,
        steps={step.step: step for step in steps},
        notes=tuple(str(line.get("text"))[:500] for line in kinds.get("note", [])[:100]),
        ended="summary" in kinds,
    )
    _check(found)
    return found


def _check(trace: Trace) -> None:
    """Places must exist, and each list must be as long as the header says."""
    weights = sum(len(layer.weights) for layer in trace.header.layers)
    if any(slot.weight >= weights for slot in trace.slots):
        raise ValueError("a slot belongs to no weight")
    if any(state.layer >= len(trace.header.layers) for state in trace.header.states):
        raise ValueError("a state belongs to no layer")
    sizes = {(len(step.weights), len(step.slots), len(step.states)) for step in trace.steps.values()}
    if sizes - {(weights, len(trace.slots), len(trace.header.states))}:
        raise ValueError("a step has another number of weights than the model")
    steps = trace.steps.values()
    lists = [trace.initial, *(step.updates for step in steps), *(step.gradients for step in steps)]
    if any(tensors is not None and len(tensors) != weights for tensors in lists):
        raise ValueError("a step has another number of updates or gradients than the model has weights")


_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """One thing that both traces have at each step."""

    what: str
    """"learning rate", "output", "loss", "gradient", "update", "weight", "state", or a kind of an optimizer's slots."""
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
    """The pairs of quantities that belong together; each quantity is named after the good trace."""

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
