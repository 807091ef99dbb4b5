"""Few cells of a large matrix that show the same changes: a covering array, refined where outcomes differ.

Takes the ids of all cells and the kinds of those that were run, and gives the next ones to run; pure. The same cells
with the same outcomes always ask for the same cells.
"""

from __future__ import annotations

import heapq
import itertools
import zlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from runner.outcomes.layout import dimensions_of
from runner.outcomes.outcome import OutcomeKind
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Partial
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.layout import Dimension

    Known = Mapping["Point", OutcomeKind]

Point = tuple[int, ...]
"""A cell by the places of its values on the axes that vary."""

MOST, MOST_OF_FIRST = 0.3, 2
"""Refining ends at this share of the cells; where the covering array is large, at so many times its cells."""
_MANY = 6
"""Of an unordered axis with more values a border is checked at the first and the last one only."""


class OutcomeBorder(NamedTuple):
    """A change along one axis, between neighbours where it is ordered."""

    axis: int
    before: int
    after: int
    kinds: tuple[OutcomeKind, OutcomeKind]


class SparseChange(NamedTuple):
    """A change as it is shown: cells of one kind on one side, of another on the other side."""

    axis: str
    before: str | None
    after: str | None
    from_kind: OutcomeKind
    to_kind: OutcomeKind

    def __str__(self) -> str:
        return f"{self.axis} {self.before} to {self.after}: {self.from_kind} becomes {self.to_kind}"


class _Pair(NamedTuple):
    """Two cells of different kinds."""

    one: Point
    other: Point


