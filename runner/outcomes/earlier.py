"""A result held against an earlier one, cell by cell, by counts and final values: no records are needed.

The same tests as between cells (docs/verdicts.md): Fisher's for how often they succeed, Mann and Whitney's for levels,
two one-sided ones for equivalence, corrected by Holm over all cells that are held against their earlier selves.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runner.outcomes.comparing import COMPARABLE_STARTS
from runner.outcomes.comparison import RateDifference, figure_in_words
from runner.outcomes.outcome import Footing, OutcomeKind, footing
from runner.outcomes.significance import LEVEL, DifferenceLabel, difference_of, fisher, holm
from runner.outcomes.tally import LEFT_OUT
from runner.outcomes.verdict import Label, Standing, standing
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

    from runner.matrix.cell_id import CellId
    from runner.outcomes.outcome import Outcome
    from runner.outcomes.result import CellResult, Result, TrialResult
    from runner.outcomes.significance import SampleDifference

_MOST_SEEDS = 30
"""More are not asked for: the earlier result has too few trials to be sure of anything."""


class EarlierLabel(enum.StrEnum):
    """The label of a cell against the earlier result."""

    WORSE = "worse"
    BETTER = "better"
    LEVEL_DIFFERS = "level-differs"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class CellEvidence:
    """The evidence that a result has of one cell."""

    outcome: Outcome
    converged: int
    counted: int
    """Distinct observations, as the outcome counts them."""
    reason: str = ""
    metric: str = "loss"
    maximised: bool = False
    finals: tuple[float, ...] = ()
    """The final values of its distinct successes."""
    scale: float | None = None
    """The median S of its successes."""
    start: float | None = None
    """The median first value, where trials were judged by the shape of the metric alone; None under a criterion."""
    copies: bool = False
    """True where its trials are copies of one: the seed changes nothing."""
    runs: frozenset[tuple[str, str]] = frozenset()
    """The key of each trial and the time at which it began: the same in two results that show the very same trials."""

    @property
    def kind(self) -> OutcomeKind:
        """The kind of its outcome."""
        return self.outcome.kind


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A cell now against the same cell then. Made by `held_against`."""

    cell: CellId
    now: CellEvidence | None
    """None: the cell is gone."""
    then: CellEvidence | None
    """None: the cell is new."""
    rates: RateDifference | None = None
    """None where they are not tested: a side is missing or blocked, one breaks where the other succeeds or breaks too,
    or both are the very same trials."""
    level: SampleDifference | None = None
    tests: int = 0
    """The number of comparisons of rates it was corrected for."""
    obstacle: str = ""
    """Why the two results can't be compared at all."""

    @property
    def name(self) -> str:
        """The cell to read."""
        return str(self.cell)

    @property
    def label(self) -> EarlierLabel:
        """The label; the first that holds wins."""
        if self.now is None or self.then is None:
            return EarlierLabel.GONE if self.now is None else EarlierLabel.NEW
        if self.obstacle:
            return EarlierLabel.INCONCLUSIVE
        if self.rates is None:
            return _untested(self.now, self.then)
        if self.rates.sure:
            return EarlierLabel.WORSE if self.rates.difference < 0 else EarlierLabel.BETTER
        both_good = self.now.kind is self.then.kind is OutcomeKind.GOOD
        return _of_level(self.level, both_good=both_good)

    @property
    def notable(self) -> bool:
        """True where a reader must see it: all but cells that are, or may be, what they were."""
        if self.now is None or self.then is None:
            return True
        if self.label is EarlierLabel.INCONCLUSIVE:
            return self.now.outcome != self.then.outcome
        return self.label is not EarlierLabel.EQUIVALENT

    @cached_property
    def reason(self) -> str:
        """The label in words that say no more than the numbers do."""
        if self.now is None or self.then is None:
            there, where = (self.now, "earlier result") if self.now else (self.then, "matrix any more")
            return f"{there.outcome if there else ''}; not in the {where}"
        step = f"{self.now.outcome}, was {self.then.outcome}"
        if self.obstacle:
            return f"{step}; {self.obstacle}"
        if self.rates is None:
            same = f"the very same trials: {self.now.outcome}"
            why = f": {self.now.reason}" if self.now.reason and _is_out(self.now) else ""
            return same if _same(self.now, self.then) else f"{step}{why}"
        counts = f"{_counts(self.now)} trials succeed, were {_counts(self.then)}"
        tested = f"p = {self.rates.p:.2g}"
        if self.tests > 1:
            tested += f", {self.rates.adjusted_p:.2g} among {counted(self.tests, 'cell')}"
        words = [step, f"{counts} ({tested})"]
        if self.level is not None:
            words.append(figure_in_words(self.level, self.now.metric))
        if self._unsure:
            words.append(self._missing)
        return "; ".join(words)

    @cached_property
    def seeds_needed(self) -> int:
        """The number of further counted trials that make what the cell looks like sure, if all go on so.

        0 where it is sure, where the two do not look different, and where no number would do.
        """
        if not self._unsure or self.now is None or self.then is None or self.now.copies:
            return 0
        for n in range(self.now.counted + 1, _MOST_SEEDS + 1):
            successes = n if self.now.kind is OutcomeKind.GOOD else 0
            if fisher((successes, self.then.converged), (n, self.then.counted)) * self.tests <= LEVEL:
                return n - self.now.counted
        return 0

    @property
    def _unsure(self) -> bool:
        """True where one of the two succeeds and the other fails, and that is not sure."""
        if self.now is None or self.then is None or self.rates is None or self.rates.sure:
            return False
        return {self.now.kind, self.then.kind} == {OutcomeKind.GOOD, OutcomeKind.BAD}

    @property
    def _missing(self) -> str:
        """The trials that it would take to be sure."""
        if self.now is not None and self.now.copies:
            return "its trials are copies of one, whatever the seed: no test can tell more"
        if self.seeds_needed:
            trials = counted(self.seeds_needed, "more trial")
            return f"not sure yet: {trials} of this cell would make it"
        return "not sure: the earlier result has too few trials of it"


