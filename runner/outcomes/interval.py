"""The Clopper-Pearson interval of a proportion, by bisection on exact binomial tails; SciPy loads too slowly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BISECTIONS = 60


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
