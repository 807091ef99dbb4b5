"""What a run tells of while it works: the command line draws it, a library user may watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runner.laboratory.observer import Silence, Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record


class Observer(Watcher, Protocol):
    """Hears of everything that a user would want to see, in the order in which it happens to a cell."""

    def planned(self, cells: Sequence[Cell], *, stored: int) -> None:
        """Take the cells that the run is about, and how many finished trials are there already."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Take note that a trial ended and its record is kept."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Take note that a cell needs no more trials."""


class Unwatched(Silence):
    """An observer that says nothing."""

    def planned(self, cells: Sequence[Cell], *, stored: int) -> None:
        """Say nothing."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Say nothing."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Say nothing."""
