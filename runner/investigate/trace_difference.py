"""The first step and quantity in which two trainings differ by more than rounding: step by step in causal order.

The tolerance comes from the dtype (a few units in the last place, times the square root of the size, growing with the
step) and from the same cell traced twice.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.investigate.trace import Quantity, align

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.investigate.trace import Alignment, Tensor, Trace, TracedStep

UNITS = 16
"""Units in the last place that one step may be off by: what reordering the sums of a small layer comes to."""
MARGIN = 4
"""The multiple, of what was seen between two runs of the same cell, that a difference must reach."""
AMPLIFIED = 1000
"""The factor by which an adaptive optimizer enlarges the rounding of a gradient's small elements, its divisors."""
_ADAPTIVE = frozenset({"v", "vhat", "rms", "accumulator", "accum_grad"})
_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 2.0**-52}
_SINGLE = 2.0**-23
_NAMES = ("norm", "projection", "smallest element", "largest element")

_Noise = dict[Quantity, dict[int, float]]


class Where(enum.StrEnum):
    """The place where two trainings part."""

    NOWHERE = "nowhere"
    INITIAL_WEIGHTS = "initial weights"
    BATCHES = "batches"
    STEP = "step"
    INCOMPARABLE = "incomparable"
    """There is no step, or no weight, that both traces have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantityPair:
    """One quantity at one step in both cells."""

    quantity: Quantity
    good: float
    bad: float
    shown: str = ""
    """The part of the quantity that the two values are: "norm", "element 3", "projection"; empty for the quantity
    itself."""
    off: float = 0.0
    """The largest distance between the two."""
    tolerance: float = 0.0
    """The largest distance that rounding, and running the same cell again, can put between them."""

    @property
    def agrees(self) -> bool:
        """True where the difference may be rounding."""
        return not self.off > self.tolerance

    def __str__(self) -> str:
        """In words: `the loss (0.031 against 0.047)`."""
        shown = f"{self.shown} " if self.shown else ""
        return f"{self.quantity} ({shown}{_number(self.good)} against {_number(self.bad)})"


@dataclass(frozen=True, kw_only=True)
class TraceDifference:
    """The first place where two trainings part."""

    where: Where
    step: int = 0
    """The first step at which anything differs; 0 where none does."""
    differ: tuple[QuantityPair, ...] = ()
    """The quantities that differ at that step, in causal order: the first is where it begins."""
    agree: tuple[QuantityPair, ...] = ()
    """The quantities that agree at that step."""
    recorded: int = 0
    """The number of steps both traces have."""
    last: int = 0
    """The last of them."""
    only_good: tuple[str, ...] = ()
    """Quantities that only the good cell has: named, not compared."""
    only_bad: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """The limits of the comparison, in sentences."""

    @property
    def first(self) -> QuantityPair | None:
        """The first quantity that differs."""
        return self.differ[0] if self.differ else None

    def sentence(self) -> str:
        """The finding in one or a few sentences."""
        parts = [self._finding()]
        if self.only_good:
            parts.append(f"Only the good cell has {_listed(self.only_good)}.")
        if self.only_bad:
            parts.append(f"Only the bad cell has {_listed(self.only_bad)}.")
        return " ".join([*parts, *self.remarks])

    def _finding(self) -> str:
        if self.where is Where.INCOMPARABLE:
            return "The two trainings can't be compared step by step."
        if self.where is Where.NOWHERE:
            return f"The two agree over all {self.recorded} recorded steps (the last is step {self.last})."
        if self.where is Where.BATCHES:
            return f"Step {self.step}: the two are trained on different batches, so nothing is said of what follows."
        if self.where is Where.INITIAL_WEIGHTS:
            return (
                f"The two start from different initial weights ({_listed(tuple(map(str, self.differ)))}), so nothing "
                "is said of what follows."
            )
        return f"Step {self.step}: {self._agreeing()}{self._differing()}"

    def _agreeing(self) -> str:
        """The quantities before the first difference in causal order that agree; weights by how many."""
        plain = [one.quantity.what for one in self.agree if not one.quantity.role]
        whats = [{one.quantity.what for one in rows} for rows in (self.agree, self.differ)]
        plain += ["gradients"] if "gradient" in whats[0] - whats[1] else []
        if not plain:
            return ""
        return f"{' and '.join(filter(None, [', '.join(plain[:-1]), plain[-1]]))} agree{'s' * (len(plain) == 1)}; "

    def _differing(self) -> str:
        first, *others = self.differ
        text = f"{first.quantity} differs ({_values(first)})"
        rest = [other for other in others if other.quantity.what != "weight"]
        if rest:
            text += f", and so {'do' if len(rest) > 1 else 'does'} {_listed(tuple(map(str, rest)))}"
        return text + ("; all else agrees." if any(one.quantity.role for one in self.agree) else ".")


def _values(one: QuantityPair) -> str:
    shown = f"{one.shown} " if one.shown else ""
    return f"{shown}{_number(one.good)} against {_number(one.bad)}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def first_difference(good: Trace, bad: Trace, *, repeats: Sequence[tuple[Trace, Trace]] = ()) -> TraceDifference:
    """The first step and quantity in which the two differ; `repeats` are pairs of traces of one cell.

    Where they start from other weights or see other batches, that is said, and nothing of what follows.
    """
    alignment = align(good, bad)
    common = sorted(good.steps.keys() & bad.steps.keys())
    found = TraceDifference(
        where=Where.INCOMPARABLE,
        recorded=len(common),
        last=common[-1] if common else 0,
        only_good=alignment.only_good,
        only_bad=alignment.only_bad,
        remarks=tuple(_remarks(good, bad, common)),
    )
    if not common or not alignment.weights:
        return found
    initial = [one for one in _initial(good, bad, alignment) if not one.agrees]
    if initial:
        return replace(found, where=Where.INITIAL_WEIGHTS, differ=tuple(initial))
    noise = _noise(good, repeats)
    for number in common:
        ours, theirs = good.steps[number], bad.steps[number]
        if ours.batch and theirs.batch and ours.batch != theirs.batch:
            return replace(found, where=Where.BATCHES, step=number)
        rows = [_with_noise(one, noise, number) for one in _rows(ours, theirs, alignment)]
        differ = tuple(row for row in rows if not row.agrees)
        if differ:
            agree = tuple(row for row in rows if row.agrees)
            return replace(found, where=Where.STEP, step=number, differ=differ, agree=agree)
    return replace(found, where=Where.NOWHERE)


def _remarks(good: Trace, bad: Trace, common: list[int]) -> Iterator[str]:
    if good.initial is None or bad.initial is None:
        yield "Whether the initial weights are the same could not be seen."
    for name, trace in (("good", good), ("bad", bad)):
        if any(step.batch is None for step in trace.steps.values()):
            yield f"Not every batch of the {name} cell could be seen."
        if any(step.batches > 1 for step in trace.steps.values()):
            yield f"A step of the {name} cell is several batches: its Keras runs them at once."
        for note in trace.notes:
            yield f"Trace of the {name} cell: {note}."
    if not common:
        yield "No step is in both traces."


def _initial(good: Trace, bad: Trace, alignment: Alignment) -> Iterator[QuantityPair]:
    if good.initial is None or bad.initial is None:
        return
    for match in alignment.weights:
        ours, theirs = good.initial[match.good], bad.initial[match.bad]
        yield _compared(match.quantity, ours, theirs, _epsilon(match.dtype) * ours.size)


def _rows(good: TracedStep, bad: TracedStep, alignment: Alignment) -> Iterator[QuantityPair]:
    """All quantities of a step in the order in which one leads to the other."""
    grown = UNITS * max(good.step, 1)
    if good.learning_rate is not None and bad.learning_rate is not None:
        tolerance = UNITS * _SINGLE * abs(good.learning_rate)
        yield _scalar("learning rate", good.learning_rate, bad.learning_rate, tolerance)
    dtype = alignment.weights[0].dtype
    output = 1.0 + max(
        (abs(number) for one in good.outputs or () for number in one.numbers() if not math.isnan(number)), default=0.0
    )
    if good.outputs and bad.outputs and len(good.outputs) == len(bad.outputs):
        for ours, theirs in zip(good.outputs, bad.outputs, strict=True):
            yield _compared(Quantity(what="output"), ours, theirs, grown * _epsilon(dtype) * output)
    if good.loss is not None and bad.loss is not None:
        scale = abs(good.loss) + math.sqrt(abs(good.loss)) * output  # a small loss is a difference of larger numbers
        tolerance = grown * _epsilon(dtype) * scale + good.loss_error + bad.loss_error
        yield _scalar("loss", good.loss, bad.loss, tolerance)
    yield from _gradients(good, bad, alignment, grown, output)
    yield from _updates(good, bad, alignment, grown, output)
    for match in alignment.slots:
        ours, theirs = good.slots[match.good], bad.slots[match.bad]
        yield _compared(match.quantity, ours, theirs, _tolerance(match.dtype, match.size, grown, ours.size + output))
    for match in alignment.states:
        ours, theirs = good.states[match.good], bad.states[match.bad]
        yield _compared(match.quantity, ours, theirs, _tolerance(match.dtype, match.size, grown, ours.size))


def _gradients(
    good: TracedStep, bad: TracedStep, alignment: Alignment, grown: float, output: float
) -> Iterator[QuantityPair]:
    if good.gradients is None or bad.gradients is None:
        return
    for match in alignment.weights:
        ours, theirs = good.gradients[match.good], bad.gradients[match.bad]
        if ours is not None and theirs is not None:
            tolerance = _tolerance(match.dtype, match.size, grown, ours.size + output)
            yield _compared(replace(match.quantity, what="gradient"), ours, theirs, tolerance)


def _updates(
    good: TracedStep, bad: TracedStep, alignment: Alignment, grown: float, output: float
) -> Iterator[QuantityPair]:
    """The updates of all weights; where one side has none (its model was built by this step), the weights."""
    amplified = AMPLIFIED if any(match.quantity.what in _ADAPTIVE for match in alignment.slots) else 1
    for match in alignment.weights:
        weight = good.weights[match.good].size
        if good.updates is not None and bad.updates is not None:
            ours, theirs = good.updates[match.good], bad.updates[match.bad]
            rate = abs(good.learning_rate or 0.0)
            scale = weight + ours.size + rate * max(output, amplified)
            quantity = replace(match.quantity, what="update")
        else:
            ours, theirs = good.weights[match.good], bad.weights[match.bad]
            scale, quantity = weight, match.quantity
        yield _compared(quantity, ours, theirs, _tolerance(match.dtype, match.size, grown, scale))


def _tolerance(dtype: str, size: int, grown: float, scale: float) -> float:
    return grown * _epsilon(dtype) * math.sqrt(size) * scale


def _epsilon(dtype: str) -> float:
    return _EPSILON.get(dtype, _SINGLE)


def _scalar(what: str, good: float, bad: float, tolerance: float) -> QuantityPair:
    return QuantityPair(
        quantity=Quantity(what=what), good=good, bad=bad, off=_apart(good, bad), tolerance=_finite(tolerance)
    )


def _compared(quantity: Quantity, good: Tensor, bad: Tensor, tolerance: float) -> QuantityPair:
    """Two tensors by what is known of both; shown are their norms, unless it is something else that differs."""
    ours, theirs = good.numbers(), bad.numbers()
    if len(ours) != len(theirs) or (good.values is None) != (bad.values is None):
        return QuantityPair(
            quantity=quantity, good=len(ours), bad=len(theirs), shown="number of elements", off=math.inf
        )
    apart = [_apart(one, two) for one, two in zip(ours, theirs, strict=True)]
    off = max(apart, default=0.0)
    tolerance = _finite(tolerance)
    found = QuantityPair(quantity=quantity, good=good.size, bad=bad.size, shown="norm", off=off, tolerance=tolerance)
    if len(ours) == 1:
        return replace(found, good=ours[0], bad=theirs[0], shown="")
    if off > tolerance >= _apart(good.size, bad.size):
        place = apart.index(off)
        shown = _NAMES[place] if good.values is None else f"element {place + 1}"
        return replace(found, good=ours[place], bad=theirs[place], shown=shown)
    return found


def _apart(one: float, two: float) -> float:
    """The distance of two numbers; none where both are the same NaN or infinity, infinite where only one is."""
    if one == two or (math.isnan(one) and math.isnan(two)):
        return 0.0
    distance = abs(one - two)
    return math.inf if math.isnan(distance) else distance


def _finite(tolerance: float) -> float:
    """No tolerance where the scale is no number: then only equal values agree."""
    return tolerance if math.isfinite(tolerance) else 0.0


def _noise(good: Trace, repeats: Sequence[tuple[Trace, Trace]]) -> _Noise:
    """The largest distance of two runs of a cell until a step, by quantity and step; named as in the good trace."""
    found: _Noise = {}
    for one, two in repeats:
        inner, names = align(one, two), _renamed(good, one)
        worst: dict[Quantity, float] = {}
        for number in sorted(one.steps.keys() & two.steps.keys()):
            for row in _rows(one.steps[number], two.steps[number], inner):
                quantity = names.get(row.quantity, row.quantity)
                worst[quantity] = max(worst.get(quantity, 0.0), row.off)
                at_step = found.setdefault(quantity, {})
                at_step[number] = max(at_step.get(number, 0.0), worst[quantity])
    return found


def _renamed(good: Trace, other: Trace) -> dict[Quantity, Quantity]:
    """The good trace's name of every quantity of the other: layers may be called otherwise there."""
    there, here = align(other, good), align(good, other)
    found: dict[Quantity, Quantity] = {}
    for theirs, ours in ((there.weights, here.weights), (there.slots, here.slots), (there.states, here.states)):
        by_place = {match.bad: match.quantity for match in ours}
        for match in theirs:
            if match.good in by_place:
                found[match.quantity] = by_place[match.good]
                for what in ("gradient", "update"):
                    found[replace(match.quantity, what=what)] = replace(by_place[match.good], what=what)
    return found


def _with_noise(one: QuantityPair, noise: _Noise, step: int) -> QuantityPair:
    """A comparison with its tolerance widened by what two runs of one cell differed by, up to this step."""
    seen = max((off for number, off in noise.get(one.quantity, {}).items() if number <= step), default=0.0)
    return replace(one, tolerance=one.tolerance + MARGIN * seen)
