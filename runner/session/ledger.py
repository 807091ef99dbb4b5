"""What is known of all cells of a matrix, and which trials their verdicts ask for next.

A cell first gets what its own trials ask for; when all have that, the cells are held against each other, which may ask
for more: round by round, so that the same matrix with the same records always comes to the same outcomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.session.progress import Progress


if TYPE_CHECKING:
    Round = list[tuple[Progress, int]]
    """How many more trials, at least, are wanted of what."""


class Ledger:
    """The progress of every cell, by name in the matrix's order; `selected` are those that a run is about.

    All cells are held against each other, whichever are selected: an outcome must not depend on what is looked at.
    """

    def __init__(
        self,
        matrix: Matrix,
        progress: Iterable[Progress],
        selected: Collection[str],
        *,
        copy_of: Callable[[Progress], Progress],
        lacking: Callable[[JudgedMatrix], Sequence[int]] | None = None,
    ) -> None:
        """Take the stored trials that a run would have run.

        `copy_of` begins a copy of a cell, with other seeds; `lacking` says how many more trials each cell needs for
        something beyond the matrix.
        """
        self._matrix = matrix
        self._progress = {one.cell.name: one for one in progress}
        self._selected = selected
        self._copy_of = copy_of
        self._lacking = lacking
        self._copy: Progress | None = None
        for one in self._progress.values():
            one.recall_all()
        while not self.undecided:
            found = [one.recall(more) for one, more in self._next_round()]
            if not any(found):
                break

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all cells."""
        return tuple(self._progress)

    @property
    def selected(self) -> list[Progress]:
        """What is known of the selected cells."""
        return [one for name, one in self._progress.items() if name in self._selected]

    @property
    def undecided(self) -> bool:
        """Whether a selected cell still lacks trials by its own."""
        return any(one.wanted for one in self.selected)

    def of(self, cell: Cell) -> Progress:
        """What is known of a cell."""
        return self._progress[cell.name]

    def renew(self, progress: Iterable[Progress]) -> None:
        """Replace what was known of cells by what is known now that their environment is made."""
        for one in progress:
            one.recall_all()
            self._progress[one.cell.name] = one

    def wanted(self) -> Round:
        """How many more trials the selected cells need at least; empty when the matrix is done."""
        own = [(one, one.wanted) for one in self.selected if one.wanted]
        return own or [(one, more) for one, more in self._next_round() if one.cell.name in self._selected]

    def judged(self) -> JudgedMatrix:
        """The outcomes of all cells by what is known now, in the matrix's order."""
        return judge_matrix(
            [(one.cell.id, one.finished) for one in self._progress.values()],
            self._matrix.seeds,
            criterion=self._matrix.criterion,
            judging=self._matrix.judging,
            baseline=self._matrix.baseline.values if self._matrix.baseline else None,
            copy=self._copy.finished if self._copy else (),
        )

    def _next_round(self) -> Round:
        """What the cells lack when they are held against each other; after that, what the baseline's copy lacks.

        What the selected cells lack beyond that comes last, and waits for no cell that is not selected.
        """
        if not any(one.trials for one in self._progress.values()):
            return []
        judged = self.judged()
        wanted = zip(self._progress.values(), judged.seeds_wanted(self._matrix.seeds), strict=True)
        found = [(one, more) for one, more in wanted if more] or self._of_copy(judged)
        if any(one.cell.name in self._selected for one, _ in found):
            return found
        return [*found, *self._beyond(judged)]

    def _beyond(self, judged: JudgedMatrix) -> Round:
        lacking = self._lacking(judged) if self._lacking else ()
        wanted = zip(self._progress.values(), lacking, strict=False)
        return [(one, more) for one, more in wanted if more and one.cell.name in self._selected]

    def _of_copy(self, judged: JudgedMatrix) -> Round:
        baseline = judged.baseline
        if not self._matrix.control or baseline is None or baseline.kind is OutcomeKind.UNTESTABLE:
            return []
        of = next(one for one in self._progress.values() if one.cell.id == baseline.id)
        if self._copy is None or self._copy.cell is not of.cell:
            self._copy = self._copy_of(of)
        return [(self._copy, self._copy.wanted)] if self._copy.wanted else []
