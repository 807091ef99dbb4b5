"""The cell that others are compared with, and its level for rule R10 (VERDICTS.md, 2, "Baseline").

Takes the outcomes of a first pass over a matrix and gives the baseline, or the reason why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from runner.matrix.axes import same_value
from runner.outcomes.cell import ENOUGH_RUNS
from runner.outcomes.labels import Label
from runner.outcomes.tally import tally
from runner.outcomes.verdict import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.outcomes.cell import Outcome
    from runner.outcomes.tally import Trial

COMPARABLE_STARTS = 10.0
"""By what factor the first values of two cells may differ before their metric counts as defined differently."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Which cell others are compared with; `position` counts in the outcomes that it was chosen from."""

    position: int | None
    reference: Reference | None
    """The level for R10; None where a criterion judges, and where levels can't be compared."""
    reason: str
    """Why this cell, and why it has no level; without a cell why there is none."""
    named: bool = False
    """Whether it was fixed before any trial was seen; the best of several cells was not."""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    position: int
    cell: Mapping[str, str]
    counted: tuple[Trial, ...]
    """Its distinct observations."""
    successes: tuple[Trial, ...]

    @property
    def qualifies(self) -> bool:
        """Whether it may be chosen without being named: enough judged trials, most of them successes."""
        return len(self.counted) >= ENOUGH_RUNS and 2 * len(self.successes) > len(self.counted)

    @property
    def settles(self) -> bool:
        """Whether a success was not judged by a target, but waits for a reference."""
        return any(verdict.label is Label.SETTLED for _, verdict in self.successes)

    @property
    def start(self) -> float:
        """The size of its median first value."""
        return abs(median(verdict.y0 for _, verdict in self.counted if verdict.y0 is not None))

    @property
    def level(self) -> Reference:
        """The medians of its successes, of which there must be one."""
        return Reference(
            final=median(verdict.final for _, verdict in self.successes if verdict.final is not None),
            scale=median(verdict.scale for _, verdict in self.successes if verdict.scale is not None),
        )

    @property
    def rank(self) -> float:
        """Its median final value, negated where the metric is maximised: the best candidate has the least."""
        return self.level.final if self.successes[0][1].mode == "min" else -self.level.final


def baseline_of(outcomes: Sequence[Outcome], named: Mapping[str, str] | None = None) -> Baseline:
    """Choose the baseline of a matrix by the verdicts of its first pass.

    `named` has some of its axis values. Of several cells that they fit, and of all cells where nothing is named, the
    baseline is the one with the best median final value among those with at least 4 judged trials, most of them
    successes. There is no reference where the cells that settled start more than 10 times apart: their metric is
    defined differently. (VERDICTS.md says "between cells"; a cell where nothing settled is not judged by the
    reference, so one that explodes in its first epoch does not take it from all others.)
    """
    candidates = [_candidate(position, outcome) for position, outcome in enumerate(outcomes)]
    if sum(bool(candidate.counted) for candidate in candidates) < 2:
        return _none("fewer than two cells have a judged trial: there is nothing to compare")
    unlike = _unlike_starts(candidates)
    if named is not None:
        return _named([one for one in candidates if _fits(one.cell, named)], named, unlike)
    if unlike:
        return _none(f"{unlike}; name a baseline to compare how often cells succeed")
    best = _best(candidates)
    if best is None:
        return _none(f"no cell has {ENOUGH_RUNS} judged trials, most of them good; name a baseline to have one")
    level = best.level
    return Baseline(
        position=best.position,
        reference=level if best.settles else None,
        reason=f"the best median final value ({level.final:.3g}) of the cells that mostly succeed",
    )


def _named(fitting: list[_Candidate], named: Mapping[str, str], unlike: str) -> Baseline:
    words = ", ".join(f"{axis} {value}" for axis, value in named.items())
    chosen = fitting[0] if len(fitting) == 1 else _best(fitting)
    if chosen is None:
        why = "none of its cells has 4 judged trials, most of them good" if fitting else "no cell has these values"
        return _none(f"the named baseline ({words}) is none: {why}")
    reason, reference = f"named ({words})", None
    if not chosen.successes:
        reason = f"{reason}; none of its trials is good, so that it has no level"
    elif chosen.settles and unlike:
        reason = f"{reason}; {unlike}"
    elif chosen.settles:
        reference = chosen.level
    return Baseline(position=chosen.position, reference=reference, reason=reason, named=len(fitting) == 1)


def _none(reason: str) -> Baseline:
    return Baseline(position=None, reference=None, reason=reason)


def _candidate(position: int, outcome: Outcome) -> _Candidate:
    counts = tally(outcome.trials)
    return _Candidate(
        position=position,
        cell=outcome.cell,
        counted=(*counts.successes, *counts.failures),
        successes=counts.successes,
    )


def _fits(cell: Mapping[str, str], named: Mapping[str, str]) -> bool:
    return all(axis in cell and same_value(axis, cell[axis], value) for axis, value in named.items())


def _best(candidates: Sequence[_Candidate]) -> _Candidate | None:
    return min((one for one in candidates if one.qualifies), key=lambda one: one.rank, default=None)


def unlike_starts(outcomes: Sequence[Outcome]) -> str:
    """Why the levels of cells that settled can't be compared; empty where they can."""
    return _unlike_starts([_candidate(position, outcome) for position, outcome in enumerate(outcomes)])


def _unlike_starts(candidates: Sequence[_Candidate]) -> str:
    starts = [candidate.start for candidate in candidates if candidate.settles]
    if not starts or max(starts) <= COMPARABLE_STARTS * min(starts):
        return ""
    return (
        f"the first values of cells range from {min(starts):.3g} to {max(starts):.3g}, more than {COMPARABLE_STARTS:g} "
        "times: their metric may be defined differently, so that levels are not judged"
    )
