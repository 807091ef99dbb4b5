"""Where along an ordered axis does the outcome flip? Asks for trials, place by place, until every flip is told.

The release whose state is least known is asked next: between ends that differ that halves the axis, between ends that
are alike it samples evenly, and a doubtful cell gets more seeds. All is a function of the answers, in any order.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.investigate.bisected import Bisection, Flip, Place
from runner.investigate.chain import Chain
from runner.investigate.chance import likelihoods
from runner.investigate.evidence import Evidence
from runner.investigate.question import BudgetSpentError, Question
from runner.investigate.spending import fresh, trials_of, within
from runner.investigate.told import Ending, Told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.question import Answers, Combination, Questions, Search

AT_ONCE = 2
"""Trials of one question: a place is never judged by a single one."""
_NOTHING_TO_LEARN = 1e-4
"""Bits: a place that is this sure is not worth another trial."""


@dataclass(frozen=True, kw_only=True)
class BisectRules:
    """How sure a bisection must be, and what it may spend."""

    confidence: float = 0.97
    """The probability that the whole account is right at which the search ends. It bounds the error of all steps
    together: the more steps an answer rests on, the more seeds each of them gets."""
    lead: int = 4
    """Both sides of a flip get trials until successes or failures lead by this, as a cell of a matrix does."""
    cap: int = 40
    """No place gets more trials than this. It is more than a cell of a matrix gets, for a flip may stand or fall with
    it; only one whose trials disagree, beside a flip, comes near it."""
    further: float = 0.02
    """How likely a third flip is, and every one after it, against one fewer. At 1 axes whose ends differ are sampled
    as closely as those whose ends are alike; that costs several times the trials."""
    fault: str | None = None
    """What counts as bad. None: the fault of the bad end; where no end is bad, of most failures that were seen."""
    budget: int | None = None
    """How many trials may be run; None: as many as it takes."""


def bisect(axis: Sequence[Combination], rules: BisectRules, known: Answers | None = None) -> Search[Bisection]:
    """Every flip along `axis`, which has at least one place; `known` is used before anything is asked.

    An answer may have fewer trials than were asked for; one without any new trial ends the questions about its place.
    """
    answers = {place: known[place] for place in axis if known and place in known}
    spent = 0
    asked: set[Combination] = set()
    while True:
        view = View.of(axis, answers, rules)
        wanted = view.questions()
        questions = within(wanted, rules.budget, spent)
        if not questions:
            return view.result(budget_ended=bool(wanted), trials=spent, asked=len(asked))
        try:
            given = fresh(questions, answers, (yield questions))
        except BudgetSpentError:
            return view.result(budget_ended=True, trials=spent, asked=len(asked))
        asked.update(given)
        spent += trials_of(given) - trials_of({place: answers[place] for place in given if place in answers})
        answers.update(given)


@dataclass(frozen=True, kw_only=True)
class View:
    """What the answers so far say of the axis; made anew after every answer."""

    axis: Sequence[Combination]
    evidence: tuple[Evidence | None, ...]
    rules: BisectRules
    fault: str | None
    chain: Chain
    good: tuple[float, ...]
    """The probability that each place is good."""

    @classmethod
    def of(cls, axis: Sequence[Combination], answers: Answers, rules: BisectRules) -> View:
        """The view that these answers give."""
        evidence = tuple(answers.get(place) for place in axis)
        fault = rules.fault if rules.fault is not None else fault_sought(evidence)
        chain = Chain(weights=[likelihoods(one, fault) for one in evidence], further=rules.further)
        return cls(axis=axis, evidence=evidence, rules=rules, fault=fault, chain=chain, good=tuple(chain.good()))

    def questions(self) -> Questions:
        """What to ask next: the ends; then the least known place; then more seeds on both sides of every flip."""
        ends = [place for place in dict.fromkeys((0, len(self.axis) - 1)) if self.evidence[place] is None]
        if ends:
            return tuple(self._question(place, AT_ONCE) for place in ends)
        if self.chain.probability(self.claim()) >= self.rules.confidence:
            return self._confirmation()
        place = max(range(len(self.axis)), key=self._worth)
        return (self._question(place, AT_ONCE),) if self._worth(place) > _NOTHING_TO_LEARN else self._confirmation()

    def claim(self, *, all_open: bool = True) -> dict[int, bool]:
        """What is said of each place, good or bad, but for those that can't be told.

        A place that can still be tried is left out only where `all_open` is false and it is too uncertain.
        """
        return {
            place: good > 0.5
            for place, good in enumerate(self.good)
            if self._testable(place)
            and (max(good, 1 - good) >= self.rules.confidence or (all_open and self._open(place)))
        }

    def result(self, *, budget_ended: bool, trials: int, asked: int) -> Bisection:
        """The account, with what is known now."""
        claim = self.claim(all_open=False)
        probability = self.chain.probability(claim)
        if budget_ended:
            ending = Ending.BUDGET
        else:
            ending = Ending.SURE if claim and probability >= self.rules.confidence else Ending.EXHAUSTED
        places = zip(self.axis, self.evidence, strict=True)
        return Bisection(
            places=tuple(
                Place(combination=combination, told=self._told(place, claim), evidence=evidence)
                for place, (combination, evidence) in enumerate(places)
            ),
            flips=self._flips(claim),
            fault=self.fault,
            probability=probability,
            ending=ending,
            trials=trials,
            asked=asked,
        )

    def _flips(self, claim: dict[int, bool]) -> tuple[Flip, ...]:
        return tuple(
            Flip(
                before=before,
                after=after,
                breaks=claim[before],
                probability=self.chain.probability({before: claim[before], after: claim[after]}),
            )
            for before, after in zip(claim, list(claim)[1:], strict=False)
            if claim[before] is not claim[after]
        )

    def _told(self, place: int, claim: dict[int, bool]) -> Told:
        if place in claim:
            return Told.GOOD if claim[place] else Told.BAD
        if not self._testable(place):
            return Told.UNTESTABLE
        return Told.UNTOLD if self._open(place) else Told.AMBIGUOUS

    def _confirmation(self) -> Questions:
        """More trials for the two sides of every flip, until one side of each leads as a cell of a matrix must."""
        sides = [side for flip in self._flips(self.claim()) for side in (flip.before, flip.after)]
        lacking = [(side, self._lacking(side)) for side in dict.fromkeys(sides)]
        return tuple(self._question(side, number) for side, number in lacking if number > 0 and self._open(side))

    def _lacking(self, place: int) -> int:
        evidence = self.evidence[place] or Evidence()
        if evidence.certain:
            return 0
        return self.rules.lead - abs(evidence.good - evidence.bad(self.fault))

    def _worth(self, place: int) -> float:
        """What a trial may tell, in bits, times how likely it can be told: untestable places have such neighbours."""
        good = self.good[place]
        if not self._open(place) or not 0 < good < 1:
            return 0.0
        entropy = -good * math.log2(good) - (1 - good) * math.log2(1 - good)
        distance = min((abs(place - other) for other in self._untestable), default=len(self.axis))
        return entropy * distance / (distance + 1)

    @cached_property
    def _untestable(self) -> list[int]:
        return [place for place in range(len(self.axis)) if not self._testable(place)]

    def _testable(self, place: int) -> bool:
        evidence = self.evidence[place]
        return evidence is None or evidence.testable(self.fault)

    def _open(self, place: int) -> bool:
        """Whether trials of this place can tell more."""
        evidence = self.evidence[place]
        if evidence is None:
            return True
        return self._testable(place) and not evidence.exhausted and evidence.trials < self.rules.cap

    def _question(self, place: int, trials: int) -> Question:
        known = self.evidence[place]
        left = self.rules.cap - (known.trials if known else 0)
        return Question(about=self.axis[place], trials=min(trials, left))


def fault_sought(evidence: Sequence[Evidence | None]) -> str | None:
    """The fault of the bad end, the last one first; else the one that most failures along the axis have.

    None where nothing failed: then any failure is what is sought.
    """
    for end in (evidence[-1], evidence[0]):
        if end is not None and not end.blocked and end.bad(None) > end.good:
            return end.fault
    seen: Counter[str] = Counter()
    for one in evidence:
        seen.update(dict(one.faults) if one is not None and not one.blocked else {})
    return max(seen, key=lambda fault: (seen[fault], fault)) if seen else None
