"""Compares the cells of a matrix with its baseline and corrects for how many comparisons that makes (docs/verdicts.md).

Takes judged cells and gives comparisons in the same order; which of them are made is fixed before the trials are seen.
What a finished matrix is asked first, whether it is finished, needs no SciPy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Literal

from runner.outcomes.comparison import CellComparison, RateDifference
from runner.outcomes.machine_kind import comparable, pairs
from runner.outcomes.outcome import Footing, footing
from runner.outcomes.paired import ENOUGH_PAIRS, difference_of_pairs
from runner.outcomes.significance import (
    ENOUGH_VALUES,
    clopper_pearson,
    difference_of,
    finite,
    fisher,
    holm,
    seeds_to_tell_apart,
)
from runner.outcomes.tally import ENOUGH_RUNS
from runner.outcomes.verdict import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.observation import Observation
    from runner.outcomes.paired import PairedDifference
    from runner.outcomes.significance import SampleDifference
    from runner.outcomes.tally import Tally


_Family = Literal["rates", "level", "epoch_s", "peak_memory_bytes"]
_FAMILIES: tuple[_Family, ...] = ("rates", "level", "epoch_s", "peak_memory_bytes")


def compare(cell: JudgedCell, baseline: JudgedCell) -> CellComparison:
    """Compare two cells as the only comparison that is made."""
    return _corrected([(cell, baseline)])[0]


def comparisons(
    cells: Iterable[JudgedCell], baseline: JudgedCell, *, named: bool = False
) -> tuple[CellComparison, ...]:
    """Compare each cell with the baseline, corrected over all of them (Holm).

    `named` says that the baseline was fixed before any trial was seen. One that was chosen for its level is the best of
    all cells, so that each level is tested as one of all pairs: with only as many tests as comparisons 6 to 7 % of
    matrices of equal cells had a false difference, not 5 % (reports/verdicts/comparisons.md).
    """
    others = [(cell, baseline) for cell in cells if cell.id != baseline.id]
    return _corrected(others, chosen=not named)


def _corrected(cells: Iterable[tuple[JudgedCell, JudgedCell]], *, chosen: bool = False) -> tuple[CellComparison, ...]:
    pairs = [pair_of(cell, baseline) for cell, baseline in cells]
    tests, level_tests = numbers_of_tests(pairs, chosen=chosen)
    measured = [
        _measured(pair, tests, needed) for pair, needed in zip(pairs, seeds_needed(pairs, chosen=chosen), strict=True)
    ]
    for family in _FAMILIES:
        measured = _with_adjusted(measured, family, level_tests if family == "level" else 0)
    return tuple(measured)


def _with_adjusted(measured: list[CellComparison], family: _Family, at_least: int) -> list[CellComparison]:
    """The comparisons with the p values of one family corrected for as many tests as it has, and `at_least` so many."""
    found = [getattr(comparison, family) for comparison in measured]
    ps = [difference.p for difference in found if difference is not None]
    adjusted = iter(holm(ps, at_least))
    return [
        comparison
        if difference is None
        else replace(comparison, **{family: replace(difference, adjusted_p=next(adjusted))})
        for comparison, difference in zip(measured, found, strict=True)
    ]


def _measured(pair: Pair, tests: int, needed: tuple[int, int]) -> CellComparison:
    """The raw numbers of one comparison, nothing corrected yet."""
    sides = (pair.ours, pair.theirs)
    return CellComparison(
        cell=pair.cell,
        baseline=pair.baseline,
        footing=pair.footing,
        rates=_rates(pair) if pair.testable else None,
        level=_level(pair),
        epoch_s=_times(*map(_finished, sides)),
        trial_s=_paired(_finished(pair.ours), _finished(pair.theirs), _duration),
        peak_memory_bytes=difference_of(*(map(_peak, _finished(counts)) for counts in sides)),
        tests=tests,
        seeds_needed=needed,
    )


def _rates(pair: Pair) -> RateDifference:
    successes, counted = (pair.ours.c, pair.theirs.c), (pair.ours.n, pair.theirs.n)
    p = fisher(successes, counted)
    return RateDifference(successes=successes, counted=counted, p=p, adjusted_p=p)


def _level(pair: Pair) -> SampleDifference | None:
    if pair.levels is None:
        return None
    verdicts = [verdict for _, verdict in pair.theirs.successes]
    scales = [verdict.scale for verdict in verdicts if verdict.scale is not None]
    return difference_of(*pair.levels, maximised=verdicts[0].mode == "max", scale=median(scales) if scales else None)


def _times(ours: Sequence[Observation], theirs: Sequence[Observation]) -> SampleDifference | None:
    """The seconds of an epoch: of pairs that ran side by side where there are enough, else of one kind of machine."""
    paired = _paired(ours, theirs, _epoch)
    return paired or difference_of(*(map(_epoch, side) for side in comparable(ours, theirs)))


def _paired(
    ours: Sequence[Observation], theirs: Sequence[Observation], seconds: Callable[[Observation], float | None]
) -> PairedDifference | None:
    """The pairs that ran side by side by their times; None where there are not enough."""
    both = ((seconds(one), seconds(two)) for one, two in pairs(ours, theirs))
    known = [(mine, other) for mine, other in both if mine and other]
    return difference_of_pairs(known) if len(known) >= ENOUGH_PAIRS else None


def _epoch(one: Observation) -> float | None:
    return one.epoch_s


def _duration(one: Observation) -> float:
    return one.duration_s


def _finished(counts: Tally) -> list[Observation]:
    """The trials that count and ran to their end, copies included: each took its own time."""
    counting = {Standing.SUCCESS, Standing.FAILURE}
    return [
        record
        for record, verdict in counts.trials
        if standing(verdict.label) in counting and (record.stage == "after-training" or record.exit_code == 0)
    ]


def _peak(one: Observation) -> float | None:
    return one.peak_memory_bytes


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell and the baseline, with what their trials add up to."""

    cell: JudgedCell
    baseline: JudgedCell
    footing: Footing
    ours: Tally
    theirs: Tally

    @cached_property
    def levels(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """The sorted final values of the successes of the cell and of the baseline; None where they aren't compared."""
        finals = (finite(verdict.final for _, verdict in counts.successes) for counts in (self.ours, self.theirs))
        levels = next(finals), next(finals)
        enough = min(map(len, levels)) >= ENOUGH_VALUES
        return levels if enough and not unlike_starts((self.cell, self.baseline)) else None

    @property
    def testable(self) -> bool:
        """True where chance plays a part: no side is blocked, and not one alone breaks."""
        return _is_testable(self.footing)

    @property
    def apart(self) -> bool:
        """True where the outcomes are of different kinds."""
        return self.cell.kind is not self.baseline.kind

    @property
    def levels_apart(self) -> bool:
        """True where the levels of the two do not overlap."""
        if self.levels is None:
            return False
        ours, theirs = self.levels
        return ours[-1] < theirs[0] or theirs[-1] < ours[0]


def _is_testable(kind: Footing) -> bool:
    return kind is not Footing.BLOCKED and kind is not Footing.BREAKS


def pair_of(cell: JudgedCell, baseline: JudgedCell) -> Pair:
    """The two side by side."""
    kind = footing(cell.outcome, baseline.outcome)
    return Pair(cell=cell, baseline=baseline, footing=kind, ours=cell.counts, theirs=baseline.counts)


def numbers_of_tests(pairs: Sequence[Pair], *, chosen: bool) -> tuple[int, int]:
    """The number of comparisons of rates and of levels that are corrected for.

    A baseline that was `chosen` for its level is the best of all cells: its levels are some of those of all pairs.
    """
    rates = sum(pair.testable for pair in pairs)
    levels = sum(pair.levels is not None for pair in pairs)
    return rates, levels * (levels + 1) // 2 if chosen else levels


def seeds_needed(pairs: Sequence[Pair], *, chosen: bool) -> list[tuple[int, int]]:
    """The number of further counted trials each cell and each baseline need, so that what they look like can be sure.

    At least 4. Where outcomes are of different kinds, or levels do not overlap, as many as make n of n against 0 of n,
    or n values above n others, pass the correction. Copies are asked for no more: they would be copied again.
    """
    rate_tests, level_tests = numbers_of_tests(pairs, chosen=chosen)
    return [_needed(pair, rate_tests, level_tests) for pair in pairs]


def _needed(pair: Pair, rate_tests: int, level_tests: int) -> tuple[int, int]:
    wanted = ENOUGH_RUNS
    if pair.apart:
        wanted = seeds_to_tell_apart(rate_tests)
    elif pair.levels_apart:
        wanted = seeds_to_tell_apart(level_tests)
    return _lacking(pair, wanted)


def _lacking(pair: Pair, wanted: int) -> tuple[int, int]:
    if not pair.testable:
        return 0, 0
    return _short_of(pair.cell, wanted), _short_of(pair.baseline, wanted)


def _short_of(cell: JudgedCell, wanted: int) -> int:
    """The number of counted trials that a cell lacks; none where more would be copies."""
    return max(0, wanted - cell.counted) if not cell.counts.seed_insensitive else 0


def top_up(outcomes: Sequence[JudgedCell], baseline: JudgedCell) -> tuple[int, ...]:
    """The number of further counted trials each outcome needs, so that those that look different can be sure.

    Only where one succeeds and the other fails: where both succeed at levels that look different, the comparison says
    what is still needed, and whoever wants to know asks for more seeds.
    """
    others = [outcome for outcome in outcomes if outcome.id != baseline.id]
    testable = [outcome for outcome in others if _is_testable(footing(outcome.outcome, baseline.outcome))]
    apart = seeds_to_tell_apart(len(testable))
    wanted = {one.id: ENOUGH_RUNS if one.kind is baseline.kind else apart for one in testable}
    wanted[baseline.id] = max(wanted.values(), default=0)
    return tuple([_short_of(outcome, wanted.get(outcome.id, 0)) for outcome in outcomes])


@dataclass(frozen=True, kw_only=True)
class Control:
    """The outcomes of pairs of the same cell."""

    pairs: tuple[CellComparison, ...]

    @property
    def compared(self) -> int:
        """The number of pairs that could be compared: no side was blocked, and both have a trial that counts."""
        return sum(pair.rates is not None and all(pair.rates.counted) for pair in self.pairs)

    @property
    def different(self) -> int:
        """The number that were called worse, better or at another level: false alarms."""
        return sum(pair.label.different for pair in self.pairs)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Clopper-Pearson interval of the rate of false alarms; None where nothing was compared."""
        return clopper_pearson(self.different, self.compared) if self.compared else None

    @property
    def other_outcomes(self) -> int:
        """The number of pairs that have outcomes of another kind, such as good and undecided.

        What seeds alone can do.
        """
        return sum(pair.cell.kind is not pair.baseline.kind for pair in self.pairs)

    def __str__(self) -> str:
        if self.interval is None:
            return "no two cells that are the same were compared"
        low, high = self.interval
        return (
            f"of {self.compared} pairs of the same cell {self.different} were called different "
            f"(95 % interval {100 * low:.1f}-{100 * high:.1f} %); {self.other_outcomes} have outcomes of another kind"
        )


def control(pairs: Iterable[tuple[JudgedCell, JudgedCell]]) -> Control:
    """Compare pairs of outcomes of the same cell, each as if it was the only one: 5 % may be called different."""
    return Control(pairs=tuple(compare(one, other) for one, other in pairs))


COMPARABLE_STARTS = 10.0
"""By what factor the first values of two cells may differ before their metric counts as defined differently."""


def unlike_starts(cells: Iterable[JudgedCell]) -> str:
    """Why the levels of cells that settled can't be compared; empty where they can."""
    starts = [start for cell in cells if (start := cell.figures.start) is not None]
    if not starts or max(starts) <= COMPARABLE_STARTS * min(starts):
        return ""
    return (
        f"the first values of cells range from {min(starts):.3g} to {max(starts):.3g}, more than {COMPARABLE_STARTS:g} "
        "times: their metric may be defined differently, so that levels are not judged"
    )
