"""The distinction between the good and the bad cell: one rule by which every trial of an investigation is judged.

Made once, from the trials of both cells: how they end, whether they fail, or on which side of a level they rest.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from runner.investigate.belief import SHAPELESS, fault_of
from runner.matrix.criterion import Comparison, Operator
from runner.outcomes.fingerprint import fingerprint
from runner.outcomes.observation import Observation, shown
from runner.outcomes.significance import SAME_DECADES, mann_whitney
from runner.outcomes.verdict import CRASHES, Label, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.investigate.belief import Evidence
    from runner.outcomes.observation import AnyTrial
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record


if TYPE_CHECKING:
    Trial = tuple[Record, Verdict]

_ORDERLY = frozenset(
    {
        Label.CONVERGED,
        Label.SETTLED,
        Label.IMPROVING,
        Label.PLATEAUED,
        Label.MISSED,
        Label.OSCILLATING,
        Label.DIVERGED,
        Label.TOO_SHORT,
        Label.NO_METRICS,
    }
)
"""The labels of trials that trained, or ran, to their end."""
_BEFORE_CHANCE = frozenset({Label.CRASHED_IMPORT, Label.CRASHED_AT_START, Label.CRASHED_BUILD_MODEL})
_NOT_THERE = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError"})
_SAME_SHARE = 0.05
"""Values that are not all positive are the same within this share of the larger one."""
_CLEAR = 0.9
"""The share of pairs in one order from which on two sides differ in their level."""


class DistinctionKind(enum.StrEnum):
    """The property that separates good from bad."""

    OUTCOME = "outcome"
    """By the matrix's own verdicts: one converges or settles, the other does not."""
    ENDING = "ending"
    """The bad one ends in a way of its own: an exception, a hang, NaN; whatever does not is good."""
    LEVEL = "level"
    """Both come to rest, at different levels."""


