"""What the cells of an ordered axis say of each other: neighbours are alike but for a few flips.

Given how likely each cell's trials are of a good and of a bad cell, `Chain` gives the probability that a cell is good,
and that a whole account of the axis is right, by the forward-backward algorithm (Rabiner 1989, III).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Weights = Sequence[tuple[float, float]]
    """For each cell, how likely its trials are of a good cell and of a bad one."""

LEVELS = 4
"""Flips are counted 0, 1, 2, and 3 or more."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The probabilities along an axis.

    Before any trial none, one and two flips are equally likely, wherever they are; every further flip is less likely
    by the factor `further`.
    """

    weights: Weights
    further: float

    def good(self) -> list[float]:
        """The probability that each cell is good."""
        forward, _ = self._all
        backward = self._backward()
        return [_share_of_good(before, after) for before, after in zip(forward, backward, strict=True)]

    def probability(self, claim: Mapping[int, bool]) -> float:
        """The probability that the cells at these places are good (True) or bad (False); nothing of the others."""
        claimed = [
            weight if (good := claim.get(place)) is None else (weight[0] * good, weight[1] * (not good))
            for place, weight in enumerate(self.weights)
        ]
        return math.exp(self._forward(claimed)[1] - self._all[1])

    @cached_property
    def _all(self) -> tuple[list[list[float]], float]:
        return self._forward(self.weights)

    @property
    def _ratios(self) -> tuple[float, ...]:
        """How much less likely one more flip makes a path, by how many it has: C(n, k) paths share a number's prior."""
        n = len(self.weights) - 1
        third = self.further * 3 / max(n - 2, 1)
        return (1 / max(n, 1), 2 / max(n - 1, 1), third, third)

    def _forward(self, weights: Weights) -> tuple[list[list[float]], float]:
        """For each cell and (good or bad, number of flips) the scaled probability of all up to it; the log of all."""
        ratios, total = self._ratios, 0.0
        now = [0.0] * (2 * LEVELS)
        now[0] = now[LEVELS] = 0.5
        found = []
        for place, (if_good, if_bad) in enumerate(weights):
            if place:
                now = _moved(now, ratios)
            now = [share * (if_good if index < LEVELS else if_bad) for index, share in enumerate(now)]
            scale = sum(now)
            if not scale:
                return [], -math.inf
            total += math.log(scale)
            now = [share / scale for share in now]
            found.append(now)
        return found, total

    def _backward(self) -> list[list[float]]:
        """For each cell and (good or bad, number of flips) the scaled probability of all after it."""
        ratios, now = self._ratios, [1.0] * (2 * LEVELS)
        found = [now]
        for if_good, if_bad in reversed(self.weights[1:]):
            now = [share * (if_good if index < LEVELS else if_bad) for index, share in enumerate(now)]
            now = _moved_back(now, ratios)
            scale = sum(now)
            now = [share / scale for share in now]
            found.append(now)
        return found[::-1]


def _moved(now: list[float], ratios: tuple[float, ...]) -> list[float]:
    """One step on: stay, or flip to the other side and one level up."""
    moved = list(now)
    for level, ratio in enumerate(ratios):
        above = min(level + 1, LEVELS - 1)
        moved[above] += now[LEVELS + level] * ratio
        moved[LEVELS + above] += now[level] * ratio
    return moved


def _moved_back(now: list[float], ratios: tuple[float, ...]) -> list[float]:
    moved = list(now)
    for level, ratio in enumerate(ratios):
        above = min(level + 1, LEVELS - 1)
        moved[level] += now[LEVELS + above] * ratio
        moved[LEVELS + level] += now[above] * ratio
    return moved


def _share_of_good(before: list[float], after: list[float]) -> float:
    both = [one * other for one, other in zip(before, after, strict=True)]
    return sum(both[:LEVELS]) / sum(both)
