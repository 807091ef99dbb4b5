"""What a run tells while it works: the command line draws it, a library user may watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.engines.protocol import JobFolder
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record
    from runner.trials.trial import Trial


class Observer(Protocol):
    """Hears of everything that a user would want to see, as it happens; called from several threads."""

    def note(self, text: str) -> None:
        """Something about the whole run, one line."""

    def planned(self, cells: Sequence[Cell], *, stored: int) -> None:
        """Which cells the run is about, and how many finished trials are there already."""

    def environment(self, name: str, text: str) -> None:
        """A step in the making of an environment, one line."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """A trial began; its record channel grows in `folder`."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """A trial ended and its record is kept."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """A cell needs no more trials."""


class Silence:
    """An observer that says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def planned(self, cells: Sequence[Cell], *, stored: int) -> None:
        """Say nothing."""

    def environment(self, name: str, text: str) -> None:
        """Say nothing."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Say nothing."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Say nothing."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Say nothing."""
