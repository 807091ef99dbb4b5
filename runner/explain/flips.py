"""All that there is to explain in a matrix: every distinct flip with its failure, once, and the accounts of them.

A flip is a step between two neighbouring cells of which one is good and the other fails. That it also stands in other
rows of the matrix, or that further cells behind it fail for the same reason, is no other flip.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from runner.explain.experimenter import Budget
from runner.explain.investigation import explain, question_id
from runner.investigate.belief import fault_of
from runner.matrix.cell_id import CellId
from runner.outcomes.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from runner.explain.investigation import Investigation
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix
    from runner.outcomes.account import Account
    from runner.outcomes.judged_cell import JudgedCell
    from runner.session.options import Observer


_Steps = tuple[tuple[str, str, str | None], ...]
"""Axes with their good and their bad value."""


@dataclass(frozen=True, kw_only=True)
class DistinctFlip:
    """A good and a failing cell next to each other, and all cells that the same flip accounts for."""

    good: CellId
    bad: CellId
    reason: str
    """Why the failing one fails, as `fault_of` names it."""
    cells: tuple[CellId, ...]
    seconds: float
    """The mean duration of a trial of the two."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes in which the two differ."""
        return tuple(axis for axis, value in self.good if self.bad.get(axis) != value)

    @property
    def cost(self) -> tuple[int, float, int]:
        """The cheaper comes first: fewer axes, quicker trials; then what accounts for more cells."""
        return len(self.axes), self.seconds, -len(self.cells)

    def __str__(self) -> str:
        steps = ", ".join(f"{axis} {self.good.values[axis]} → {self.bad.values[axis]}" for axis in self.axes)
        return f"{steps} ({self.reason}): {len(self.cells)} of the cells"


def distinct_flips(judged: Iterable[JudgedCell]) -> list[DistinctFlip]:
    """Every distinct flip of some cells, the cheapest first."""
    known = {one.id: one for one in judged}
    good = [one.id for one in known.values() if one.kind is OutcomeKind.GOOD]
    reasons = {one.id: _reason(one) for one in known.values() if one.kind is OutcomeKind.BAD}
    if not good:
        return []
    order = _orders(known)
    groups: dict[tuple[_Steps, str], _Members] = defaultdict(list)
    for cell, reason in reasons.items():
        nearest = min(good, key=lambda one: _distance(one, cell, order))
        first, last = _step(nearest, cell, good, reasons, order)
        axes = tuple((axis, value, last.get(axis)) for axis, value in first if last.get(axis) != value)
        groups[(axes, reason)].append((first, last, cell))
    found = []
    for (_, reason), members in _narrowed(groups).items():
        first, last, _ = min(members, key=lambda pair: _seconds(known, pair[:2]))
        cells = tuple(cell for _, _, cell in members)
        seconds = _seconds(known, (first, last))
        found.append(DistinctFlip(good=first, bad=last, reason=reason, cells=cells, seconds=seconds))
    return sorted(found, key=lambda one: one.cost)


_Members = list[tuple[CellId, CellId, CellId]]
"""The good side, the failing side, and a cell that the step accounts for."""


def _narrowed(groups: Mapping[tuple[_Steps, str], _Members]) -> dict[tuple[_Steps, str], _Members]:
    """The groups, less those whose step holds that of another one with the same reason: it accounts for them."""
    found = {key: list(members) for key, members in groups.items()}
    for steps, reason in sorted(groups, key=lambda key: -len(key[0])):
        within = [key for key in found if key[1] == reason and set(key[0]) < set(steps)]
        if within:
            members = found.pop((steps, reason))
            first, last, _ = found[within[0]][0]
            found[within[0]] += [(first, last, cell) for _, _, cell in members]
    return found


def explain_all(
    laboratory: Laboratory,
    matrix: Matrix,
    flips: Sequence[DistinctFlip],
    *,
    known: Sequence[Account] = (),
    budget: Budget | None = None,
    every: str = "patch",
    thorough: bool = False,
    observer: Observer,
    command: Callable[[DistinctFlip], str] = str,
    fixed: Callable[[Investigation, Account], Account] = lambda _found, account: account,
) -> Iterator[Account]:
    """The account of each flip in turn, under one budget; one that is known whole is not asked for again.

    `fixed` adds what mends the bad cell. Where the budget ends, the flips that are left get no account.
    """
    spending = budget or Budget()
    whole = {one.id: one for one in known if not one.ended}
    for number, flip in enumerate(flips, 1):
        if spending.is_spent:
            observer.note(f"The budget ended before {len(flips) - number + 1} of {len(flips)} flips were explained.")
            return
        observer.note(f"Flip {number} of {len(flips)}: {flip}.")
        account = whole.get(question_id(matrix, flip.good, flip.bad))
        if account is None:
            found = explain(
                laboratory,
                matrix,
                flip.good,
                flip.bad,
                budget=spending,
                every=every,
                thorough=thorough,
                observer=observer,
            )
            account = fixed(found, found.account(command(flip)))
        yield account.model_copy(update={"cells": tuple(dict(cell.values) for cell in flip.cells)})


def _reason(one: JudgedCell) -> str:
    return fault_of(one.example) if one.example else one.label


def _orders(cells: Iterable[CellId]) -> dict[str, dict[str, int]]:
    """By axis the rank of each value."""
    values: dict[str, set[CellId]] = defaultdict(set)
    for cell in cells:
        for axis, value in cell:
            values[axis].add(CellId.of({axis: value}))
    return {axis: {one.values[axis]: rank for rank, one in enumerate(sorted(found))} for axis, found in values.items()}


def _distance(one: CellId, other: CellId, order: dict[str, dict[str, int]]) -> tuple[int, int]:
    """The number of axes in which two cells differ, then how far apart they are in those."""
    axes = [axis for axis in {**one.values, **other.values} if one.get(axis) != other.get(axis)]
    return len(axes), sum(
        abs(order[axis].get(one.get(axis, "") or "", 0) - order[axis].get(other.get(axis, "") or "", 0))
        for axis in axes
    )


def _step(
    good: CellId,
    bad: CellId,
    goods: Sequence[CellId],
    reasons: dict[CellId, str],
    order: dict[str, dict[str, int]],
) -> tuple[CellId, CellId]:
    """The two cells between which it flips, on the way from a failing cell to a good one along one axis."""
    axes = [axis for axis in bad.values if good.get(axis) != bad.get(axis)]
    if len(axes) != 1:
        return good, bad
    (axis,) = axes
    rest = {name: value for name, value in bad if name != axis}
    line = [cell for cell in (*goods, *reasons) if cell.matches(rest) and axis in cell.values]
    low, high = sorted(order[axis][cell.values[axis]] for cell in (good, bad))
    between = [cell for cell in line if low <= order[axis][cell.values[axis]] <= high]
    between.sort(key=lambda cell: abs(order[axis][cell.values[axis]] - order[axis][bad.values[axis]]))
    last = bad
    for cell in between[1:]:
        if cell not in reasons:
            return cell, last
        if reasons[cell] == reasons[bad]:
            last = cell
    return good, last


def _seconds(known: dict[CellId, JudgedCell], pair: Sequence[CellId]) -> float:
    took = [record.duration_s for cell in pair for record, _ in known[cell].trials if record.ran]
    return mean(took) if took else 0.0
