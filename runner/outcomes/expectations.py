"""What is expected of cells: the outcomes that a matrix names, and that something of it works at all."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from runner.outcomes.outcome import NOT_RUN, Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Expectation
    from runner.outcomes.judged_cell import JudgedCell


def expected(matrix: Matrix, cell: CellId) -> Iterator[Expectation]:
    """The expectations of a matrix for a cell."""
    return (one for one in matrix.expect if cell.matches(one.match.values))


def missed(matrix: Matrix, cell: JudgedCell) -> tuple[Expectation, ...]:
    """The expectations of a matrix for a cell that its outcome does not meet."""
    return tuple(one for one in expected(matrix, cell.id) if not cell.outcome.meets(one.outcome))


def is_as_expected(matrix: Matrix, cell: JudgedCell) -> bool:
    """True where a cell is as the matrix expects.

    Where it expects nothing of the cell, whether its outcome is not bad.
    """
    if any(expected(matrix, cell.id)):
        return not missed(matrix, cell)
    return cell.kind is not OutcomeKind.BAD


def complaint(matrix: Matrix, cells: Sequence[JudgedCell]) -> str:
    """Why cells are not green as a whole; empty where they may be.

    Nothing ran, most are undecided, or none is good; a matrix that expects of every one of them what it came to, which
    is not good either, gets what it asked for.
    """
    undecided = sum(cell.kind is OutcomeKind.UNDECIDED for cell in cells)
    if not any(cell.n_trials for cell in cells):
        return "Nothing was executed: no cell has a finished trial."
    if undecided * 2 > len(cells):
        words = "undecided or not run" if any(cell.outcome == NOT_RUN for cell in cells) else "undecided"
        return f"Most cells are {words}: {undecided} of {len(cells)}."
    asked_for = all(any(expected(matrix, cell.id)) and not missed(matrix, cell) for cell in cells)
    if asked_for or any(cell.kind is OutcomeKind.GOOD for cell in cells):
        return ""
    counts = Counter(_verb(cell.outcome) for cell in cells)
    return f"No cell is good: {', '.join(f'{count} {verb}' for verb, count in counts.most_common())}."


def _verb(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.BAD:
            return "broke" if outcome.breaks else "failed"
        case OutcomeKind.UNTESTABLE:
            return "could not be tested"
        case OutcomeKind.UNDECIDED:
            return str(NOT_RUN) if outcome == NOT_RUN else "undecided"
        case OutcomeKind.GOOD:
            return "good"
