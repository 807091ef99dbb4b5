"""Whether the parts of a matrix fit together: a `Matrix` with concrete values → mistakes, each with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.matrix.axes import require_value
from runner.matrix.expand import adds_cell, cells
from runner.matrix.mistakes import RefusedError
from runner.matrix.model import AxisKind, Position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.mistakes import Mistakes
    from runner.matrix.model import Matrix, Partial

TOP = Position(line=1, column=1)


def check_values(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note values in `exclude:` and `expect:` that are none of their axis, now that those are known."""
    known = {axis.name: [value.text for value in axis.values] for axis in matrix.axes}
    for exclude in matrix.exclude:  # before what include adds: that is not excluded
        _check_partial(exclude, known, mistakes)
    for include in matrix.include:
        for axis, text in include.values.items():
            known.setdefault(axis, []).append(text)
    for partial in (*(expectation.match for expectation in matrix.expect), *filter(None, (matrix.baseline,))):
        _check_partial(partial, known, mistakes)


def _check_partial(partial: Partial, known: Mapping[str, Sequence[str]], mistakes: Mistakes) -> None:
    for axis, text in partial.values.items():
        try:
            require_value(axis, text, known.get(axis, ()))
        except RefusedError as error:
            mistakes.refuse(error, partial.positions.get(axis, partial.position))


def check_cells(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note included cells that lack something, expectations that no cell can meet, and a matrix without a cell."""
    needed = [matrix.base.name] + [axis.name for axis in matrix.axes if axis.kind is AxisKind.SCRIPT]
    for include in matrix.include:
        lacking = [name for name in needed if name not in include.values]
        if lacking and adds_cell(matrix, include):
            message = f"this makes a new cell, which needs a value for {' and '.join(lacking)}"
            mistakes.add(include.position, message, "no cell matches it, so it extends none")
    for expectation in matrix.expect:
        if not _meets_any(matrix, expectation.match):
            mistakes.add(expectation.match.position, "this expectation matches no cell", "each value alone is known")
    if matrix.baseline is not None and not _meets_any(matrix, matrix.baseline):
        mistakes.add(matrix.baseline.position, "the baseline is no cell", "each value alone is known")
    if next(cells(matrix), None) is None:
        place = matrix.exclude[0].position if matrix.exclude else TOP
        mistakes.add(place, "no cell is left: every combination is excluded")


def _meets_any(matrix: Matrix, partial: Partial) -> bool:
    return any(cell.matches(partial.values) for cell in cells(matrix, partial.values))
