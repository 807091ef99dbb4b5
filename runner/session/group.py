"""Cells that share an environment: they are made runnable together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.environments.lock import Environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell


@dataclass(frozen=True, kw_only=True)
class Group:
    """The cells of one environment, in the matrix's order."""

    environment: Environment
    cells: tuple[Cell, ...]


def groups_of(matrix: Matrix, cells: Iterable[Cell]) -> tuple[Group, ...]:
    """The cells by environment, in the order in which their first cells come."""
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.pins, cell.python), []).append(cell)
    return tuple(
        Group(environment=environment_of(matrix, members[0]), cells=tuple(members)) for members in found.values()
    )


def environment_of(matrix: Matrix, cell: Cell) -> Environment:
    """What a cell needs installed."""
    return Environment(
        pins=cell.pins,
        packages=matrix.packages_of(cell),
        python=cell.python,
        flavour=matrix.flavour,
        as_of=matrix.as_of,
        dates=matrix.dates,
    )
