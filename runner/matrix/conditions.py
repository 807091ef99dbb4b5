"""Which of a matrix's further packages a cell needs: conditions on axis values, compared as PEP 440 says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.matrix.versions import in_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.matrix.model import Cell, Condition, Requirement


def packages_of(packages: Iterable[Requirement], cell: Cell) -> tuple[str, ...]:
    """The requirements (PEP 508) of a cell, sorted, none twice."""
    wanted = {one.text for one in packages if all(meets(cell, condition) for condition in one.when)}
    return tuple(sorted(wanted))


def meets(cell: Cell, condition: Condition) -> bool:
    """Whether a cell has a value of the condition's axis, and one that is in its range."""
    value = cell.values.get(condition.axis)
    return value is not None and in_range(value, condition.specifiers)
