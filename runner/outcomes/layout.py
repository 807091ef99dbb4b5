"""The layout of a matrix: along which axes its cells really vary, where outcomes change, and which parts agree.

An axis whose value another one determines (the Keras that goes with each TensorFlow) moves along with it and is left
out; versions are ordered by PEP 440, whatever the order of the file. Undecided cells between others that agree do not
end a range; it names them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.versions import parsed
from runner.outcomes.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.outcomes.outcome import Outcome


Row = tuple[str | None, ...]
"""A value of each axis but the line."""
Box = tuple[tuple[str | None, ...], ...]
"""Of each axis but the line some values: the rows of all their combinations."""

_OF_VERSIONS = frozenset({AxisKind.PACKAGE, AxisKind.PYTHON})


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """An axis along which cells vary, independently of others."""

    name: str
    values: tuple[str | None, ...]
    """By version where `ordered`, else as the cells have them; None where cells lack the axis."""
    ordered: bool

    @cached_property
    def place(self) -> Mapping[str | None, int]:
        """The place of each value."""
        return {value: place for place, value in enumerate(self.values)}


@dataclass(frozen=True, kw_only=True)
class MatrixLayout:
    """The cells as rows along a line; each cell is known by its row and its place in the row."""

    line: Dimension | None
    """The ordered axis that ranges go along: the one with the most values, of equals the base, then the first."""
    others: tuple[Dimension, ...]
    rows: Mapping[Row, Mapping[int, CellId]]
    """Of each row, the places along the line (0 without one) that have a cell, in order, each with which cell."""

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Line and others."""
        return (*((self.line,) if self.line else ()), *self.others)


def layout_of(cells: Collection[CellId], base: str = "", *, line: str | None = None) -> MatrixLayout:
    """Lay cells out; `base` is the axis that environments are resolved around, `line` insists on another line."""
    dimensions = dimensions_of(cells, base)
    if line is not None:
        chosen = next((one for one in dimensions if one.name == line), None)
    else:
        chosen = max(
            (one for one in dimensions if one.ordered),
            key=lambda one: (len(one.values), one.name == base),
            default=None,
        )
    others = tuple(one for one in dimensions if one is not chosen)
    rows: dict[Row, dict[int, CellId]] = {}
    for cell in cells:
        place = chosen.place[cell.get(chosen.name)] if chosen else 0
        rows.setdefault(tuple(cell.get(other.name) for other in others), {})[place] = cell
    places = {row: dict(sorted(found.items())) for row, found in rows.items()}
    order = sorted(places, key=lambda row: [other.place[value] for other, value in zip(others, row, strict=True)])
    return MatrixLayout(line=chosen, others=others, rows={row: places[row] for row in order})


def dimensions_of(cells: Collection[CellId], base: str = "") -> tuple[Dimension, ...]:
    """The axes that vary, without those that another one determines; of two that determine each other one stays."""
    names = dict.fromkeys(name for cell in cells for name in cell.values)
    columns = {name: [cell.get(name) for cell in cells] for name in names}
    numbers = {name: len(set(column)) for name, column in columns.items()}
    kept = {name: columns[name] for name in names if numbers[name] > 1}
    droppable = sorted(kept, key=lambda one: (one != base, not _is_ordered(one, columns[one])))
    for name in reversed(droppable):  # the base is the last to go, and what is not ordered the first
        own = columns[name]
        if any(len(set(zip(other, own, strict=True))) == numbers[one] for one, other in kept.items() if one != name):
            del kept[name]
    return tuple(_dimension(name, column) for name, column in kept.items())


def _dimension(name: str, column: Sequence[str | None]) -> Dimension:
    values, ordered = tuple(dict.fromkeys(column)), _is_ordered(name, column)
    if ordered:
        values = tuple(sorted(values, key=lambda value: (parsed(str(value)), str(value))))
    return Dimension(name=name, values=values, ordered=ordered)


def _is_ordered(name: str, column: Sequence[str | None]) -> bool:
    """True where its values are versions, and every cell has one."""
    return axis_kind(name) in _OF_VERSIONS and all(value is not None and parsed(value) for value in set(column))


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Two neighbours along `axis`; axes that it determines move along."""

    axis: str
    before: CellId
    """The cell with the earlier version."""
    after: CellId


def changes(outcomes: Mapping[CellId, Outcome], base: str = "") -> tuple[Change, ...]:
    """Every change of kind, axis by axis, in the order of the versions."""
    axes = [dimension.name for dimension in dimensions_of(outcomes, base) if dimension.ordered]
    return tuple(change for axis in axes for change in _along(axis, outcomes, base))


def _along(axis: str, outcomes: Mapping[CellId, Outcome], base: str) -> Iterator[Change]:
    layout = layout_of(outcomes, base, line=axis)
    found = [
        (place, Change(axis=axis, before=before, after=after))
        for row in layout.rows.values()
        for (_, before), (place, after) in pairwise(row.items())
        if outcomes[before].kind is not outcomes[after].kind
    ]
    return (change for _, change in sorted(found, key=lambda one: one[0]))


_WORST_FIRST = (OutcomeKind.BAD, OutcomeKind.UNTESTABLE, OutcomeKind.UNDECIDED, OutcomeKind.GOOD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A stretch of the line, both ends included; places count from 0."""

    first: int
    last: int
    unlike: tuple[tuple[int, Outcome], ...] = ()
    """The places within whose cells are undecided, each with its outcome."""
    missing: tuple[int, ...] = ()
    """The places within that have no cell."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Cells that came to the same: all of `box` within `ranges`, but for those that the ranges name as unlike."""

    outcome: Outcome
    box: Box
    ranges: tuple[Range, ...]
    cells: tuple[CellId, ...]
    """In the order of the matrix, the unlike among them too."""
    whole: bool
    """True where its rows have no other cells."""


