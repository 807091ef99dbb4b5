"""The evidence of one combination's trials: counts that a search can weigh, and how sure they make it of good or bad.

The model: a good cell succeeds nearly always, or (a flaky one) at some rate above one half; a bad one is its mirror.
`evidence_of` makes the counts from records with their verdicts; success and the fault of each failure are all that
searches see.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from runner.outcomes.account import Counts, Decision
from runner.outcomes.observation import fault
from runner.outcomes.tally import seeds_wanted, tally
from runner.outcomes.verdict import BY_CHANCE, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.model import Seeds
    from runner.outcomes.observation import AnyTrial


FLAKY = 0.15
"""The share of cells expected to be flaky; their rate is anywhere between one half and one."""
SLIP = 0.01
"""The rate at which a trial of a cell that is not flaky goes against it all the same."""
DOUBT = 1e-5
"""The doubt that is left where chance plays no part: a place then stands also where it takes two more flips."""
FIRST = 2
"""Trials of a first question: where they are copies, or crash alike, no more are needed."""
LEANING = 0.15
"""The doubt at which a combination that can get no more trials still counts as what it leans to."""
SHAPELESS = "does not converge"
"""The fault of a trial that ended in order with a loss that is neither good nor NaN; its shape differs by seed."""

_GONE_TYPES = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError"})
_GONE = re.compile(r".*? has no attribute '\w+'|cannot import name '\w+'|No module named '[\w.]+'")
_NO_LIMIT = 1_000_000
"""No limit: the search says how many seeds a combination gets."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The trials of one combination, all that are known; every count is of distinct observations."""

    good: int = 0
    """The number that succeeded."""
    faults: tuple[tuple[str, int], ...] = ()
    """(fault, how many failed by it), the most frequent first. Trials with the same fault failed for the same
    reason."""
    trials: int = 0
    """The number of trials that ran, whether they count or not."""
    certain: bool = False
    """True where chance plays no part: the trials are copies of each other, or broke alike before they trained."""
    exhausted: bool = False
    """True where further trials would tell, or be, nothing more."""
    blocked: str = ""
    """Why the script can't be put to the test here at all: no lock, no image; empty where it can."""
    contents: tuple[tuple[str, str], ...] = ()
    """(component, version) of all that the environment really holds, CPython as `python`; empty where not known."""

    @property
    def fault(self) -> str | None:
        """The most frequent fault."""
        return self.faults[0][0] if self.faults else None

    def bad(self, fault: str | None) -> int:
        """The number that failed by this fault; None: by any."""
        return sum(number for name, number in self.faults if fault is None or name == fault)

    def other(self, fault: str | None) -> int:
        """The number that failed by another fault."""
        return self.bad(None) - self.bad(fault)

    def testable(self, fault: str | None) -> bool:
        """True where the trials can tell good from bad: not where most fail by another fault, or nothing counts."""
        if self.blocked or (self.exhausted and not self.good + self.bad(fault)):
            return False
        return self.other(fault) < 2 or self.other(fault) <= self.good + self.bad(fault)

    def closed(self) -> Evidence:
        """The same, with no more to be had."""
        return replace(self, exhausted=True)

    def counts(self, fault: str | None) -> Counts:
        """The counts of an account, by what is called bad."""
        return Counts(
            good=self.good,
            bad=self.bad(fault),
            other=self.other(fault),
            trials=self.trials,
            certain=self.certain,
            reason=self.blocked,
        )


def evidence_of(trials: Sequence[AnyTrial], seeds: Seeds, *, contents: tuple[tuple[str, str], ...] = ()) -> Evidence:
    """The evidence in a cell's trials with their verdicts; `contents` is what the lock holds.

    Unlike an outcome it keeps apart why trials failed: where the bad cell hangs, or crashes before it trains, that is
    the fault to look for. Two that broke alike in or after training decide a cell, and still leave a search in doubt.
    """
    counts = tally(trials)
    faults = Counter(fault_of(trial) for trial in counts.failures)
    endless = seeds if seeds.fixed else replace(seeds, lead=_NO_LIMIT, cap=_NO_LIMIT)
    broke = counts.breaking(endless)
    by_chance = bool(broke) and broke[0][1].label in BY_CHANCE
    enough = counts.counted_trials >= endless.cap if by_chance else seeds_wanted(trials, endless) == 0
    return Evidence(
        good=len(counts.successes),
        faults=tuple(sorted(faults.items(), key=lambda item: (-item[1], item[0]))),
        trials=sum(record.ran for record, _ in counts.trials),
        certain=counts.seed_insensitive or bool(counts.blocking(seeds)) or (bool(broke) and not by_chance),
        exhausted=bool(trials) and enough,
        blocked=counts.blocked[0][1].reason if counts.blocked and not counts.counted_trials else "",
        contents=contents,
    )


def fault_of(trial: AnyTrial) -> str:
    """Why a trial failed, such that trials that failed for the same reason have the same text.

    The fingerprint where there was an exception or an abnormal end; what it takes too much of; else `nan`, or `does
    not converge` for all other shapes of a loss, which differ from seed to seed. Where something is not there the
    advice that follows is left out: releases word it differently.
    """
    verdict = trial[1]
    if verdict.exceeds is not None:
        return verdict.exceeds.exceeded
    if (found := fault(trial)) is not None:
        gone = _GONE.match(found.message) if found.type in _GONE_TYPES else None
        return str(replace(found, message=gone.group()) if gone else found)
    return str(verdict.label) if verdict.label is Label.NAN else SHAPELESS


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
    """The likelihood of the evidence in a good cell, and in a bad one; equal where it tells nothing."""
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


def decision_of(evidence: Evidence | None, fault: str | None, *, error: float, cap: int) -> Decision:
    """The decision about a combination now.

    Untold while its trials leave more doubt than `error` and more may be had.
    """
    if evidence is None:
        return Decision.UNDECIDED
    if not evidence.testable(fault):
        return Decision.UNTESTABLE
    good = belief(evidence, fault)
    doubt = min(good, 1 - good)
    leaning = Decision.GOOD if good > 0.5 else Decision.BAD
    if doubt <= error:
        return leaning
    if not evidence.exhausted and evidence.trials < cap:
        return Decision.UNDECIDED
    return leaning if doubt <= LEANING else Decision.AMBIGUOUS


def trials_wanted(evidence: Evidence | None, fault: str | None, *, error: float, cap: int) -> int:
    """The fewest trials that can settle a combination, were they all to agree with what it leans to."""
    if evidence is None or not evidence.trials:
        return min(FIRST, cap)
    return min(agreeing(evidence.good, evidence.bad(fault), error), cap - evidence.trials)


def agreeing(good: int, bad: int, error: float) -> int:
    """The number of further trials of the leading side that leave a doubt of at most `error`; at least one."""
    most, least = max(good, bad), min(good, bad)
    more = 1
    while likelihood(least, most + more) > error * (likelihood(most + more, least) + likelihood(least, most + more)):
        more += 1
    return more