def against(result: Result, earlier: Result, matrix: Collection[CellId] = ()) -> tuple[Earlier, ...]:
    """Hold each cell of a result against the cell of an earlier one with the same axis values.

    `matrix` has all cells of the matrix, selected or not: one that was not looked at is not gone. One that either of
    the two left out is neither gone nor new.
    """
    left_out = {cell.cell_id for one in (result, earlier) for cell in one.cells if LEFT_OUT in cell.flags}
    now, then = ({cell: a for cell, a in evidence_of(one).items() if cell not in left_out} for one in (result, earlier))
    looked_at = {cell: found for cell, found in then.items() if cell in now or cell not in matrix}
    return held_against(now, looked_at, obstacle=obstacle(result.criterion, result.metric, earlier))


def evidence_of(result: Result) -> dict[CellId, CellEvidence]:
    """The evidence that a result has of each of its cells but those that were left out."""
    return {cell.cell_id: evidence(result.told(cell)) for cell in result.cells if LEFT_OUT not in cell.flags}


def obstacle(criterion: tuple[str, ...], metric: str, earlier: Result) -> str:
    """Why a result that was judged so can't be compared with an earlier one; empty where it can."""
    ours = criterion or (f"the shape of {metric}",)
    theirs = earlier.criterion or (f"the shape of {earlier.metric}",)
    if ours == theirs:
        return ""
    return f"judged by {', '.join(ours)} now, by {', '.join(theirs)} then: how often it succeeds means another thing"


def evidence(cell: CellResult) -> CellEvidence:
    """The evidence that a result has of a cell for comparing it.

    Of trials that are copies of each other the first counts.
    """
    successes = list(_distinct(cell))
    starts = [trial.y0 for trial in cell.trials if trial.y0 is not None]
    scales = [trial.scale for trial in successes if trial.scale is not None]
    first = next(iter(successes or cell.trials), None)
    return CellEvidence(
        outcome=cell.outcome,
        converged=cell.converged,
        counted=cell.counted,
        reason=cell.reason,
        metric=first.metric if first else "loss",
        maximised=first is not None and first.mode == "max",
        finals=tuple(trial.final for trial in successes if trial.final is not None),
        scale=median(scales) if scales else None,
        start=median(starts) if starts and any(trial.label is Label.SETTLED for trial in successes) else None,
        copies=cell.copies,
        runs=frozenset((trial.key, trial.started_at) for trial in cell.trials),
    )


def _distinct(cell: CellResult) -> Iterator[TrialResult]:
    """The successes that count.

    A result of version 0.1 does not say which trials are copies; where it counts fewer successes than it has, those
    that reported the same are taken for copies.
    """
    successes = [trial for trial in cell.trials if standing(trial.label) is Standing.SUCCESS]
    marked = [trial for trial in successes if not trial.copy_of_another]
    if len(marked) == cell.converged:
        yield from marked
        return
    yield from {_reported(trial): trial for trial in reversed(successes)}.values()


