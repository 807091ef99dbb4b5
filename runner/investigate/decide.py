"""What the trials of one combination come to in a word, and how many more would settle it, under a given error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.investigate.chance import belief, likelihood
from runner.investigate.told import Told

if TYPE_CHECKING:
    from runner.investigate.evidence import Evidence

FIRST = 2
"""Trials of a first question: where they are copies, or crash alike, no more are needed."""
LEANING = 0.15
"""The doubt at which a combination that can get no more trials still counts as what it leans to."""


def told_of(evidence: Evidence | None, fault: str | None, *, error: float, cap: int) -> Told:
    """What is said of a combination now; untold while its trials leave more doubt than `error` and more may be had."""
    if evidence is None:
        return Told.UNTOLD
    if not evidence.testable(fault):
        return Told.UNTESTABLE
    good = belief(evidence, fault)
    doubt = min(good, 1 - good)
    leaning = Told.GOOD if good > 0.5 else Told.BAD
    if doubt <= error:
        return leaning
    if not evidence.exhausted and evidence.trials < cap:
        return Told.UNTOLD
    return leaning if doubt <= LEANING else Told.AMBIGUOUS


def trials_wanted(evidence: Evidence | None, fault: str | None, *, error: float, cap: int) -> int:
    """The fewest trials that can settle a combination, were they all to agree with what it leans to."""
    if evidence is None or not evidence.trials:
        return min(FIRST, cap)
    return min(agreeing(evidence.good, evidence.bad(fault), error), cap - evidence.trials)


def agreeing(good: int, bad: int, error: float) -> int:
    """How many more trials of the leading side leave a doubt of at most `error`; at least one."""
    most, least = max(good, bad), min(good, bad)
    more = 1
    while likelihood(least, most + more) > error * (likelihood(most + more, least) + likelihood(least, most + more)):
        more += 1
    return more
