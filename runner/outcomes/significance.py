"""Tests and intervals for rates and samples, as docs/verdicts.md names them, and one figure of two cells compared.

The one module that loads NumPy and SciPy, each where it is called: `scipy.stats` alone takes over a second.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import accumulate
from statistics import fmean, median, variance
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


LEVEL = 0.05
"""The error that all tests are allowed, over the whole matrix."""
_RESAMPLES = 9999
_CONFIDENCE = 0.95
_SEED = 20260131
"""Of the bootstrap: the same samples give the same interval."""


@cache
def fisher(successes: tuple[int, int], counted: tuple[int, int]) -> float:
    """Fisher's exact test, two-sided: the p of two rates being the same; 1 where a side has nothing."""
    from scipy.stats import fisher_exact  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    failures = [n - c for c, n in zip(successes, counted, strict=True)]
    return float(fisher_exact([list(successes), failures])[1])


def rate_interval(successes: tuple[int, int], counted: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two rates, first minus second; both sides need an observation.

    Newcombe's construction (1998, method 10) around Clopper and Pearson's limits. Around Wilson's, as he and
    statsmodels have it, it covers only 87 % under sequential seeds, around these 95 % (reports/verdicts/seeds.md).
    """
    (c1, c2), (n1, n2) = successes, counted
    (low1, high1), (low2, high2) = clopper_pearson(c1, n1), clopper_pearson(c2, n2)
    p1, p2 = c1 / n1, c2 / n2
    return p1 - p2 - math.hypot(p1 - low1, high2 - p2), p1 - p2 + math.hypot(high1 - p1, p2 - low2)


def mann_whitney(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The exact two-sided p, and A = U / (n1 * n2): how often a value of x is above one of y, ties counted half.

    SciPy's exact test knows no ties, and its approximation goes below the smallest p there can be: 0.013 for four
    equal values against four equal others, where only 2 of 70 orders are as extreme (0.029). With ties the orders are
    counted here.
    """
    above = sum((a > b) + (a == b) / 2 for a in x for b in y)
    superiority = above / (len(x) * len(y))
    if len({*x, *y}) < len(x) + len(y):
        return _permutation_p(x, y), superiority
    return _exact_p(int(above), len(x), len(y)), superiority


@cache
def _exact_p(above: int, n: int, others: int) -> float:
    """The p of n values without ties that are above one of the others `above` times: it depends on nothing else."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - as above

    full, rest = divmod(above, others)
    places = [others] * full + [rest] * (full < n) + [0] * (n - full - 1)
    values = [place - 0.5 + rank / (2 * n) for rank, place in enumerate(places)]
    return float(mannwhitneyu(values, range(others), method="exact").pvalue)


def _permutation_p(x: Sequence[float], y: Sequence[float]) -> float:
    """The share of all ways to choose x from the pooled values whose rank sum is as far from its mean."""
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import rankdata  # noqa: PLC0415 - as above

    ranks = [int(twice) for twice in np.asarray(2 * rankdata([*x, *y]), dtype=int)]
    total, chosen, n = sum(ranks), sum(ranks[: len(x)]), len(ranks)
    ways = np.zeros((len(x) + 1, total + 1))  # ways[k, s]: how many choices of k ranks add up to s
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank].copy()
    distance = np.abs(n * np.arange(total + 1) - len(x) * total)
    return float(ways[-1, distance >= abs(n * chosen - len(x) * total)].sum() / math.comb(n, len(x)))


def median_interval(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of median(x) - median(y).

    Neither the order of values nor which sample comes first changes it (but for its sign). The same as
    `scipy.stats.bootstrap` gives to the last bit; that draws anew for each pair of samples, which takes 7 ms.
    """
    import numpy as np  # noqa: PLC0415 - as above

    first, second = sorted((sorted(x), sorted(y)))
    medians = (
        (values[lower] + values[upper]) / 2
        for values, (lower, upper) in zip(
            (np.asarray(first), np.asarray(second)), _resampled_middles(len(first), len(second)), strict=True
        )
    )
    differences = np.sort(next(medians) - next(medians))
    tail = (1 - _CONFIDENCE) / 2
    low, high = (_quantile(differences, share) for share in (tail, 1 - tail))
    return (low, high) if first == sorted(x) else (-high, -low)


@lru_cache(maxsize=64)
def _resampled_middles(*sizes: int) -> list[tuple[Any, Any]]:
    """For samples of these sizes, in order, where the two middle values of each resample are in the sorted sample."""
    import numpy as np  # noqa: PLC0415 - as above

    rng = np.random.default_rng(_SEED)
    drawn = [np.sort(rng.integers(0, size, (_RESAMPLES, size)), axis=-1) for size in sizes]
    return [(one[:, (size - 1) // 2].copy(), one[:, size // 2].copy()) for one, size in zip(drawn, sizes, strict=True)]


def _quantile(ordered: Any, share: float) -> float:
    """A quantile of ordered values, between two of them by linear interpolation."""
    place = share * len(ordered) + (1 - share)  # counted from 1
    below, part = int(place) - 1, place % 1
    return float((1 - part) * ordered[below] + part * ordered[below + 1])


def equivalence(x: Sequence[float], y: Sequence[float], margin: float) -> float:
    """The p of two one-sided Welch tests (TOST): small where the means differ by less than `margin`."""
    import numpy as np  # noqa: PLC0415 - as above
    from scipy.stats import ttest_ind_from_stats  # noqa: PLC0415 - as above

    if margin <= 0:
        return 1.0
    with np.errstate(all="ignore"):  # spreads of huge or tiny values
        if not np.var(x) and not np.var(y):
            return 0.0 if abs(x[0] - y[0]) <= margin else 1.0
        ours, theirs = ((np.mean(one), np.std(one, ddof=1), len(one)) for one in (x, y))
        if not (math.isfinite(ours[1]) and math.isfinite(theirs[1])):
            return 1.0
        above, below = (
            ttest_ind_from_stats(ours[0] + shift, *ours[1:], *theirs, equal_var=False, alternative=alternative).pvalue
            for shift, alternative in ((margin, "greater"), (-margin, "less"))
        )
        p = float(max(above, below))
    return p if math.isfinite(p) else 1.0


def seeds_for_equivalence(x: Sequence[float], y: Sequence[float], margin: float) -> int | None:
    """About how many values a side `equivalence` needs to succeed 4 times in 5, were this difference the true one.

    By the normal approximation, and one more for the t distribution's tails. None where the means differ too much.
    """
    room = margin - abs(fmean(x) - fmean(y))
    if room <= 0:
        return None
    return max(4, math.ceil((1.645 + 1.282) ** 2 * (variance(x) + variance(y)) / room**2) + 1)


def holm(ps: Sequence[float], tests: int = 0) -> list[float]:
    """Holm's adjusted p values (1979): the chance of any false difference among them stays below the level.

    The smallest p is multiplied by their number, the next by one less, and none may fall below one before it. Of more
    `tests` than these the others have a p of 1.
    statsmodels' `multipletests` gives the same, but collects garbage at every call, which takes up to 0.3 s.
    """
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    number = max(tests, len(ps))
    multiplied = (min(1.0, ps[index] * (number - rank)) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(multiplied, max), strict=True))
    return [adjusted[index] for index in range(len(ps))]


def seeds_to_tell_apart(tests: int) -> int:
    """The smallest n at which n of n against 0 of n, or two samples without overlap, can pass Holm among `tests`.

    Both have p = 2 / C(2n, n): 4 / 5 / 6 / 7 seeds for 1 / 6 / 23 / 85 tests.
    """
    n = 4
    while max(tests, 1) * 2 / math.comb(2 * n, n) > LEVEL:
        n += 1
    return n


ENOUGH_VALUES = 4
"""Fewer on a side are not compared: no test could tell them apart."""
SAME_DECADES = 0.1
"""Positive values are the same within this many powers of ten, a factor of 1.26."""
SAME_SHARE = 0.05
"""Other values are the same within this share of the baseline's S."""
LARGE_EFFECT = 0.474
"""From which abs(2A - 1) on an effect is large (Vargha and Delaney 2000)."""


class DifferenceLabel(enum.StrEnum):
    """The label of two samples."""

    LOWER = "lower"
    HIGHER = "higher"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class SampleDifference:
    """A figure of a cell against the same figure of the baseline; at least 4 finite values a side."""

    cell: tuple[float, ...]
    baseline: tuple[float, ...]
    logarithmic: bool
    """True where it was compared in powers of ten: where all values are positive, unless the metric is maximised."""
    margin: float
    """The margin within which values count as the same: in powers of ten, or in the figure's own unit."""
    p: float
    """Of Mann and Whitney's exact test."""
    adjusted_p: float
    """The same, corrected for all comparisons of this figure."""
    superiority: float
    """A: how often a value of the cell is above one of the baseline, ties counted half."""
    equivalence_p: float
    """Of the two one-sided tests that the means differ by less than `margin`."""

    @property
    def medians(self) -> tuple[float, float]:
        """Of the cell and of the baseline."""
        return median(self.cell), median(self.baseline)

    @property
    def large(self) -> bool:
        """True where the effect is large, whatever its p."""
        return abs(2 * self.superiority - 1) >= LARGE_EFFECT

    @property
    def label(self) -> DifferenceLabel:
        """The label; a difference that is sure comes before an equivalence."""
        if self.adjusted_p <= LEVEL and self.large:
            return DifferenceLabel.HIGHER if self.superiority > 0.5 else DifferenceLabel.LOWER
        return DifferenceLabel.EQUIVALENT if self.equivalence_p <= LEVEL else DifferenceLabel.INCONCLUSIVE

    @property
    def estimate(self) -> float:
        """The difference of medians, cell minus baseline: powers of ten where it is logarithmic, else own units."""
        ours, theirs = self._compared
        return median(ours) - median(theirs)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of `estimate`. It covers 94 % at 4 against 4."""
        return median_interval(*self._compared)

    @property
    def seeds_for_equivalence(self) -> int | None:
        """About how many seeds a side it takes to show the two the same; None where they look different."""
        return seeds_for_equivalence(*self._compared, self.margin)

    @property
    def _compared(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return _scaled(self.cell, self.logarithmic), _scaled(self.baseline, self.logarithmic)


def difference_of(
    cell: Iterable[float | None],
    baseline: Iterable[float | None],
    *,
    maximised: bool = False,
    scale: float | None = None,
) -> SampleDifference | None:
    """Compare two samples; None where a side has fewer than 4 values that are finite numbers.

    `scale` is the baseline's S, the measure of samples that are not compared in powers of ten; without it those are
    never equivalent. A maximised metric is compared in its own unit even where it is positive: accuracies of 0.80 and
    of 0.99 are within a factor of 1.26 and not the same.
    """
    ours, theirs = finite(cell), finite(baseline)
    if min(len(ours), len(theirs)) < ENOUGH_VALUES:
        return None
    logarithmic = not maximised and min(*ours, *theirs) > 0
    margin = SAME_DECADES if logarithmic else SAME_SHARE * (scale or 0.0)
    p, superiority = mann_whitney(ours, theirs)
    return SampleDifference(
        cell=ours,
        baseline=theirs,
        logarithmic=logarithmic,
        margin=margin,
        p=p,
        adjusted_p=p,
        superiority=superiority,
        equivalence_p=equivalence(_scaled(ours, logarithmic), _scaled(theirs, logarithmic), margin),
    )


def finite(values: Iterable[float | None]) -> tuple[float, ...]:
    """The finite numbers among them, sorted: so that nothing depends on the order of the trials."""
    return tuple(sorted(value for value in values if value is not None and math.isfinite(value)))


def _scaled(values: tuple[float, ...], logarithmic: bool) -> tuple[float, ...]:
    return tuple(math.log10(value) for value in values) if logarithmic else values


_BISECTIONS = 60


@cache
def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934): each tail has at most half of the error."""
    tail = (1 - confidence) / 2
    low = _root(lambda p: _at_least(successes, n, p) - tail) if successes > 0 else 0.0
    high = _root(lambda p: tail - (1 - _at_least(successes + 1, n, p))) if successes < n else 1.0
    return low, high


def _at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial X, for 0 < p < 1; by logarithms, because C(n, i) outgrows floats from n = 1030 on."""
    ways = math.lgamma(n + 1)
    hit, miss = math.log(p), math.log1p(-p)
    return math.fsum(
        math.exp(ways - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * hit + (n - i) * miss) for i in range(k, n + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
