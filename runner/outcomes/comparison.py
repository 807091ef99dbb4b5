"""The comparison of a cell with the baseline as a value: the tests of its rates and figures, its label, its reason.

The reason follows the numbers, and "no difference found" is never said as "equal".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from runner.outcomes.outcome import Footing, OutcomeKind
from runner.outcomes.paired import PairedDifference
from runner.outcomes.significance import LEVEL, DifferenceLabel, rate_interval
from runner.plurals import counted

if TYPE_CHECKING:
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.significance import SampleDifference


class ComparisonLabel(enum.StrEnum):
    """The label of a cell against the baseline (docs/verdicts.md)."""

    BLOCKED = "blocked"
    BREAKS = "breaks"
    WORSE = "worse"
    BETTER = "better"
    LEVEL_DIFFERS = "level-differs"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"

    @property
    def different(self) -> bool:
        """True where the two cells were called different."""
        return self in {
            ComparisonLabel.BREAKS,
            ComparisonLabel.WORSE,
            ComparisonLabel.BETTER,
            ComparisonLabel.LEVEL_DIFFERS,
        }


@dataclass(frozen=True, kw_only=True)
class RateDifference:
    """The success rates of two cells; pairs are cell, baseline."""

    successes: tuple[int, int]
    counted: tuple[int, int]
    p: float
    """Of Fisher's exact test."""
    adjusted_p: float
    """The same, corrected for all comparisons of rates."""

    @property
    def difference(self) -> float:
        """The cell's rate minus the baseline's; 0 where a side has no observation."""
        if not all(self.counted):
            return 0.0
        ours, theirs = (c / n for c, n in zip(self.successes, self.counted, strict=True))
        return ours - theirs

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference; None where a side has no observation."""
        return rate_interval(self.successes, self.counted) if all(self.counted) else None

    @property
    def sure(self) -> bool:
        """True where the difference stands after the correction."""
        return self.adjusted_p <= LEVEL


@dataclass(frozen=True, kw_only=True)
class CellComparison:
    """A cell against the baseline. Made by `compare` and `comparisons`."""

    cell: JudgedCell
    baseline: JudgedCell
    footing: Footing
    rates: RateDifference | None
    """None where a side is blocked, and where one breaks while the other succeeds."""
    level: SampleDifference | None
    """The final values of successes; None with fewer than 4 on a side, or where they can't be compared."""
    epoch_s: SampleDifference | None
    """Seconds an epoch of trials that ran to their end; None with fewer than 4 on a side. No part of the label."""
    trial_s: PairedDifference | None
    """Seconds of whole trials that ran side by side, pair by pair; None with fewer than 6 pairs. No part either."""
    peak_memory_bytes: SampleDifference | None
    tests: int
    """The number of comparisons of rates it was corrected for."""
    seeds_needed: tuple[int, int]
    """The number of further counted trials the cell and the baseline need, so that what they look like can be sure."""

    @property
    def label(self) -> ComparisonLabel:
        """The label; the first that holds wins."""
        if self.footing is Footing.BREAKS:
            return ComparisonLabel.BREAKS if self.cell.outcome.breaks else ComparisonLabel.BETTER
        if self.rates is None:
            return ComparisonLabel.BLOCKED
        if self.rates.sure:
            return ComparisonLabel.WORSE if self.rates.difference < 0 else ComparisonLabel.BETTER
        level = None if self.level is None else self.level.label
        if level in {DifferenceLabel.LOWER, DifferenceLabel.HIGHER}:
            return ComparisonLabel.LEVEL_DIFFERS
        alike = self.footing is Footing.SUCCEED and self.cell.outcome == self.baseline.outcome
        if alike and level is DifferenceLabel.EQUIVALENT:
            return ComparisonLabel.EQUIVALENT
        return ComparisonLabel.INCONCLUSIVE

    @cached_property
    def time(self) -> str:
        """What trials that ran side by side say of the time of an epoch, or of a trial where no epoch was timed.

        Empty without enough of them. Of others nothing is claimed: what else a machine did meanwhile makes one cell
        slower than another too.
        """
        epoch = self.epoch_s if isinstance(self.epoch_s, PairedDifference) else None
        found = epoch or self.trial_s
        if found is None:
            return ""
        what = "time of an epoch" if epoch else "time of a trial"
        return f"side by side in {len(found.cell)} pairs: {figure_in_words(found, what, ' s')}"

    @cached_property
    def reason(self) -> str:
        """The label in words that say no more than the numbers do."""
        return in_words(self)


def in_words(comparison: CellComparison) -> str:
    """A comparison in words, with the numbers that it rests on."""
    match comparison.label:
        case ComparisonLabel.BLOCKED:
            return f"can't be compared: {_blocked(comparison)}"
        case ComparisonLabel.BREAKS | ComparisonLabel.WORSE | ComparisonLabel.BETTER:
            return _success(comparison)
        case ComparisonLabel.LEVEL_DIFFERS:
            return f"succeeds at another level: {_level(comparison)}; {_counts(comparison)}"
        case ComparisonLabel.EQUIVALENT:
            return f"both succeed, at the same level: {_level(comparison)}"
        case ComparisonLabel.INCONCLUSIVE:
            return _inconclusive(comparison)
        case _:
            assert_never(comparison.label)


