"""`Matrix` → cells, pure: the product of the axes without `exclude:`, then `include:` as in a GitHub Actions grid."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import UsageError
from runner.matrix.axes import RESERVED_AXES, AxisKind, axis_kind, axis_name, canonical, same_value
from runner.matrix.cell_id import CellId
from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.model import Cell
from runner.matrix.versions import in_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from runner.matrix.model import Axis, AxisValue, Condition, Grid, NamedBase, Partial, Requirement


if TYPE_CHECKING:
    Pairs = tuple[tuple[str, str], ...]
    """The values of a cell, each with its axis."""

_ANYTHING: Mapping[str, str] = {}


def expand(grid: Grid) -> tuple[Cell, ...]:
    """All cells: the product in the order of the file (the last axis turns fastest), then the included; none twice.

    Raises ValueError for a matrix that is not settled.
    """
    return tuple(cells(grid))


def cells(grid: Grid, where: Mapping[str, str] = _ANYTHING) -> Iterator[Cell]:
    """The cells one by one; with `where`, the product is narrowed to these values before it is made.

    Raises ValueError for a matrix that is not settled.
    """
    if not grid.settled:
        raise ValueError("a matrix with ranges, latest or era has cells only after `settle`")
    return _cells(grid, where)


def _cells(grid: Grid, where: Mapping[str, str]) -> Iterator[Cell]:
    make = _CellMaker(grid)
    shapes: dict[int, tuple[Pairs, tuple[bool, ...]]] = {}
    for pairs, extending in _combinations(grid, where):
        if extending not in shapes:
            added = _added(grid, extending)
            shapes[extending] = added, _packages_in(pairs + added)
        added, packages = shapes[extending]
        yield make.cell(pairs + added, packages)
    new = [_in_order(grid, include) for include in grid.include if adds_cell(grid, include)]
    for pairs in dict.fromkeys(new):
        yield make.cell(pairs, _packages_in(pairs))


def adds_cell(grid: Grid, include: Partial) -> bool:
    """True where an entry of `include:` makes a new cell, because it can extend none."""
    return next(_combinations(grid, include.values), None) is None


def _packages_in(pairs: Pairs) -> tuple[bool, ...]:
    """For each value, true where it is the version of a package."""
    return tuple(axis not in RESERVED_AXES for axis, _ in pairs)


class _CellMaker:
    """Makes cells of their values; cells with the same packages share the tuple of their pins."""

    def __init__(self, grid: Grid) -> None:
        self._script = grid.experiment.script
        self._pins: dict[Pairs, Pairs] = {}

    def cell(self, pairs: Pairs, packages: tuple[bool, ...]) -> Cell:
        own = CellId(pairs)
        script = own.get("script", self._script)
        if script is None:
            raise UsageError("the matrix names no script: neither its experiment nor an axis does")
        pins = tuple(itertools.compress(pairs, packages))
        shared = self._pins.setdefault(pins, pins) if len(pins) < len(pairs) else pairs
        return Cell(id=own, pins=shared, script=script)


class _Option(NamedTuple):
    """One value of an axis. Bit i of `matching` says whether it leaves a match of the ith partial possible."""

    pair: tuple[str, str]
    matching: int
    beside: frozenset[str] | None


def _combinations(grid: Grid, where: Mapping[str, str]) -> Iterator[tuple[Pairs, int]]:
    """The product of the axes without what is excluded, each with the bits of the `include:` entries that extend it.

    It is narrowed to `where` (names of other axes do not narrow). A combination matches a partial where all its values
    do: versions are compared once a value, and bits once a combination.
    """
    axes = {axis.name for axis in grid.axes}
    includes = [{axis: text for axis, text in one.values.items() if axis in axes} for one in grid.include]
    excludes = [one.values for one in grid.exclude if one.values.keys() <= axes]
    partials = [*includes, *excludes]
    included = (1 << len(includes)) - 1
    options = [[_option(axis, value, partials) for value in _narrowed(axis, where)] for axis in grid.axes]
    for row in _product(options, _base_index(grid)):
        matching = (1 << len(partials)) - 1
        for option in row:
            matching &= option.matching
        if matching <= included:  # no bit of an exclude
            yield tuple([option.pair for option in row]), matching


def _narrowed(axis: Axis, where: Mapping[str, str]) -> list[AxisValue]:
    wanted = where.get(axis.name)
    return [value for value in axis.values if wanted is None or same_value(axis.name, value.text, wanted)]


def _option(axis: Axis, value: AxisValue, partials: Sequence[Mapping[str, str]]) -> _Option:
    matching = 0
    for number, partial in enumerate(partials):
        if axis.name not in partial or same_value(axis.name, value.text, partial[axis.name]):
            matching |= 1 << number
    return _Option((axis.name, value.text), matching, value.beside)


def _base_index(grid: Grid) -> int:
    kinds = [axis.kind for axis in grid.axes]
    return kinds.index(AxisKind.PACKAGE) if AxisKind.PACKAGE in kinds else 0


def _product(options: Sequence[Sequence[_Option]], base: int) -> Iterator[tuple[_Option, ...]]:
    """The product, in which the value of the `base` decides which values of the axes after it come."""
    beside: dict[str, list[list[_Option]]] = {}
    for head in itertools.product(*options[: base + 1]):
        text = head[-1].pair[1]
        if text not in beside:
            beside[text] = [
                [one for one in axis if one.beside is None or text in one.beside] for axis in options[base + 1 :]
            ]
        for rest in itertools.product(*beside[text]):
            yield head + rest


def _added(grid: Grid, extending: int) -> Pairs:
    """The values that the entries of `include:` with these bits add to a cell; a later one wins."""
    axes = {axis.name for axis in grid.axes}
    values: dict[str, str] = {}
    for number, include in enumerate(grid.include):
        if extending >> number & 1:
            values.update((axis, text) for axis, text in include.values.items() if axis not in axes)
    return tuple(values.items())


def _in_order(grid: Grid, include: Partial) -> Pairs:
    names = [axis.name for axis in grid.axes if axis.name in include.values]
    return tuple({name: include.values[name] for name in (*names, *include.values)}.items())


def select(cells: Sequence[Cell], only: str) -> tuple[Cell, ...]:
    """The cells that `--only keras=2.2.4|2.3.1,script=a.py` or a cell's whole name means.

    Raises UsageError for an axis or value that no cell has, naming the nearest, and where no cell has them together.
    """
    named = tuple(cell for cell in cells if str(cell.id) == only)
    if named:
        return named
    wanted = _wanted(cells, only)
    chosen = tuple(cell for cell in cells if all(cell.id.get(axis) in texts for axis, texts in wanted.items()))
    if not chosen:
        raise UsageError(f"--only {only}: no cell has these values together")
    return chosen


def _wanted(cells: Sequence[Cell], only: str) -> dict[str, set[str]]:
    """Per axis that is named, the texts that its values have in the cells."""
    known: dict[str, dict[str, None]] = {}
    for cell in cells:
        for axis, value in cell.id:
            known.setdefault(axis, {})[value] = None
    wanted: dict[str, set[str]] = {}
    for part in only.split(","):
        word, sign, alternatives = part.partition("=")
        if not sign:
            raise UsageError(f"--only {only}: {quoted(part)} names no axis and value (write it like keras=2.2.4)")
        axis = _known_axis(word.strip(), known, only)
        if axis in wanted:
            raise UsageError(f"--only {only}: the axis {quoted(axis)} appears twice (several values: {axis}=A|B)")
        wanted[axis] = {
            own for text in alternatives.split("|") for own in _known_values(axis, text.strip(), known[axis], only)
        }
    return wanted


def _known_axis(word: str, known: Collection[str], only: str) -> str:
    try:
        axis = axis_name(word)
    except RefusedError:
        axis = word
    if axis not in known:
        raise UsageError(f"--only {only}: there is no axis {quoted(word)} ({nearest(word, known)})")
    return axis


def _known_values(axis: str, text: str, known: Collection[str], only: str) -> list[str]:
    try:
        value = canonical(axis_kind(axis), text)
    except RefusedError:
        value = text
    found = [own for own in known if same_value(axis, own, value)]
    if not found:
        raise UsageError(f"--only {only}: the axis {quoted(axis)} has no value {quoted(text)} ({nearest(text, known)})")
    return found


def requirements_of(packages: Iterable[Requirement], cell: Cell) -> tuple[str, ...]:
    """The requirements (PEP 508) whose conditions a cell meets, sorted, none twice."""
    return tuple(sorted({one.text for one in packages if all(meets(cell, condition) for condition in one.when)}))


def base_image_of(bases: Iterable[NamedBase], cell: Cell) -> str:
    """The first base image whose conditions a cell meets; empty where there is none."""
    return next((one.image for one in bases if all(meets(cell, condition) for condition in one.when)), "")


def meets(cell: Cell, condition: Condition) -> bool:
    """True where a cell has a value of the condition's axis, and one that is in its range; a backend is that one."""
    value = cell.id.get(condition.axis)
    if axis_kind(condition.axis) is AxisKind.BACKEND:
        return f"=={value}" == condition.specifiers
    return value is not None and in_range(value, condition.specifiers)