def _reported(trial: TrialResult) -> Hashable:
    """The values that copies share; a trial that reported nothing is nobody's copy."""
    curves = tuple((name, values) for name, values in sorted(trial.curves.items()))
    return (trial.final, trial.y0, curves) if curves else trial.seed


def held_against(
    now: Mapping[CellId, CellEvidence], then: Mapping[CellId, CellEvidence], *, obstacle: str = ""
) -> tuple[Earlier, ...]:
    """Hold each cell of a result against the same cell of an earlier one; cells can be new or gone.

    `obstacle` says why nothing can be told from comparing the two. A cell that is blocked or breaks is not a matter of
    chance: one that succeeded and does not run or breaks now is worse, without a test.
    """
    cells = dict.fromkeys((*now, *then))
    found = [Earlier(cell=cell, now=now.get(cell), then=then.get(cell), obstacle=obstacle) for cell in cells]
    measured = [_measured(one) for one in found]
    rates = _corrected(one.rates.p if one.rates else None for one in measured)
    levels = _corrected(one.level.p if one.level else None for one in measured)
    tests = sum(p is not None for p in rates)
    return tuple(
        replace(
            one,
            rates=replace(one.rates, adjusted_p=p) if one.rates and p is not None else None,
            level=replace(one.level, adjusted_p=q) if one.level and q is not None else None,
            tests=tests,
        )
        for one, p, q in zip(measured, rates, levels, strict=True)
    )


def _measured(one: Earlier) -> Earlier:
    """With the raw numbers, nothing corrected yet."""
    now, then = one.now, one.then
    if now is None or then is None or one.obstacle or _same(now, then):
        return one
    both_break = now.outcome.breaks and then.outcome.breaks
    if both_break or footing(now.outcome, then.outcome) in {Footing.BLOCKED, Footing.BREAKS}:
        return one
    successes, counted = (now.converged, then.converged), (now.counted, then.counted)
    p = fisher(successes, counted)
    rates = RateDifference(successes=successes, counted=counted, p=p, adjusted_p=p)
    level = None
    if now.metric == then.metric and now.maximised == then.maximised and not _unlike(now, then):
        level = difference_of(now.finals, then.finals, maximised=now.maximised, scale=then.scale)
    return replace(one, rates=rates, level=level)


def _corrected(ps: Iterable[float | None]) -> list[float | None]:
    known = list(ps)
    adjusted = iter(holm([p for p in known if p is not None]))
    return [None if p is None else next(adjusted) for p in known]


def _untested(now: CellEvidence, then: CellEvidence) -> EarlierLabel:
    if _same(now, then) or now.outcome == then.outcome:
        return EarlierLabel.EQUIVALENT
    if _is_out(now) and then.converged:
        return EarlierLabel.WORSE
    if _is_out(then) and now.converged:
        return EarlierLabel.BETTER
    return EarlierLabel.INCONCLUSIVE


def _is_out(evidence: CellEvidence) -> bool:
    """True where no number of trials would be needed to see that the cell does not succeed."""
    return evidence.kind is OutcomeKind.UNTESTABLE or evidence.outcome.breaks


def _of_level(level: SampleDifference | None, *, both_good: bool) -> EarlierLabel:
    """The label by levels where the rates are not told apart."""
    if level is not None and level.label in {DifferenceLabel.LOWER, DifferenceLabel.HIGHER}:
        return EarlierLabel.LEVEL_DIFFERS
    if both_good and level is not None and level.label is DifferenceLabel.EQUIVALENT:
        return EarlierLabel.EQUIVALENT
    return EarlierLabel.INCONCLUSIVE


def _same(now: CellEvidence, then: CellEvidence) -> bool:
    """True where both show the very same trials, judged alike."""
    return bool(now.runs) and now.runs == then.runs and now.outcome == then.outcome


def _unlike(now: CellEvidence, then: CellEvidence) -> bool:
    """True where the metric begins so differently that it may be defined differently."""
    if now.start is None or then.start is None:
        return False
    low, high = sorted((abs(now.start), abs(then.start)))
    return high > COMPARABLE_STARTS * low


def _counts(evidence: CellEvidence) -> str:
    return f"{evidence.converged} of {evidence.counted}"
