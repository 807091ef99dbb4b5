"""Along which axes the cells of a matrix really vary: what is said, drawn or compared of a matrix goes along these.

An axis whose value another one determines (the Keras that goes with each TensorFlow) moves along with it and is left
out; versions are ordered by PEP 440, whatever the order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Values = Mapping[str, str]
    """The axis values of a cell."""
    Row = tuple[str | None, ...]
    """A value of each axis but the line."""

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
        """Where each value stands."""
        return {value: place for place, value in enumerate(self.values)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The cells as rows along a line; each cell is known by its row and its place in the row."""

    line: Dimension | None
    """The ordered axis that ranges go along: the one with the most values, of equals the base, then the first."""
    others: tuple[Dimension, ...]
    rows: Mapping[Row, Mapping[int, int]]
    """Of each row, the places along the line (0 without one) that have a cell, in order, each with which cell."""

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Line and others."""
        return (*((self.line,) if self.line else ()), *self.others)


def layout_of(cells: Sequence[Values], base: str = "", *, line: str | None = None) -> Layout:
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
    rows: dict[Row, dict[int, int]] = {}
    for number, cell in enumerate(cells):
        place = chosen.place[cell.get(chosen.name)] if chosen else 0
        rows.setdefault(tuple(cell.get(other.name) for other in others), {})[place] = number
    places = {row: dict(sorted(found.items())) for row, found in rows.items()}
    order = sorted(places, key=lambda row: [other.place[value] for other, value in zip(others, row, strict=True)])
    return Layout(line=chosen, others=others, rows={row: places[row] for row in order})


def dimensions_of(cells: Sequence[Values], base: str = "") -> tuple[Dimension, ...]:
    """The axes that vary, without those that another one determines; of two that determine each other one stays."""
    names = dict.fromkeys(name for cell in cells for name in cell)
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
    """Whether its values are versions, and every cell has one."""
    return axis_kind(name) in _OF_VERSIONS and all(value is not None and parsed(value) for value in set(column))
