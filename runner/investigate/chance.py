"""How likely counts of trials are, were the cell good or bad: what a search believes of one cell by its own trials.

The model: a good cell succeeds nearly always, or (a flaky one) at some rate above one half; a bad one is its mirror.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.investigate.evidence import Evidence

FLAKY = 0.15
"""The share of cells expected to be flaky; their rate is anywhere between one half and one."""
SLIP = 0.01
"""How often a trial of a cell that is not flaky goes against it all the same."""
DOUBT = 1e-5
"""The doubt that is left where chance plays no part: a place then stands also where it takes two more flips."""


@cache
def likelihood(agreeing: int, opposing: int) -> float:
    """The probability of one order of so many trials that go with their cell and against it."""
    n = agreeing + opposing
    steady = (1 - SLIP) ** agreeing * SLIP**opposing
    # the integral of r^a (1-r)^o over rates r from 1/2 to 1, by the binomial sum of the incomplete beta function
    tail = sum(math.comb(n + 1, k) for k in range(agreeing + 1)) / 2.0 ** (n + 1)
    flaky = 2 * tail / ((n + 1) * math.comb(n, agreeing))
    return (1 - FLAKY) * steady + FLAKY * flaky


def likelihoods(evidence: Evidence | None, fault: str | None) -> tuple[float, float]:
    """How likely the evidence is of a good cell, and of a bad one; equal where it tells nothing."""
    if evidence is None or not evidence.testable(fault):
        return 1.0, 1.0
    good, bad = evidence.good, evidence.bad(fault)
    if evidence.certain and bool(good) is not bool(bad):
        return (1 - DOUBT, DOUBT) if good else (DOUBT, 1 - DOUBT)
    return likelihood(good, bad), likelihood(bad, good)


def belief(evidence: Evidence | None, fault: str | None) -> float:
    """The probability that the cell is good, by its own trials alone, both being equally likely before."""
    if_good, if_bad = likelihoods(evidence, fault)
    return if_good / (if_good + if_bad)


def agreeing_trials(error: float) -> int:
    """How many trials that all agree leave a doubt of at most `error`: 2 / 3 / 4 / 5 for 1.5 / 0.6 / 0.25 / 0.11 %."""
    n = 2
    while likelihood(0, n) / (likelihood(n, 0) + likelihood(0, n)) > error:
        n += 1
    return n
