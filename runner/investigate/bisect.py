"""Search for the steps of an ordered axis at which the outcome flips, place by place, until every flip is decided.

The release whose state is least known is asked next: between ends that differ that halves the axis, between ends that
are alike it samples evenly, and a doubtful cell gets more seeds. All is a function of the answers, in any order.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.investigate.belief import Evidence, likelihoods
from runner.investigate.question import BudgetSpentError, Question, fresh, trials_in, within
from runner.outcomes.account import Bisection, Decision, Flip, SearchEnding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.investigate.question import Answers, Combination, Questions, Search

    Weights = Sequence[tuple[float, float]]
    """For each cell, how likely its trials are of a good cell and of a bad one."""

AT_ONCE = 2
"""Trials of one question: a place is never judged by a single one."""
_NOTHING_TO_LEARN = 1e-4
"""Bits: a place that is this sure is not worth another trial."""
LEVELS = 4
"""Flips are counted 0, 1, 2, and 3 or more."""


@dataclass(frozen=True, kw_only=True)
class BisectRules:
    """The certainty that a bisection needs, and what it may spend."""

    confidence: float = 0.97
    """The probability that the whole account is right at which the search ends. It bounds the error of all steps
    together: the more steps an answer rests on, the more seeds each of them gets."""
    lead: int = 4
    """Both sides of a flip get trials until successes or failures lead by this, as a cell of a matrix does."""
    cap: int = 40
    """No place gets more trials than this. It is more than a cell of a matrix gets, for a flip may stand or fall with
    it; only one whose trials disagree, beside a flip, comes near it."""
    further: float = 0.02
    """The odds of a third flip, and of each one after it, against one fewer. At 1 axes whose ends differ are sampled
    as closely as those whose ends are alike; that costs several times the trials."""
    fault: str | None = None
    """The fault that counts as bad. None: the fault of the bad end; where no end is bad, of most failures that were
    seen."""
    budget: int | None = None
    """The number of trials that may be run; None: as many as it takes."""


def bisect(
    places: Sequence[Combination], rules: BisectRules, known: Answers | None = None, *, axis: str = ""
) -> Search[Bisection]:
    """Every flip along the places of `axis`, which has at least one; `known` is used before anything is asked.

    An answer may have fewer trials than were asked for; one without any new trial ends the questions about its place.
    """
    answers = {place: known[place] for place in places if known and place in known}
    spent = 0
    asked: set[Combination] = set()
    while True:
        view = AxisView.of(places, answers, rules)
        wanted = view.questions()
        questions = within(wanted, rules.budget, spent)
        if not questions:
            return view.result(axis, budget_ended=bool(wanted), trials=spent, asked=len(asked))
        try:
            given = fresh(questions, answers, (yield questions))
        except BudgetSpentError:
            return view.result(axis, budget_ended=True, trials=spent, asked=len(asked))
        asked.update(given)
        spent += trials_in(given) - trials_in({place: answers[place] for place in given if place in answers})
        answers.update(given)


@dataclass(frozen=True, kw_only=True)
class AxisView:
    """The axis as the answers so far show it; made anew after every answer."""

    places: Sequence[Combination]
    evidence: tuple[Evidence | None, ...]
    rules: BisectRules
    fault: str | None
    chain: FlipChain
    good: tuple[float, ...]
    """The probability that each place is good."""

    @classmethod
    def of(cls, places: Sequence[Combination], answers: Answers, rules: BisectRules) -> AxisView:
        """The view that these answers give."""
        evidence = tuple(answers.get(place) for place in places)
        fault = rules.fault if rules.fault is not None else fault_sought(evidence)
        chain = FlipChain(weights=[likelihoods(one, fault) for one in evidence], further=rules.further)
        return cls(places=places, evidence=evidence, rules=rules, fault=fault, chain=chain, good=tuple(chain.good()))

    def questions(self) -> Questions:
        """The next questions: the ends; then the least known place; then more seeds on both sides of every flip."""
        ends = [place for place in dict.fromkeys((0, len(self.places) - 1)) if self.evidence[place] is None]
        if ends:
            return tuple(self._question(place, AT_ONCE) for place in ends)
        if self.chain.probability(self.claim()) >= self.rules.confidence:
            return self._confirmation()
        place = max(range(len(self.places)), key=self._worth)
        return (self._question(place, AT_ONCE),) if self._worth(place) > _NOTHING_TO_LEARN else self._confirmation()

    def claim(self, *, all_open: bool = True) -> dict[int, bool]:
        """The claim about each place, good or bad; those that can't be decided are left out.

        A place that can still be tried is left out only where `all_open` is false and it is too uncertain.
        """
        return {
            place: good > 0.5
            for place, good in enumerate(self.good)
            if self._testable(place)
            and (max(good, 1 - good) >= self.rules.confidence or (all_open and self._open(place)))
        }

    def result(self, axis: str, *, budget_ended: bool, trials: int, asked: int) -> Bisection:
        """The bisection, with what is known now."""
        claim = self.claim(all_open=False)
        probability = self.chain.probability(claim)
        if budget_ended:
            ending = SearchEnding.BUDGET
        else:
            ending = SearchEnding.SURE if claim and probability >= self.rules.confidence else SearchEnding.EXHAUSTED
        places = zip(self.places, self.evidence, strict=True)
        return Bisection(
            axis=axis,
            places=tuple(
                combination.tried(self._decision(place, claim), evidence, self.fault)
                for place, (combination, evidence) in enumerate(places)
            ),
            flips=self._flips(claim),
            fault=self.fault,
            probability=probability,
            ending=ending,
            trials=trials,
            decisions=asked,
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

    def _decision(self, place: int, claim: dict[int, bool]) -> Decision:
        if place in claim:
            return Decision.GOOD if claim[place] else Decision.BAD
        if not self._testable(place):
            return Decision.UNTESTABLE
        return Decision.UNDECIDED if self._open(place) else Decision.AMBIGUOUS

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
        """The information in a trial, in bits, times the chance that it is testable: less beside untestable places."""
        good = self.good[place]
        if not self._open(place) or not 0 < good < 1:
            return 0.0
        entropy = -good * math.log2(good) - (1 - good) * math.log2(1 - good)
        distance = min((abs(place - other) for other in self._untestable), default=len(self.places))
        return entropy * distance / (distance + 1)

    @cached_property
    def _untestable(self) -> list[int]:
        return [place for place in range(len(self.places)) if not self._testable(place)]

    def _testable(self, place: int) -> bool:
        evidence = self.evidence[place]
        return evidence is None or evidence.testable(self.fault)

    def _open(self, place: int) -> bool:
        """True where more trials of this place can add anything."""
        evidence = self.evidence[place]
        if evidence is None:
            return True
        return self._testable(place) and not evidence.exhausted and evidence.trials < self.rules.cap

    def _question(self, place: int, trials: int) -> Question:
        known = self.evidence[place]
        left = self.rules.cap - (known.trials if known else 0)
        return Question(about=self.places[place], trials=min(trials, left))


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


@dataclass(frozen=True, kw_only=True)
class FlipChain:
    """The probabilities along an ordered axis, whose neighbours are alike but for a few flips.

    Given how likely each cell's trials are of a good and of a bad cell, it gives the probability that a cell is good,
    and that a whole claim about the axis is right, by the forward-backward algorithm (Rabiner 1989, III).
    Before any trial none, one and two flips are equally likely, wherever they are; every further flip is less likely by
    the factor `further`.
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
        """The factor of one more flip on a path, by how many it has: C(n, k) paths share a number's prior."""
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
