"""What is known of all cells of a matrix, and which trials their verdicts ask for next.

A cell first gets what its own trials ask for; when all have that, the cells are held against each other, which may ask
for more: round by round, so that the same matrix with the same records always comes to the same outcomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.outcomes import outcomes_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from runner.matrix.model import Cell, Matrix
    from runner.outcomes import Judged
    from runner.session.progress import Progress


class Ledger:
    """The progress of every cell, by name in the matrix's order; `selected` are those that a run is about.

    All cells are held against each other, whichever are selected: an outcome must not depend on what is looked at.
    """

    def __init__(self, matrix: Matrix, progress: Iterable[Progress], selected: Collection[str]) -> None:
        """Take the stored trials that a run would have run."""
        self._matrix = matrix
        self._progress = {one.cell.name: one for one in progress}
        self._selected = selected
        for one in self._progress.values():
            one.recall_all()
        self._recall_rounds()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all cells."""
        return tuple(self._progress)

    def of(self, cell: Cell) -> Progress:
        """What is known of a cell."""
        return self._progress[cell.name]

    def renew(self, progress: Iterable[Progress]) -> None:
        """Replace what was known of cells by what is known now that their environment is made."""
        for one in progress:
            one.recall_all()
            self._progress[one.cell.name] = one

    @property
    def selected(self) -> list[Progress]:
        """What is known of the selected cells."""
        return [one for name, one in self._progress.items() if name in self._selected]

    def judged(self) -> Judged:
        """The outcomes of all cells by what is known now, in the matrix's order."""
        return outcomes_of(
            [(one.cell.values, one.finished) for one in self._progress.values()],
            self._matrix.seeds,
            criterion=self._matrix.criterion,
            judging=self._matrix.judging,
            baseline=self._matrix.baseline.values if self._matrix.baseline else None,
        )

    @property
    def undecided(self) -> bool:
        """Whether a selected cell still lacks trials by its own."""
        return any(one.wanted for one in self.selected)

    def wanted(self) -> dict[str, int]:
        """How many more trials each selected cell needs at least, by name; empty when the matrix is done."""
        own = {one.cell.name: one.wanted for one in self.selected if one.wanted}
        return own or {name: more for name, more in self._next_round().items() if name in self._selected}

    def _next_round(self) -> dict[str, int]:
        """What the cells lack when they are held against each other."""
        if not any(one.trials for one in self._progress.values()):
            return {}
        wanted = self.judged().seeds_wanted(self._matrix.seeds)
        return {name: more for name, more in zip(self._progress, wanted, strict=True) if more}

    def _recall_rounds(self) -> None:
        while not self.undecided:
            found = [self._progress[name].recall(more) for name, more in self._next_round().items()]
            if not any(found):
                return
