"""The comparison of a cell with the baseline as a value: the tests of its rates and figures, its label, its words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.outcomes.footing import ComparisonLabel, Footing
from runner.outcomes.samples import DifferenceLabel
from runner.outcomes.significance import LEVEL, rate_interval
from runner.outcomes.wording import in_words

if TYPE_CHECKING:
    from runner.outcomes.cell import Outcome
    from runner.outcomes.samples import Difference


@dataclass(frozen=True, kw_only=True)
class RateDifference:
    """How often two cells succeed; pairs are cell, baseline."""

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
        """Whether the difference stands after the correction."""
        return self.adjusted_p <= LEVEL


@dataclass(frozen=True, kw_only=True)
class CellComparison:
    """A cell against the baseline. Made by `compare`, `comparisons` and `all_pairs`."""

    cell: Outcome
    baseline: Outcome
    footing: Footing
    rates: RateDifference | None
    """None where a side is blocked."""
    level: Difference | None
    """The final values of successes; None with fewer than 4 on a side, or where they can't be compared."""
    epoch_s: Difference | None
    """Seconds an epoch of trials that ran to their end; None with fewer than 4 on a side. No part of the label."""
    peak_memory_bytes: Difference | None
    tests: int
    """How many comparisons of rates it was corrected for."""
    seeds_needed: tuple[int, int]
    """How many more counted trials the cell and the baseline need, so that what they look like can be sure."""
    exploratory: bool
    """Whether it was corrected by Benjamini and Hochberg only: a hint, no finding."""

    @property
    def label(self) -> ComparisonLabel:
        """What may be said; what comes first wins."""
        if self.rates is None:
            return ComparisonLabel.BLOCKED
        if self.rates.sure:
            return ComparisonLabel.WORSE if self.rates.difference < 0 else ComparisonLabel.BETTER
        level = None if self.level is None else self.level.label
        if level in {DifferenceLabel.LOWER, DifferenceLabel.HIGHER}:
            return ComparisonLabel.LEVEL_DIFFERS
        alike = self.footing is Footing.SUCCEED and self.cell.label == self.baseline.label
        if alike and level is DifferenceLabel.EQUIVALENT:
            return ComparisonLabel.EQUIVALENT
        return ComparisonLabel.INCONCLUSIVE

    @cached_property
    def reason(self) -> str:
        """The label in words that say no more than the numbers do."""
        return in_words(self)
