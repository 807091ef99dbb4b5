"""A figure of two cells compared pair by pair: of trials that ran in turn on the same processors (`--pair`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from runner.outcomes.significance import SAME_DECADES, SampleDifference, median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

ENOUGH_PAIRS = 6
"""Of fewer the signed-rank test can never be sure: of 5 its least p is 0.06."""

_MOST_COUNTED = 50


@dataclass(frozen=True, kw_only=True)
class PairedDifference(SampleDifference):
    """The difference within pairs: `cell` and `baseline` are pair by pair.

    Only the ratios count, so that machines, and what else they did meanwhile, fall out.
    """

    @property
    def ratios(self) -> tuple[float, ...]:
        """In powers of ten, a ratio a pair."""
        return tuple(math.log10(one / other) for one, other in zip(self.cell, self.baseline, strict=True))

    @property
    def estimate(self) -> float:
        """The median ratio, in powers of ten."""
        return median(self.ratios)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the median ratio."""
        return median_interval(self.ratios, (0.0,))

    @property
    def seeds_for_equivalence(self) -> int | None:
        """None: pairs are asked for by hand."""
        return None


def difference_of_pairs(pairs: Sequence[tuple[float, float]]) -> PairedDifference:
    """Compare two samples pair by pair, each of a cell and the baseline, all above 0.

    By Wilcoxon's signed-rank test, exact up to 50 pairs; the same within a margin by two of them, one-sided.
    """
    ratios = [math.log10(one / other) for one, other in pairs]
    p = min(1.0, 2 * min(_above(ratios), _above([-ratio for ratio in ratios])))
    return PairedDifference(
        cell=tuple(one for one, _ in pairs),
        baseline=tuple(other for _, other in pairs),
        logarithmic=True,
        margin=SAME_DECADES,
        p=p,
        adjusted_p=p,
        superiority=sum((ratio > 0) + (ratio == 0) / 2 for ratio in ratios) / len(ratios),
        equivalence_p=max(_above([SAME_DECADES + sign * ratio for ratio in ratios]) for sign in (1, -1)),
    )


def _above(differences: Sequence[float]) -> float:
    """The p of the median being above 0: the share of all ways to sign the ranks whose sum is as large as this one.

    Differences of 0 are left out. Of many the sum is as good as normal, and counting takes their number to the third.
    """
    sizes = [abs(one) for one in differences if one]
    ranks = [sum(other < one for other in sizes) * 2 + sizes.count(one) + 1 for one in sizes]  # twice the mean rank
    reached = sum(rank for rank, one in zip(ranks, filter(None, differences), strict=True) if one > 0)
    if len(ranks) > _MOST_COUNTED:
        spread = math.sqrt(sum(rank * rank for rank in ranks)) / 2
        return 1 - NormalDist(sum(ranks) / 2, spread).cdf(reached - 1)
    ways = [1, *[0] * sum(ranks)]  # ways[s]: how many choices of positive ranks add up to s
    for rank in ranks:
        ways = [ways[s] + (ways[s - rank] if s >= rank else 0) for s in range(len(ways))]
    return float(sum(ways[reached:]) / 2 ** len(ranks))
