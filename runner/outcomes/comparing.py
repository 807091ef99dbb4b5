"""Compares the cells of a matrix with its baseline and corrects for how many comparisons that makes (VERDICTS.md, 3).

Takes outcomes and gives comparisons in the same order; which of them are made is fixed before the trials are seen.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Literal

from runner.outcomes.comparison import CellComparison, RateDifference
from runner.outcomes.labels import Standing, standing
from runner.outcomes.pairs import numbers_of_tests, pair_of, seeds_needed
from runner.outcomes.samples import difference_of
from runner.outcomes.series import epoch_seconds
from runner.outcomes.significance import benjamini_hochberg, fisher, holm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.outcomes.cell import Outcome
    from runner.outcomes.pairs import Pair
    from runner.outcomes.samples import Difference
    from runner.outcomes.tally import Tally
    from runner.trials.record import Record

    Correction = Callable[[Sequence[float]], list[float]]

_Family = Literal["rates", "level", "epoch_s", "peak_memory_bytes"]
_FAMILIES: tuple[_Family, ...] = ("rates", "level", "epoch_s", "peak_memory_bytes")


def compare(cell: Outcome, baseline: Outcome) -> CellComparison:
    """Compare two cells as the only comparison that is made."""
    return _corrected([(cell, baseline)], holm)[0]


def comparisons(outcomes: Iterable[Outcome], baseline: Outcome, *, named: bool = False) -> tuple[CellComparison, ...]:
    """Compare each cell with the baseline, corrected over all of them (Holm).

    `named` says that the baseline was fixed before any trial was seen. One that was chosen for its level is the best of
    all cells, so that each level is tested as one of all pairs: with only as many tests as comparisons 6 to 7 % of
    matrices of equal cells had a false difference, not 5 % (reports/verdicts/comparisons.md).
    """
    return _corrected([(outcome, baseline) for outcome in outcomes if outcome is not baseline], holm, chosen=not named)


def all_pairs(outcomes: Iterable[Outcome]) -> tuple[CellComparison, ...]:
    """Compare every cell with every later one, to explore: the share of false differences is bounded, no more."""
    found = _corrected([(later, earlier) for earlier, later in combinations(outcomes, 2)], benjamini_hochberg)
    return tuple(replace(comparison, exploratory=True) for comparison in found)


def _corrected(
    cells: Iterable[tuple[Outcome, Outcome]], correction: Correction, *, chosen: bool = False
) -> tuple[CellComparison, ...]:
    pairs = [pair_of(cell, baseline) for cell, baseline in cells]
    tests, level_tests = numbers_of_tests(pairs, chosen=chosen)
    measured = [
        _measured(pair, tests, needed) for pair, needed in zip(pairs, seeds_needed(pairs, chosen=chosen), strict=True)
    ]
    for family in _FAMILIES:
        measured = _with_adjusted(measured, family, correction, level_tests if family == "level" else 0)
    return tuple(measured)


def _with_adjusted(
    measured: list[CellComparison], family: _Family, correction: Correction, at_least: int
) -> list[CellComparison]:
    """The comparisons with the p values of one family corrected for as many tests as it has, and `at_least` so many."""
    found = [getattr(comparison, family) for comparison in measured]
    ps = [difference.p for difference in found if difference is not None]
    adjusted = iter(correction([*ps, *[1.0] * (at_least - len(ps))]))
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
        epoch_s=difference_of(*(_finished(counts, epoch_seconds) for counts in sides)),
        peak_memory_bytes=difference_of(*(_finished(counts, _peak) for counts in sides)),
        tests=tests,
        seeds_needed=needed,
        exploratory=False,
    )


def _rates(pair: Pair) -> RateDifference:
    successes, counted = (pair.ours.c, pair.theirs.c), (pair.ours.n, pair.theirs.n)
    p = fisher(successes, counted)
    return RateDifference(successes=successes, counted=counted, p=p, adjusted_p=p)


def _level(pair: Pair) -> Difference | None:
    if pair.levels is None:
        return None
    verdicts = [verdict for _, verdict in pair.theirs.successes]
    scales = [verdict.scale for verdict in verdicts if verdict.scale is not None]
    return difference_of(*pair.levels, maximised=verdicts[0].mode == "max", scale=median(scales) if scales else None)


def _finished(counts: Tally, figure: Callable[[Record], float | None]) -> list[float | None]:
    """A figure of the trials that count and ran to their end, copies included: each took its own time."""
    counting = {Standing.SUCCESS, Standing.FAILURE}
    return [
        figure(record)
        for record, verdict in counts.trials
        if standing(verdict.label) in counting and record.stage == "after-training"
    ]


def _peak(record: Record) -> float | None:
    return record.peak_memory_bytes
