"""Whether a series meets a target: `loss < 1e-4` at the end, or `loss < 1e-4 within 5 epochs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from runner.matrix.criterion import Comparison, Operator

if TYPE_CHECKING:
    from runner.outcomes.quantities import Quantities, Series


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where a series meets its target."""

    by_end: bool
    by_final: bool
    first_epoch: int | None


def reach(comparison: Comparison, series: Series, quantities: Quantities, sign: int) -> Reach:
    """Compare a series (negated where `sign` is -1) with a target in the metric's own units.

    With `within` it is enough that an epoch up to that one met the target, unless the series then left its start
    behind (R3).
    """
    first = next(
        (epoch for epoch, y in zip(series.epochs, series.y, strict=True) if holds(comparison, sign * y)),
        None,
    )
    by_end = holds(comparison, sign * quantities.end)
    if comparison.within is not None:
        in_time = first is not None and first <= comparison.within
        return Reach(by_end=in_time and by_end, by_final=in_time, first_epoch=first)
    return Reach(by_end=by_end, by_final=holds(comparison, sign * quantities.final), first_epoch=first)


def holds(comparison: Comparison, value: float) -> bool:
    """Whether one value meets the target."""
    match comparison.operator:
        case Operator.LESS:
            return value < comparison.target
        case Operator.LESS_EQUAL:
            return value <= comparison.target
        case Operator.GREATER:
            return value > comparison.target
        case Operator.GREATER_EQUAL:
            return value >= comparison.target
        case _:
            assert_never(comparison.operator)
