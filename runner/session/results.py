"""What a run ends with: the outcomes of all cells, the expectations that they met or missed, and the table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.outcomes.compared import compared
from runner.outcomes.groups import groups
from runner.outcomes.layout import changes
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.ranges import sentences
from runner.outcomes.table import Row, row_of, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from pandas.io.formats.style import Styler

    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.compared import Compared
    from runner.outcomes.groups import FailureGroup
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.layout import Change
    from runner.outcomes.outcome import Outcome
    from runner.session.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A cell whose outcome is not the expected one."""

    cell: Cell
    expected: str
    outcome: str
    line: int
    """Line of the expectation in the matrix file."""

    def __str__(self) -> str:
        return f"expected {self.expected} (line {self.line}), got {self.outcome}: {self.cell.id}"


@dataclass(frozen=True, kw_only=True)
class Results:
    """The outcomes of the selected cells, in the matrix's order; `executed` trials ran for them this time."""

    matrix: Matrix
    cells: tuple[Cell, ...]
    outcomes: tuple[JudgedCell, ...]
    compared: tuple[Compared | None, ...]
    """What may be said of each against the baseline, corrected over the whole matrix; None without a baseline."""
    judged: JudgedMatrix
    """All cells of the matrix, held against each other."""
    executed: int

    def rows(self) -> tuple[Row, ...]:
        """One row a cell, without pandas."""
        return tuple(map(row_of, self.outcomes, self.compared))

    def table(self) -> pd.DataFrame:
        """One row a cell with its axis values, outcome, seeds, figures, versions really imported and the exception."""
        return table(self.rows())

    def styled(self) -> Styler:
        """The table with outcomes in colour, for notebooks. Raises UsageError where jinja2 is not installed."""
        from runner.session.display import styled  # noqa: PLC0415 - for notebooks only

        return styled(self.table())

    def _repr_html_(self) -> str:
        from runner.session.display import html_of  # noqa: PLC0415 - for notebooks only

        return html_of(self)

    @cached_property
    def by_id(self) -> Mapping[CellId, Outcome]:
        """The outcome of each selected cell."""
        return {cell.id: cell.outcome for cell in self.outcomes}

    @property
    def failures(self) -> tuple[FailureGroup, ...]:
        """Why trials did not succeed, a reason each, with the cells that share it."""
        return groups(self.outcomes)

    @property
    def metric(self) -> str:
        """The metric that is judged."""
        criterion = self.matrix.criterion
        return criterion[0].metric if criterion else self.matrix.judging.metric

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the cells came to, in ranges of versions: one or two sentences."""
        return sentences(self.by_id, base=self.matrix.base.name, metric=self.metric)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Where the outcome changes along a version axis, all else equal."""
        return changes(self.by_id, self.matrix.base.name)

    @property
    def misses(self) -> tuple[Miss, ...]:
        """Every expectation of the matrix that did not hold."""
        return tuple(
            miss
            for cell, outcome in zip(self.cells, self.outcomes, strict=True)
            for miss in misses_of(self.matrix, cell, outcome)
        )

    @property
    def complaint(self) -> str:
        """Why this is not green whatever was expected; empty where it may be. The first line that a user must see."""
        undecided = sum(outcome.kind is OutcomeKind.UNDECIDED for outcome in self.outcomes)
        if not any(outcome.n_trials for outcome in self.outcomes):
            return "Nothing was executed: no cell has a finished trial."
        if undecided * 2 > len(self.outcomes):
            return f"Most cells are undecided: {undecided} of {len(self.outcomes)}."
        return ""

    @property
    def exit_code(self) -> int:
        """0 all as expected, 1 an expectation failed, nothing was executed or most cells are undecided."""
        return 1 if self.misses or self.complaint else 0


def results_of(matrix: Matrix, cells: Sequence[Cell], ledger: Ledger, *, executed: int) -> Results:
    """The results that the finished trials of all cells give, for those of `cells`."""
    judged = ledger.judged()
    outcomes = {cell.id: cell for cell in judged.cells}
    said = {} if judged.chosen is None else dict(zip(outcomes, compared(judged), strict=True))
    return Results(
        matrix=matrix,
        cells=tuple(cells),
        outcomes=tuple(outcomes[cell.id] for cell in cells),
        compared=tuple(said.get(cell.id) for cell in cells),
        judged=judged,
        executed=executed,
    )


def misses_of(matrix: Matrix, cell: Cell, outcome: JudgedCell) -> list[Miss]:
    """The expectations for a cell that its outcome does not meet."""
    return [
        Miss(
            cell=cell, expected=expectation.outcome, outcome=str(outcome.outcome), line=expectation.match.position.line
        )
        for expectation in matrix.expect
        if cell.matches(expectation.match.values) and not outcome.outcome.meets(expectation.outcome)
    ]


def is_as_expected(matrix: Matrix, cell: Cell, outcome: JudgedCell) -> bool:
    """Whether a cell is as the matrix expects; where it expects nothing of the cell, whether its outcome is not bad."""
    if any(cell.matches(expectation.match.values) for expectation in matrix.expect):
        return not misses_of(matrix, cell, outcome)
    return outcome.kind is not OutcomeKind.BAD
