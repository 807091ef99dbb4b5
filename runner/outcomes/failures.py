"""Failures by their reason: trials of any cells that failed alike, so that a reader looks at each reason once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.advice import advice
from runner.outcomes.fingerprint import Fingerprint, fault
from runner.outcomes.verdict import Label, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.tally import Trial


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """All trials that failed for one reason."""

    label: Label
    fingerprint: Fingerprint | None
    """None for trials that ended well and still did not succeed: their label is the reason."""
    cells: tuple[JudgedCell, ...]
    """The cells with such a trial, in the matrix's order; a flaky cell can be in several groups."""
    trials: tuple[Trial, ...]

    @property
    def example(self) -> Trial:
        """The first of its trials, to look at."""
        return self.trials[0]

    @property
    def reason(self) -> str:
        """The reason in one line."""
        return str(self.label) if self.fingerprint is None else f"{self.label}: {self.fingerprint}"

    @property
    def advice(self) -> str:
        """What a user can do about its example; empty where nothing is known."""
        record, verdict = self.example
        if verdict.label is Label.TOO_SHORT:
            sign = "<" if verdict.mode == "min" else ">"
            return f"{verdict.reason}; a criterion judges the last one: `criterion: {verdict.metric} {sign} …`"
        return verdict.reason if verdict.label is Label.NO_METRICS else "; ".join(advice(record))


def failure_groups(cells: Iterable[JudgedCell]) -> tuple[FailureGroup, ...]:
    """All trials that did not succeed, by label and fingerprint; the reason that most cells share comes first.

    Of equally many cells the one with more trials is first, then the one that is seen first.
    """
    found: dict[Hashable, list[tuple[JudgedCell, Trial]]] = {}
    for cell in cells:
        for trial in cell.trials:
            _, verdict = trial
            if standing(verdict.label) is not Standing.SUCCESS:
                found.setdefault((verdict.label, fault(trial)), []).append((cell, trial))
    made = [
        FailureGroup(
            label=members[0][1][1].label,
            fingerprint=fault(members[0][1]),
            cells=tuple({cell.id: cell for cell, _ in members}.values()),
            trials=tuple(trial for _, trial in members),
        )
        for members in found.values()
    ]
    return tuple(sorted(made, key=lambda group: (-len(group.cells), -len(group.trials))))
