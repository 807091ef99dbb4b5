"""The finished trials of a matrix, one after another, for what exports them: each is read when it is its turn."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.exports.exported_trial import ExportedTrial
from runner.own_folder import has_locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.cell_id import CellId
    from runner.matrix.model import Metrics
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.observation import Observation
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record

_CLAIM = "export"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedTrial:
    """What is known of a trial before its record is read."""

    cell: CellId
    key: str
    label: str
    reason: str
    outcome: str

    @classmethod
    def of(cls, cell: CellId, record: Record | Observation, verdict: Verdict, outcome: str = "") -> FinishedTrial:
        """A trial with its verdict; `outcome` is its cell's."""
        return cls(cell=cell, key=record.key, label=verdict.called, reason=verdict.reason, outcome=outcome)


def finished_trials(outcomes: Iterable[JudgedCell]) -> list[FinishedTrial]:
    """The trials that outcomes rest on, without their records; a cell that could not be run has none."""
    return [
        FinishedTrial.of(cell.id, record, verdict, cell.told)
        for cell in outcomes
        for record, verdict in cell.trials
        if record.ran
    ]


def read_trials(laboratory: Laboratory, trials: Iterable[FinishedTrial], metrics: Metrics) -> Iterator[ExportedTrial]:
    """The trials with their records, read one at a time; what was forgotten meanwhile is left out."""
    equipment = laboratory.equipment
    for one in trials:
        record = equipment.store.get([one.key]).get(one.key)
        if record is not None:
            yield ExportedTrial(
                cell=one.cell,
                record=laboratory.records.read(record, metrics),
                label=one.label,
                reason=one.reason,
                outcome=one.outcome,
                log=equipment.workplace.log(one.key),
                artifacts=equipment.workplace.artifacts(one.key),
            )


@contextmanager
def exporting_alone(laboratory: Laboratory) -> Iterator[None]:
    """Hold the right to send runs from this folder: two at once could make the run of a trial twice.

    Raises UsageError where another process has it.
    """
    files = laboratory.equipment.workplace.files
    with files.held(_CLAIM) as stream:
        if not has_locked(stream, files.path / _CLAIM, alone=True):
            raise UsageError("Another export of this folder's trials to MLflow is at work. Wait for it, or stop it.")
        yield