def patterns_of(layout: MatrixLayout, outcomes: Mapping[CellId, Outcome]) -> tuple[Pattern, ...]:
    """All patterns, the worst first, of equally bad ones the largest."""
    rows: dict[tuple[Outcome, Range], list[Row]] = defaultdict(list)
    for row, cells in layout.rows.items():
        for outcome, found in _ranges(cells, outcomes):
            rows[outcome, found].append(row)
    ranges: dict[tuple[Outcome, tuple[Row, ...]], list[Range]] = defaultdict(list)
    for (outcome, found), alike in rows.items():
        ranges[outcome, tuple(alike)].append(found)
    place = {cell: number for number, cell in enumerate(outcomes)}
    made = [
        _pattern(layout, place, outcome, box, tuple(sorted(found, key=lambda one: one.first)))
        for (outcome, alike), found in ranges.items()
        for box in boxes(alike)
    ]

    def rank(one: Pattern) -> tuple[int, bool, int, list[int]]:
        """What trains and fails, which nobody sees, comes before what raises."""
        where = [place[cell] for cell in one.cells]
        return _WORST_FIRST.index(one.outcome.kind), one.outcome.breaks, -len(one.cells), where

    return tuple(sorted(made, key=rank))


def rows_of(box: Box) -> Iterator[Row]:
    """The rows that a box has."""
    return itertools.product(*box)


def boxes(rows: Collection[Row]) -> list[Box]:
    """Split rows into few boxes: each row is in one of them, and they have no others."""
    if not rows:
        return []
    if not next(iter(rows)):
        return [()]
    heads: dict[tuple[Row, ...], list[str | None]] = {}
    rests: dict[str | None, list[Row]] = {}
    for head, *rest in rows:
        rests.setdefault(head, []).append(tuple(rest))
    for head, found in rests.items():
        heads.setdefault(tuple(found), []).append(head)
    return [(tuple(values), *box) for found, values in heads.items() for box in boxes(found)]


def _pattern(
    layout: MatrixLayout, order: Mapping[CellId, int], outcome: Outcome, box: Box, ranges: tuple[Range, ...]
) -> Pattern:
    rows = [layout.rows[row] for row in rows_of(box)]
    cells = [cell for row in rows for place, cell in row.items() if _within(ranges, place)]
    return Pattern(
        outcome=outcome,
        box=box,
        ranges=ranges,
        cells=tuple(sorted(cells, key=order.__getitem__)),
        whole=len(cells) == sum(map(len, rows)),
    )


def _within(ranges: Sequence[Range], place: int) -> bool:
    return any(one.first <= place <= one.last for one in ranges)


def _ranges(cells: Mapping[int, CellId], outcomes: Mapping[CellId, Outcome]) -> Iterator[tuple[Outcome, Range]]:
    """The ranges of one row, each with the outcome of its cells."""
    places = [(place, outcomes[cell]) for place, cell in cells.items()]
    stretches = _joined([list(found) for _, found in itertools.groupby(places, key=lambda one: one[1])])
    for stretch in stretches:
        first, outcome = stretch[0]
        last = stretch[-1][0]
        seen = {place for place, _ in stretch}
        yield (
            outcome,
            Range(
                first=first,
                last=last,
                unlike=tuple((place, other) for place, other in stretch if other != outcome),
                missing=tuple(place for place in range(first, last) if place not in seen),
            ),
        )


def _joined(stretches: Sequence[list[tuple[int, Outcome]]]) -> list[list[tuple[int, Outcome]]]:
    """Stretches of one outcome, those joined that only undecided cells part, if these are not more than they."""
    joined: list[list[tuple[int, Outcome]]] = []
    decided: int | None = None
    for stretch in stretches:
        _, outcome = stretch[0]
        undecided = outcome.kind is OutcomeKind.UNDECIDED
        between = [] if decided is None else [one for part in joined[decided + 1 :] for one in part]
        agree = decided is not None and joined[decided][0][1] == outcome
        if decided is not None and not undecided and agree and len(between) <= len(joined[decided]) + len(stretch):
            joined[decided:] = [[*joined[decided], *between, *stretch]]
        else:
            joined.append(list(stretch))
            decided = decided if undecided else len(joined) - 1
    return joined