def _success(comparison: CellComparison) -> str:
    """How one succeeds more than the other, which is sure."""
    if comparison.footing is Footing.BREAKS and comparison.cell.outcome.breaks:
        return f"breaks where the baseline {comparison.baseline.outcome}: {comparison.cell.reason}"
    if comparison.footing is Footing.BREAKS:
        return f"{comparison.cell.outcome} where the baseline breaks: {comparison.baseline.reason}"
    return f"succeeds {'less' if comparison.label is ComparisonLabel.WORSE else 'more'} often: {_rates(comparison)}"


def figure_in_words(difference: SampleDifference, name: str, unit: str = "") -> str:
    """One figure of a cell against the baseline: medians, size of the difference, what may be said of it.

    `unit` stands behind the medians, such as " s".
    """
    ours, theirs = (f"{value:.3g}{unit}" for value in difference.medians)
    return f"median {name} {ours} against {theirs} ({_size(difference)}; {_claim(difference)})"


def _size(difference: SampleDifference) -> str:
    low, high = difference.interval
    if difference.logarithmic:
        return f"{10**difference.estimate:.3g} times, 95 % interval {10**low:.3g} to {10**high:.3g}"
    return f"difference {difference.estimate:+.3g}, 95 % interval {low:+.3g} to {high:+.3g}"


def _claim(difference: SampleDifference) -> str:
    margin = f"a factor of {10**difference.margin:.2f}" if difference.logarithmic else f"{difference.margin:.3g}"
    same = f"the same within {margin}, p = {difference.equivalence_p:.2g}"
    match difference.label:
        case DifferenceLabel.LOWER | DifferenceLabel.HIGHER:
            sure = f"{difference.label}, p = {difference.adjusted_p:.2g}"
            return f"{sure}, though {same}" if difference.equivalence_p <= 0.05 else sure
        case DifferenceLabel.EQUIVALENT:
            return same
        case DifferenceLabel.INCONCLUSIVE:
            return f"no difference found, p = {difference.adjusted_p:.2g}; not shown to be the same within {margin}"
        case _:
            assert_never(difference.label)


def _level(comparison: CellComparison) -> str:
    """The levels of successes, and which way is better where they differ."""
    level = comparison.level
    if level is None:
        return "levels are not compared"
    verdict = next(verdict for _, verdict in comparison.baseline.trials if verdict.final is not None)
    words = figure_in_words(level, f"final {verdict.metric}")
    if level.label in {DifferenceLabel.EQUIVALENT, DifferenceLabel.INCONCLUSIVE}:
        return words
    good = DifferenceLabel.LOWER if verdict.mode == "min" else DifferenceLabel.HIGHER
    return f"{words}, which is {'better' if level.label is good else 'worse'}"


def _counts(comparison: CellComparison) -> str:
    rates = comparison.rates
    if rates is None:
        return "nothing counts"
    (c1, c2), (n1, n2) = rates.successes, rates.counted
    return f"{c1} of {n1} against {c2} of {n2} trials succeed"


def _rates(comparison: CellComparison) -> str:
    rates = comparison.rates
    if rates is None or rates.interval is None:
        return _counts(comparison)
    low, high = rates.interval
    points = f"{100 * rates.difference:+.0f} points, 95 % interval {100 * low:+.0f} to {100 * high:+.0f}"
    return f"{_counts(comparison)} ({points}; {_p(comparison, rates)})"


def _p(comparison: CellComparison, rates: RateDifference) -> str:
    if comparison.tests == 1:
        return f"p = {rates.p:.2g}"
    return f"p = {rates.p:.2g}, {rates.adjusted_p:.2g} among {comparison.tests} comparisons"


def _blocked(comparison: CellComparison) -> str:
    sides = {"the cell": comparison.cell, "the baseline": comparison.baseline}
    return ", ".join(f"{name} is {side.outcome}" for name, side in sides.items() if side.kind is OutcomeKind.UNTESTABLE)


def _inconclusive(comparison: CellComparison) -> str:
    match comparison.footing:
        case Footing.APART:
            found = f"look different, which is not sure: {_rates(comparison)}"
        case Footing.UNSURE:
            found = f"no difference found: {_rates(comparison)}"
        case Footing.SUCCEED:
            found = f"both succeed ({_counts(comparison)}); {_level(comparison)}"
        case Footing.FAIL:
            found = f"both fail ({_counts(comparison)}): no difference found"
        case Footing.BLOCKED | Footing.BREAKS:
            found = _blocked(comparison)
        case _:
            assert_never(comparison.footing)
    return "; ".join((found, *_missing(comparison)))


def _missing(comparison: CellComparison) -> list[str]:
    """The trials that it would take to say more."""
    copies = [
        name for name, side in (("the cell", comparison.cell), ("the baseline", comparison.baseline)) if side.copies
    ]
    if copies:
        return [f"the trials of {' and of '.join(copies)} are copies of one, whatever the seed: no test can tell more"]
    ours, theirs = comparison.seeds_needed
    if ours or theirs:
        return [f"still needed: {counted(ours, 'more seed')} of the cell, {theirs} of the baseline"]
    seeds = comparison.level.seeds_for_equivalence if comparison.level is not None else None
    if comparison.footing is Footing.SUCCEED and seeds is not None:
        return [f"to show them the same takes about {seeds} seeds each"]
    return []
