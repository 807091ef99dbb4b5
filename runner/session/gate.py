"""The rules of `--fail-on`: which findings make a command end with exit code 1, beside missed expectations.

A cell that the matrix says something of in `expect:`, and that is so, is never among them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, assert_never

from runner.outcomes.comparison import ComparisonLabel
from runner.outcomes.earlier import EarlierLabel
from runner.outcomes.verdict import CRASHES
from runner.reports.notation import cause, cell_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.outcomes.earlier import Earlier
    from runner.outcomes.result import CellResult, Result


_LONGEST = 200


class FailOn(enum.StrEnum):
    """The values of `--fail-on`."""

    WORSE = "worse"
    """A cell succeeds less often, surely, than in the earlier result; without one, than the matrix's baseline."""
    FLAKY = "flaky"
    """Some trials of a cell succeed and others fail."""
    CRASH = "crash"
    """A trial of a cell ended with an exception: at import, while the model was built, or in training."""


def broken(report: Result, fail_on: Iterable[FailOn], earlier: Sequence[Earlier] | None = None) -> tuple[str, ...]:
    """The findings that must not be, a line a cell; `earlier` where an earlier result was given."""
    cells = [cell for cell in report.cells if not (cell.expected and cell.as_expected)]
    return tuple(line for kind in dict.fromkeys(fail_on) for line in _found(kind, cells, earlier))


def _found(kind: FailOn, cells: Sequence[CellResult], earlier: Sequence[Earlier] | None) -> Iterator[str]:
    match kind:
        case FailOn.WORSE:
            yield from _worse(cells) if earlier is None else _worse_than_before(cells, earlier)
        case FailOn.FLAKY:
            yield from (f"flaky: {_said(cell, cell.reason)}" for cell in cells if cell.outcome.flaky)
        case FailOn.CRASH:
            crashed = [cell for cell in cells if any(trial.label in CRASHES for trial in cell.trials)]
            yield from (f"crash: {_said(cell, cause(cell, _LONGEST))}" for cell in crashed)
        case _:
            assert_never(kind)


def _worse(cells: Sequence[CellResult]) -> Iterator[str]:
    for cell in cells:
        if cell.comparison and cell.comparison.label == ComparisonLabel.WORSE:
            yield f"worse than the baseline: {_said(cell, cell.comparison.reason)}"


def _worse_than_before(cells: Sequence[CellResult], earlier: Sequence[Earlier]) -> Iterator[str]:
    known = {cell.cell_id for cell in cells}
    for one in earlier:
        if one.label is EarlierLabel.WORSE and one.cell in known:
            yield f"worse than before: {one.name}: {one.reason}"


def _said(cell: CellResult, reason: str) -> str:
    return f"{cell_name(cell)} {cell.outcome}: {reason}"
