"""A bisection by itself: one axis of a cell, from one end to the other, whatever the ends turn out to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.explain.asking import Asking, Budget
from runner.explain.explaining import places_of
from runner.explain.places import Span, is_ordered
from runner.explain.telling import telling_of
from runner.investigate import BisectRules, answered, bisect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.explain.telling import Telling, Trial
    from runner.investigate import Bisection
    from runner.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Walk:
    """An axis that was walked, and what was called good and bad on the way."""

    span: Span
    found: Bisection
    telling: Telling | None
    """None: the ends are alike; bad is what does not succeed by the matrix's own criterion."""
    asking: Asking


def walk(
    session: Session,
    values: Mapping[str, str],
    axis: str,
    ends: tuple[str, str],
    *,
    every: str,
    budget: Budget | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Walk:
    """Find every flip along an axis of a cell that has `values` on the others; what goes with it moves with it.

    Raises UsageError for an axis without an order, and for ends that are one.
    """
    first, last = ends
    if not is_ordered(axis, first, last):
        raise UsageError(f"{axis} has no order to bisect: only packages and python have. Use `explain`.")
    if first == last:
        raise UsageError(f"{axis} has one value only, {first}. Name the two ends: --from VERSION --to VERSION.")
    along = _along(session, values, axis, ends)
    shared = {name: value for name, value in values.items() if name != axis and name not in along}
    span = Span(axis=axis, good=first, bad=last, values={}, along=along)
    cells = places_of(session, span, every)
    asking = Asking(session=session, budget=budget or Budget(), shared=shared)
    tell(f"{len(cells)} values of {axis}, from {first} to {last}; first the two ends.")
    asking.both(cells[0], cells[-1])
    ours, theirs = asking.trials[cells[0]], asking.trials[cells[-1]]
    telling = _telling(ours, theirs)
    if telling:
        asking.rejudge(telling)
    fault = telling.fault if telling else None
    found = answered(bisect(cells, BisectRules(fault=fault), asking.recorded(cells)), asking)
    return Walk(span=span, found=found, telling=telling, asking=asking)


def _telling(ours: Sequence[Trial], theirs: Sequence[Trial]) -> Telling | None:
    """What tells the ends apart, whichever of them is the good one; of two levels the better one is good."""
    found = [telling for telling in (telling_of(ours, theirs), telling_of(theirs, ours)) if telling]
    minimised = ours[0][1].mode == "min" if ours else True
    return next((one for one in found if one.level is None or one.level.operator.minimises is minimised), None)


def _along(session: Session, values: Mapping[str, str], axis: str, ends: tuple[str, str]) -> dict[str, tuple[str, str]]:
    """The axes that `era` pairs with this one: their values at its two ends, where cells of the matrix have them."""
    paired = {one.name for one in session.matrix.axes for value in one.values if value.beside is not None}
    if not paired or axis != session.matrix.base.name:
        return {}
    at = {cell.values[axis]: cell for cell in session.all_cells if axis in cell.values}
    return {
        name: (at[ends[0]].values[name], at[ends[1]].values[name])
        for name in paired
        if name in values and all(end in at for end in ends)
    }
