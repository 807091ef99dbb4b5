"""Which cell of a report is near another one: its neighbours along each axis, and the nearest of another outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from runner.outcomes.result import CellResult, Result

    Places = NDArray[np.int_]

_AXIS = 10_000
"""Another value of one more axis is further away than any step along a single one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """The cells before and after one along an axis, all else equal; None at the end of the axis."""

    axis: str
    before: CellResult | None
    after: CellResult | None


@dataclass(frozen=True)
class Nearness:
    """The cells of a report by where they stand in the matrix."""

    report: Result

    def neighbours(self, cell: CellResult) -> Iterator[Neighbours]:
        """The neighbours of a cell along every axis that has any; axes that go together are told once."""
        cells, place, told = self.report.cells, self._places[cell.id], []
        for axis in self._free_axes:
            line = self._lines[axis][place]
            if len(line) < 2 or line in told:
                continue
            told.append(line)
            position = line.index(place)
            yield Neighbours(
                axis=self.report.axes[axis].name,
                before=cells[line[position - 1]] if position else None,
                after=cells[line[position + 1]] if position + 1 < len(line) else None,
            )

    def other(self, cell: CellResult) -> CellResult | None:
        """The nearest cell that came to another kind of outcome; None where all came to the same.

        One that differs along a single axis, else in the fewest axes; then in the fewest steps; of equals rather one
        that is good or bad.
        """
        place = self._places[cell.id]
        near = {other for axis in self._free_axes for other in self._near(self._lines[axis][place], place)}
        if near:
            return self.report.cells[min(sorted(near), key=lambda other: self._distance(place, other))]
        others = self._of_other_kind[cell.kind]
        if not others.size:
            return None
        steps = np.abs(self._codes[others] - self._codes[place])
        distances = (steps > 0).sum(axis=1) * _AXIS + steps.sum(axis=1)
        return self.report.cells[int(others[np.argmin(distances)])]

    def _near(self, line: list[int], place: int) -> Iterator[int]:
        """The first cells of another kind on both sides of one along an axis."""
        at = line.index(place)
        for side in (line[at + 1 :], line[:at][::-1]):
            for other in side:
                if self._kinds[other] != self._kinds[place]:
                    yield other
                    break

    def _distance(self, place: int, other: int) -> float:
        """How many steps lie between two cells, a half more to one that is neither good nor bad."""
        steps = sum(abs(one - two) for one, two in zip(self._code_rows[place], self._code_rows[other], strict=True))
        return steps + (self._kinds[other] in {"undecided", "untestable"}) / 2

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.id: place for place, cell in enumerate(self.report.cells)}

    @cached_property
    def _kinds(self) -> list[str]:
        return [cell.kind for cell in self.report.cells]

    @cached_property
    def _of_other_kind(self) -> dict[str, Places]:
        kinds = np.array(self._kinds)
        return {kind: np.flatnonzero(kinds != kind) for kind in set(self._kinds)}

    @cached_property
    def _codes(self) -> Places:
        """The position of each cell along each axis."""
        positions = [{value: at for at, value in enumerate(axis.values)} for axis in self.report.axes]
        return np.array(
            [
                [
                    at.get(cell.values.get(axis.name, ""), -1)
                    for axis, at in zip(self.report.axes, positions, strict=True)
                ]
                for cell in self.report.cells
            ]
        ).reshape(len(self.report.cells), len(self.report.axes))

    @cached_property
    def _free_axes(self) -> list[int]:
        """The axes that have more than one value; what follows another axis has no neighbours of its own."""
        return [index for index, axis in enumerate(self.report.axes) if len(axis.values) > 1]

    @cached_property
    def _lines(self) -> dict[int, list[list[int]]]:
        """By axis, for each cell: the cells that differ from it along this axis only, in the order of its values."""
        return {axis: self._lines_along(axis) for axis in self._free_axes}

    def _lines_along(self, axis: int) -> list[list[int]]:
        bound = {axis} | {other for other in self._free_axes if self._settles(axis, other)}
        kept = [other for other in range(len(self.report.axes)) if other not in bound]
        rests = [tuple(row[other] for other in kept) for row in self._code_rows]
        lines: dict[tuple[int, ...], list[int]] = {}
        for place in sorted(range(len(rests)), key=lambda one: self._code_rows[one][axis]):
            lines.setdefault(rests[place], []).append(place)
        return [lines[rest] for rest in rests]

    @cached_property
    def _code_rows(self) -> list[list[int]]:
        rows: list[list[int]] = self._codes.tolist()
        return rows

    def _settles(self, axis: int, other: int) -> bool:
        """Whether the value along one axis says that along the other: TensorFlow's which Keras was of its time."""
        pairs = {(row[axis], row[other]) for row in self._code_rows}
        return other != axis and len(pairs) == len({one for one, _ in pairs})
