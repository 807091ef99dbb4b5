"""What a matrix says as patterns: parts of it whose cells came to the same, a range along the versions at a time.

Every cell is in exactly one pattern. Undecided cells between others that agree do not end a range; it names them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.cell import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from runner.outcomes.cell import Outcome
    from runner.outcomes.layout import Layout, Row

    Box = tuple[tuple[str | None, ...], ...]
    """Of each axis but the line some values: the rows of all their combinations."""

_WORST_FIRST = (OutcomeKind.BAD, OutcomeKind.UNTESTABLE, OutcomeKind.UNDECIDED, OutcomeKind.GOOD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A stretch of the line, both ends included; places count from 0."""

    first: int
    last: int
    unlike: tuple[tuple[int, str], ...] = ()
    """The undecided cells within, each with its label."""
    missing: tuple[int, ...] = ()
    """The places within that have no cell."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Cells that came to the same: all of `box` within `ranges`, but for those that the ranges name as unlike."""

    label: str
    kind: OutcomeKind
    box: Box
    ranges: tuple[Range, ...]
    cells: tuple[int, ...]
    """Where they are in the outcomes, the unlike among them too."""
    whole: bool
    """Whether its rows have no other cells."""


def patterns_of(layout: Layout, outcomes: Sequence[Outcome]) -> tuple[Pattern, ...]:
    """All patterns, the worst first, of equally bad ones the largest."""
    rows: dict[tuple[str, Range], list[Row]] = defaultdict(list)
    for row, cells in layout.rows.items():
        for label, found in _ranges(cells, outcomes):
            rows[label, found].append(row)
    ranges: dict[tuple[str, tuple[Row, ...]], list[Range]] = defaultdict(list)
    for (label, found), alike in rows.items():
        ranges[label, tuple(alike)].append(found)
    made = [
        _pattern(layout, outcomes, label, box, tuple(sorted(found, key=lambda one: one.first)))
        for (label, alike), found in ranges.items()
        for box in boxes(alike)
    ]
    return tuple(sorted(made, key=lambda one: (_WORST_FIRST.index(one.kind), -len(one.cells), one.cells)))


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


def _pattern(layout: Layout, outcomes: Sequence[Outcome], label: str, box: Box, ranges: tuple[Range, ...]) -> Pattern:
    rows = [layout.rows[row] for row in rows_of(box)]
    cells = [cell for row in rows for place, cell in row.items() if _within(ranges, place)]
    return Pattern(
        label=label,
        kind=next(outcomes[cell].kind for cell in cells if outcomes[cell].label == label),
        box=box,
        ranges=ranges,
        cells=tuple(sorted(cells)),
        whole=len(cells) == sum(map(len, rows)),
    )


def _within(ranges: Sequence[Range], place: int) -> bool:
    return any(one.first <= place <= one.last for one in ranges)


def _ranges(cells: Mapping[int, int], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Range]]:
    """The ranges of one row, each with the label of its cells."""
    stretches = _joined(
        [list(found) for _, found in itertools.groupby(_labels(cells, outcomes), key=lambda one: one[1:])]
    )
    for stretch in stretches:
        first, label, _ = stretch[0]
        last = stretch[-1][0]
        seen = {place for place, _, _ in stretch}
        yield (
            label,
            Range(
                first=first,
                last=last,
                unlike=tuple((place, other) for place, other, _ in stretch if other != label),
                missing=tuple(place for place in range(first, last) if place not in seen),
            ),
        )


def _labels(cells: Mapping[int, int], outcomes: Sequence[Outcome]) -> Iterator[tuple[int, str, bool]]:
    for place, cell in cells.items():
        yield place, outcomes[cell].label, outcomes[cell].kind is OutcomeKind.UNDECIDED


def _joined(stretches: Sequence[list[tuple[int, str, bool]]]) -> list[list[tuple[int, str, bool]]]:
    """Stretches of one label, those joined that only undecided cells part, if these are not more than they."""
    joined: list[list[tuple[int, str, bool]]] = []
    decided: int | None = None
    for stretch in stretches:
        _, label, undecided = stretch[0]
        between = [] if decided is None else [one for part in joined[decided + 1 :] for one in part]
        agree = decided is not None and joined[decided][0][1] == label
        if decided is not None and not undecided and agree and len(between) <= len(joined[decided]) + len(stretch):
            joined[decided:] = [[*joined[decided], *between, *stretch]]
        else:
            joined.append(list(stretch))
            decided = decided if undecided else len(joined) - 1
    return joined