@dataclass(frozen=True)
class SparseMatrix:
    """The cells of a matrix, of which few are run; `ways` values of different axes meet in a cell wherever they can."""

    cells: Sequence[CellId]
    base: str
    ways: int
    baseline: Partial | None = None
    """What is named of the cell that all others are compared with: one that fits is run in any case."""

    @classmethod
    def of(cls, matrix: Matrix, cells: Sequence[CellId]) -> SparseMatrix:
        """Of all cells of a matrix, as it asks for them."""
        return cls(cells, matrix.base.name, matrix.ways, matrix.baseline)

    @cached_property
    def _points(self) -> dict[Point, CellId]:
        places = [(one.name, one.place) for one in self._dimensions]
        return {tuple([place[cell.get(name)] for name, place in places]): cell for cell in self.cells}

    @cached_property
    def _point_of(self) -> dict[CellId, Point]:
        return {cell: point for point, cell in self._points.items()}

    @cached_property
    def _order(self) -> dict[Point, int]:
        return {point: number for number, point in enumerate(self._points)}

    def _known(self, kinds: Mapping[CellId, OutcomeKind]) -> dict[Point, OutcomeKind]:
        """The cells that are decided, in the order of the matrix."""
        known = {self._point_of[cell]: kind for cell, kind in kinds.items() if kind is not OutcomeKind.UNDECIDED}
        return {point: known[point] for point in sorted(known, key=self._order.__getitem__)}

    @cached_property
    def _dimensions(self) -> tuple[Dimension, ...]:
        return dimensions_of(self.cells, self.base)

    @cached_property
    def _lines(self) -> dict[tuple[int, Point], list[int]]:
        """The places along an axis that have a cell, all else equal."""
        found: dict[tuple[int, Point], list[int]] = defaultdict(list)
        for point in self._points:
            for axis in range(len(point)):
                found[axis, _rest(point, axis)].append(point[axis])
        return {line: sorted(places) for line, places in found.items()}

    @cached_property
    def first(self) -> tuple[CellId, ...]:
        """Cells in which all values meet that meet in any: always the cell that adds most."""
        points = list(self._points)
        sets = list(itertools.combinations(range(len(self._dimensions)), min(self.ways, len(self._dimensions))))
        missing = {meeting for point in points for meeting in _meetings(point, sets)}
        mixed = [zlib.crc32(repr(point).encode()) for point in points]  # else first values would come again and again
        heap = [(-len(sets), mixed[number], number) for number in range(len(points))]
        heapq.heapify(heap)
        chosen = []
        while missing:
            _, _, number = heapq.heappop(heap)
            new = [meeting for meeting in _meetings(points[number], sets) if meeting in missing]
            if new and heap and -len(new) > heap[0][0]:
                heapq.heappush(heap, (-len(new), mixed[number], number))
            elif new:
                chosen.append(number)
                missing.difference_update(new)
        found = {self._points[points[number]] for number in chosen} or set(self.cells[:1])
        fitting = [cell for cell in self.cells if self.baseline and cell.matches(self.baseline.values)]
        if found.isdisjoint(fitting):
            found.update(fitting[:1])
        return tuple(cell for cell in self._points.values() if cell in found)

    def further(self, kinds: Mapping[CellId, OutcomeKind]) -> tuple[CellId, ...]:
        """The cells to run next, in the order of the matrix; none when every change is pinned, or the limit is reached.

        `kinds` are those of the cells that were run. A change is pinned to neighbours along one axis, and looked for at
        other values of every other axis. What is undecided shows no change.
        """
        room = max(int(MOST * len(self.cells)), MOST_OF_FIRST * len(self.first)) - len(kinds)
        if room <= 0:
            return ()
        known = self._known(kinds)
        tried = {self._point_of[cell] for cell in kinds}
        borders = self._borders(known)
        wanted = dict.fromkeys(self._checks(borders, known, tried))
        if not wanted:
            wanted = dict.fromkeys(self._between(borders, known, tried))
        return tuple(self._points[point] for point in sorted(list(wanted)[:room], key=self._order.__getitem__))

    def changes(self, kinds: Mapping[CellId, OutcomeKind]) -> dict[SparseChange, tuple[str, ...]]:
        """Every change that shows, each with the values of other axes at which it was looked for and is not there."""
        known = self._known(kinds)
        found = {}
        for border, pairs in sorted(self._borders(known).items()):
            own = self._dimensions[border.axis]
            change = SparseChange(own.name, own.values[border.before], own.values[border.after], *border.kinds)
            missing = sorted(self._refuted(border, pairs, known))
            found[change] = tuple(f"{self._dimensions[a].name} {self._dimensions[a].values[at]}" for a, at in missing)
        return found

    def _borders(self, known: Known) -> dict[OutcomeBorder, list[_Pair]]:
        """The changes between neighbours, each with all pairs that show it."""
        lines: dict[tuple[int, Point], list[int]] = defaultdict(list)
        for point in known:
            for axis in range(len(point)):
                lines[axis, _rest(point, axis)].append(point[axis])
        found: dict[OutcomeBorder, list[_Pair]] = defaultdict(list)
        for (axis, rest), own in lines.items():
            places = sorted(own)
            ordered = self._dimensions[axis].ordered
            for before, after in itertools.pairwise(places) if ordered else itertools.combinations(places, 2):
                one, other = _at(rest, axis, before), _at(rest, axis, after)
                if known[one] is not known[other] and not (ordered and self._within(axis, rest, before, after)):
                    found[OutcomeBorder(axis, before, after, (known[one], known[other]))].append(_Pair(one, other))
        return found

    def _within(self, axis: int, rest: Point, before: int, after: int) -> list[int]:
        return [place for place in self._lines[axis, rest] if before < place < after]

    # -- does a change depend on other axes? ---------------------------------------------------------------------------

    def _checks(
        self, borders: Mapping[OutcomeBorder, Sequence[_Pair]], known: Known, tried: Collection[Point]
    ) -> Iterator[Point]:
        """The cells that show whether each change is there at other values of the other axes."""
        for pairs in borders.values():
            missing = min((self._unchecked(pair, known, tried) for pair in pairs), key=len)
            yield from missing

    def _unchecked(self, pair: _Pair, known: Known, tried: Collection[Point]) -> list[Point]:
        """What is to be run to check a pair; one of its two neighbours that differs settles it without the other."""
        found = []
        (own,) = [axis for axis in range(len(pair.one)) if pair.one[axis] != pair.other[axis]]
        for axis, dimension in enumerate(self._dimensions):
            if axis == own:
                continue
            places = self._lines[axis, _rest(pair.one, axis)]
            chosen = places if not dimension.ordered and len(places) <= _MANY else [places[0], places[-1]]
            for place in chosen:
                moved = [_at(_rest(point, axis), axis, place) for point in pair]
                if all(point in self._points for point in moved) and not any(
                    known.get(new, known[old]) is not known[old] for new, old in zip(moved, pair, strict=True)
                ):
                    found += [point for point in moved if point not in tried]
        return found

    # -- what no known change explains ---------------------------------------------------------------------------------

    def _between(
        self, borders: Mapping[OutcomeBorder, Sequence[_Pair]], known: Known, tried: Collection[Point]
    ) -> Iterator[Point]:
        """A cell between the nearest two of every group of cells whose difference no known change explains.

        A group has the axes along which they differ and the kinds. Those that differ along fewest axes are looked at
        first: those that agree in all else lie in one place of an index, and are held against each other.
        """
        refuted = {border: self._refuted(border, pairs, known) for border, pairs in borders.items()}
        sides = {point: _sides(point, kind, refuted, self._is_ordered) for point, kind in known.items()}
        for size, sets in itertools.groupby(_sets_apart(known), len):
            probes = []
            for apart in sets:
                for rank, pair in self._nearest(apart, sides):
                    if (probe := self._probe(pair, tried)) is not None:
                        probes.append(((size, rank), probe))
            if probes:
                return (probe for _, probe in sorted(probes))
        return iter(())

    def _nearest(self, apart: tuple[int, ...], sides: Mapping[Point, _Sides]) -> Iterator[tuple[int, _Pair]]:
        """Of each two kinds the nearest cells that differ along these axes and no others, and how far apart they are.

        Of equally near ones the first in the order of the matrix.
        """
        places: dict[Point, dict[_Sides, list[Point]]] = defaultdict(lambda: defaultdict(list))
        for point, own in sides.items():
            places[tuple([value for axis, value in enumerate(point) if axis not in apart])][own].append(point)
        along = sorted((a for a in apart if self._is_ordered[a]), key=lambda a: -len(self._dimensions[a].values))
        best: dict[tuple[OutcomeKind, OutcomeKind], tuple[int, int, int, _Pair]] = {}
        for alike in places.values():
            for own, others in itertools.permutations(alike, 2):
                if own.kind is others.kind or own.is_explained(others):
                    continue
                kinds = own.kind, others.kind
                found = self._nearest_two(alike[own], alike[others], apart, along, best.get(kinds))
                if found is not None:
                    best[kinds] = found
        return ((rank, pair) for rank, _, _, pair in best.values())

    def _nearest_two(
        self,
        ones: Sequence[Point],
        others: Sequence[Point],
        apart: tuple[int, ...],
        along: Sequence[int],
        best: tuple[int, int, int, _Pair] | None,
    ) -> tuple[int, int, int, _Pair] | None:
        """The nearest two that differ along all these axes, the first before the other, if nearer than the best."""
        order = self._order
        lines: dict[int, list[Point]] = defaultdict(list)
        for other in others:
            lines[other[along[0]] if along else 0].append(other)
        for one in ones:
            here = one[along[0]] if along else 0
            for gap in range(len(along) > 0, max(abs(place - here) for place in lines) + 1):
                if best is not None and gap + max(len(along) - 1, 0) > best[0]:
                    break  # each of the other axes adds at least one
                for other in itertools.chain.from_iterable(lines.get(place, ()) for place in {here - gap, here + gap}):
                    if order[one] < order[other] and all(one[axis] != other[axis] for axis in apart):
                        rank = sum(abs(one[axis] - other[axis]) for axis in along)
                        found = rank, order[one], order[other], _Pair(one, other)
                        best = found if best is None else min(best, found)
        return best

    def _refuted(self, border: OutcomeBorder, pairs: Iterable[_Pair], known: Known) -> frozenset[tuple[int, int]]:
        """The values of other axes, each with its axis, at which a change was looked for and is not there."""
        held: set[tuple[int, int]] = set()
        failed: set[tuple[int, int]] = set()
        for pair in pairs:
            for axis, dimension in enumerate(self._dimensions):
                if axis == border.axis:
                    continue
                held.add((axis, pair.one[axis]))
                for old, kind in zip(pair, border.kinds, strict=True):
                    rest = _rest(old, axis)
                    moved = ((place, known.get(_at(rest, axis, place))) for place in range(len(dimension.values)))
                    failed.update((axis, place) for place, found in moved if found is not None and found is not kind)
        return frozenset(failed - held)

    @cached_property
    def _is_ordered(self) -> tuple[bool, ...]:
        return tuple(one.ordered for one in self._dimensions)

    def _probe(self, pair: _Pair, tried: Collection[Point]) -> Point | None:
        """A cell between two that was not tried: half of the differing axes changed, or the middle of the one axis."""
        apart = [axis for axis in range(len(pair.one)) if pair.one[axis] != pair.other[axis]]
        if len(apart) == 1:
            (axis,) = apart
            if not self._is_ordered[axis]:
                return None
            rest = _rest(pair.one, axis)
            low, high = sorted((pair.one[axis], pair.other[axis]))
            within = [p for p in self._within(axis, rest, low, high) if _at(rest, axis, p) not in tried]
            return _at(rest, axis, within[len(within) // 2]) if within else None
        sizes = sorted(range(1, len(apart)), key=lambda size: abs(2 * size - len(apart)))
        for changed in itertools.chain.from_iterable(itertools.combinations(apart, size) for size in sizes):
            point = tuple(pair.other[axis] if axis in changed else value for axis, value in enumerate(pair.one))
            if point in self._points and point not in tried:
                return point
        return None


def _meetings(point: Point, sets: Iterable[tuple[int, ...]]) -> Iterator[tuple[object, ...]]:
    return ((axes, *[point[axis] for axis in axes]) for axes in sets)


def _rest(point: Point, axis: int) -> Point:
    return point[:axis] + point[axis + 1 :]


def _at(rest: Point, axis: int, place: int) -> Point:
    return (*rest[:axis], place, *rest[axis:])


class _Sides(NamedTuple):
    """The kind of a cell, and the known changes on whose sides it lies, each a bit."""

    kind: OutcomeKind
    before: int
    after: int
    clear: int
    """Those that were found at each of its values where they were looked for."""

    def is_explained(self, other: _Sides) -> bool:
        """True where a known change lies between two cells, and one of them has no value at which it was not there."""
        across = self.before & other.after | self.after & other.before
        return bool(across & (self.clear | other.clear))


def _sides(
    point: Point,
    kind: OutcomeKind,
    refuted: Mapping[OutcomeBorder, frozenset[tuple[int, int]]],
    ordered: Sequence[bool],
) -> _Sides:
    before = after = clear = 0
    for number, (border, failed) in enumerate(refuted.items()):
        place, bit = point[border.axis], 1 << number
        is_before = place <= border.before if ordered[border.axis] else place == border.before
        is_after = place >= border.after if ordered[border.axis] else place == border.after
        before |= bit * (is_before and kind is border.kinds[0])
        after |= bit * (is_after and kind is border.kinds[1])
        clear |= bit * failed.isdisjoint(enumerate(point))
    return _Sides(kind, before, after, clear & (before | after))


def _sets_apart(known: Known) -> list[tuple[int, ...]]:
    """The sets of axes along which two known cells may differ, the smallest first."""
    axes = range(len(next(iter(known), ())))
    if 2 ** len(axes) <= len(known) ** 2:
        return [some for size in axes for some in itertools.combinations(axes, size + 1)]
    pairs = itertools.combinations(known, 2)
    found = {tuple(axis for axis in axes if one[axis] != other[axis]) for one, other in pairs}
    return sorted(found, key=lambda apart: (len(apart), apart))


_MOST_TOLD, _MOST_NAMED = 12, 3


def sparse_sentences(ways: int, base: str, cells: Sequence[JudgedCell]) -> tuple[str, ...]:
    """How many cells of a matrix were not run because few were chosen, and which changes show; nothing of others."""
    missing = sum(cell.is_left_out for cell in cells)
    if not missing:
        return ()
    few = f"{len(cells) - missing} of {counted(len(cells), 'cell')} were chosen to run"
    how = f"any {ways} values of different axes meet in one of them, more were added where outcomes differ"
    matrix = SparseMatrix([cell.id for cell in cells], base, ways)
    kinds = {cell.id: cell.known_kind for cell in cells if not cell.is_left_out}
    found = [f"{change}{_but(values)}." for change, values in matrix.changes(kinds).items()]
    more = [f"{len(found) - _MOST_TOLD} more changes are there."] if len(found) > _MOST_TOLD else []
    return (f"{few}: {how}; {missing} were not run.", *found[:_MOST_TOLD], *more, *_unknown(cells))


def _unknown(cells: Sequence[JudgedCell]) -> Iterator[str]:
    names = [str(cell.id) for cell in cells if cell.is_unknown]
    if names:
        named = "; ".join([*names[:_MOST_NAMED], "…"][: len(names)])
        few = f"{counted(len(names), 'chosen cell')} could not be run yet ({named})"
        yield f"{few}: changes beside them stay unknown, the next run tries them again."


def _but(values: Sequence[str]) -> str:
    return f", but not with {', '.join(values[:_MOST_TOLD])}" if values else ", with all else that was tried"