@dataclass(frozen=True, kw_only=True)
class Distinction:
    """The rule; `fault` is the bad cell's, as `fault_of` names it."""

    kind: DistinctionKind
    fault: str
    level: Comparison | None = None
    """The condition for good, of a `LEVEL`; it then replaces the matrix's own criterion."""
    certain: bool = False
    """True where chance plays no part in the fault: it comes before the training, or says that something is not there.
    One trial then shows whether a combination has it."""

    def __str__(self) -> str:
        """The meaning of passing and failing in words."""
        match self.kind:
            case DistinctionKind.OUTCOME:
                return f"a trial passes that succeeds by the matrix's own criterion; what fails: {self.fault}"
            case DistinctionKind.ENDING:
                return f"a trial passes that does not end this way: {self.fault}"
            case DistinctionKind.LEVEL:
                return f"a trial passes with {self.level}, half-way between the two cells"

    def told(self, trials: Iterable[Trial]) -> Distinction:
        """The rule as people read it: the fault in the words of those of the bad cell's trials that have it."""
        records = [record for record, _ in trials if str(fingerprint(record)) == self.fault]
        return replace(self, fault=str(shown(map(Observation.of, records)))) if records else self

    def made_certain(self, evidence: Evidence) -> Evidence:
        """The same evidence where one trial shows all: it has the fault, or it does not."""
        alike = bool(evidence.good) is not bool(evidence.bad(self.fault)) and not evidence.other(self.fault)
        return replace(evidence, certain=evidence.certain or alike)

    def relabelled(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials with the labels that this rule gives them."""
        return [self._relabelled(trial) for trial in trials]

    def _relabelled(self, trial: Trial) -> Trial:
        record, verdict = trial
        passes = verdict.label in _ORDERLY or (verdict.label is Label.NAN and self.fault != Label.NAN)
        if self.kind is not DistinctionKind.ENDING or not passes:
            return trial
        return record, replace(verdict, label=Label.CONVERGED)


def distinction_between(good: Sequence[Trial], bad: Sequence[Trial], *, criterion: bool = False) -> Distinction | None:
    """The distinction between two cells by their trials; None where there is none.

    A `criterion` of the matrix's own that separates every trial of the two is kept: no level replaces it.
    """
    fault, share = _fault(bad)
    if fault != SHAPELESS and share >= 0.5 and _share_of(fault, good) < 0.5:
        costly = any(verdict.exceeds for _, verdict in bad)
        by_outcome = (fault == Label.NAN or costly) and _successes(good) >= 0.5
        return Distinction(
            kind=DistinctionKind.OUTCOME if by_outcome else DistinctionKind.ENDING,
            fault=fault,
            certain=len(bad) > 1 and share == 1 and not _share_of(fault, good) and all(map(_is_certain, bad)),
        )
    if criterion and _successes(good) == 1 and _successes(bad) == 0 and _failed(bad):
        return Distinction(kind=DistinctionKind.OUTCOME, fault=fault or SHAPELESS)
    if level := _level(good, bad):
        return Distinction(kind=DistinctionKind.LEVEL, fault=SHAPELESS, level=level)
    if _successes(good) >= 0.5 > _successes(bad) and _failed(bad):
        return Distinction(kind=DistinctionKind.OUTCOME, fault=fault or SHAPELESS)
    return None


def _is_certain(trial: Trial) -> bool:
    """True of a trial that ended in a way in which chance plays no part."""
    record, verdict = trial
    if verdict.label in _BEFORE_CHANCE:
        return True
    raised = record.exception
    if raised is None or verdict.label not in CRASHES:
        return False
    return raised.type.rpartition(".")[2] in _NOT_THERE or "unexpected keyword argument" in raised.message


def finals(trials: Iterable[AnyTrial]) -> list[float]:
    """The final values of trials that ended in order, in the metric's own units; each distinct value once."""
    found = [verdict.final for _, verdict in trials if verdict.label in _ORDERLY and verdict.final is not None]
    return [value for value in dict.fromkeys(found) if math.isfinite(value)]


def _level(good: Sequence[Trial], bad: Sequence[Trial]) -> Comparison | None:
    """The level half-way between two cells, on the scale on which they are compared; None where they do not differ."""
    ours, theirs = finals(good), finals(bad)
    if not ours or not theirs:
        return None
    logarithmic = min(*ours, *theirs) > 0
    one, other = (median(map(math.log10, side) if logarithmic else side) for side in (ours, theirs))
    margin = SAME_DECADES if logarithmic else _SAME_SHARE * max(abs(one), abs(other))
    _, above = mann_whitney(ours, theirs)
    if abs(one - other) <= margin or max(above, 1 - above) < _CLEAR:
        return None
    middle = 10 ** ((one + other) / 2) if logarithmic else (one + other) / 2
    operator = Operator.LESS if one < other else Operator.GREATER
    verdict = good[0][1]
    return Comparison(metric=verdict.metric, operator=operator, target=float(f"{middle:.3g}"))


def _fault(trials: Sequence[Trial]) -> tuple[str, float]:
    """The most frequent fault, and the share of trials that have it; that a loss has no good shape comes last."""
    seen = Counter(map(fault_of, _failed(trials)))
    if not seen:
        return "", 0.0
    fault = max(seen, key=lambda name: (seen[name], name != SHAPELESS, name))
    return fault, seen[fault] / len(trials)


def _share_of(fault: str, trials: Sequence[Trial]) -> float:
    return sum(fault_of(trial) == fault for trial in _failed(trials)) / max(1, len(trials))


def _failed(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that failed; what was never put to the test, since it could not be installed, did not."""
    aside = {Standing.SUCCESS, Standing.BLOCKED}
    return [trial for trial in trials if standing(trial[1].label) not in aside]


def _successes(trials: Sequence[Trial]) -> float:
    return sum(standing(verdict.label) is Standing.SUCCESS for _, verdict in trials) / max(1, len(trials))
