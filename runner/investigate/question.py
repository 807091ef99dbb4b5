"""The questions of a search, so many trials of one combination each, and the shape that all searches have.

A search yields `Questions`, is sent `Answers` and returns its result; it knows nothing of who answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from runner.investigate.belief import Evidence, belief, decision_of, trials_wanted
from runner.matrix.axes import AxisKind
from runner.matrix.cell_id import CellId
from runner.outcomes.account import Counts, Decision, Tried
from runner.outcomes.significance import LEVEL, fisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.outcomes.account import Factor


Pins: TypeAlias = tuple[tuple[str, str | None], ...]
"""(package, version) that the resolver may not choose; None: the package may not be installed."""


@dataclass(frozen=True, slots=True)
class Combination:
    """The subject of a question: a cell, and packages that its environment must hold exactly."""

    cell: CellId
    """The axes that the search knows; whoever answers adds the axes that stay as they are."""
    pins: Pins = ()

    @classmethod
    def of(cls, values: Mapping[str, str], pins: Mapping[str, str | None] | None = None) -> Combination:
        """The combination of these axis values and pins."""
        return cls(CellId.of(values), tuple((pins or {}).items()))

    def at(self, axis: str, value: str) -> Combination:
        """The same combination with this value of one axis."""
        return Combination(CellId.of({**self.cell.values, axis: value}), self.pins)

    def pinning(self, packages: Mapping[str, str]) -> Combination:
        """The same combination with further packages pinned."""
        return Combination(self.cell, (*self.pins, *packages.items()))

    def tried(self, decision: Decision, evidence: Evidence | None, fault: str | None) -> Tried:
        """The combination as an account has it, with the decision about it and the trials that it rests on."""
        values: dict[str, str | None] = {**self.cell.values, **dict(self.pins)}
        return Tried(values=values, told=decision, counts=evidence.counts(fault) if evidence else Counts())

    def __str__(self) -> str:
        """In words: `tensorflow=2.4.0,keras=2.4.3`."""
        pins = [f"{package}={'none' if version is None else version}" for package, version in self.pins]
        return ",".join([*([str(self.cell)] if self.cell.pairs else ()), *pins])


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A wish for `trials` more trials of a combination, beyond those that are known; they may run side by side."""

    about: Combination
    trials: int


class BudgetSpentError(Exception):
    """No trials are left; the search then returns what it knows.

    Raised by a search that has a budget of its own, or thrown into one by whoever answers.
    """


Questions: TypeAlias = tuple[Question, ...]
"""Questions that are asked at once; they do not depend on each other."""

Answers: TypeAlias = Mapping[Combination, Evidence]
"""All that is known now of each combination that was asked about, earlier trials included."""

Found = TypeVar("Found")
Search: TypeAlias = Generator[Questions, Answers, Found]


def answered(search: Search[Found], answer: Callable[[Questions], Answers]) -> Found:
    """The result of a search whose questions `answer` answers; it may raise BudgetSpentError to end the search."""
    try:
        questions = next(search)
        while True:
            try:
                answers = answer(questions)
            except BudgetSpentError as spent:
                questions = search.throw(spent)
            else:
                questions = search.send(answers)
    except StopIteration as end:
        found: Found = end.value
        return found


def within(questions: Questions, budget: int | None, spent: int) -> Questions:
    """As much of the questions as the budget still allows, the first ones first."""
    if budget is None:
        return questions
    kept, left = [], budget - spent
    for question in questions:
        trials = min(question.trials, left)
        if trials > 0:
            kept.append(replace(question, trials=trials))
            left -= trials
    return tuple(kept)


def trials_in(answers: Answers) -> int:
    """The number of trials these answers rest on."""
    return sum(evidence.trials for evidence in answers.values())


def fresh(questions: Questions, known: Answers, given: Answers) -> dict[Combination, Evidence]:
    """The answers to the questions; one without a new trial, or none at all, says that there are no more to be had."""
    found = {}
    for about in (question.about for question in questions):
        before = known.get(about, Evidence())
        answer = given.get(about, before)
        found[about] = answer if answer.trials > before.trials else answer.closed()
    return found


_WORD = re.compile(r"\w+")
_NO_AXES = CellId(())


@dataclass(frozen=True, kw_only=True)
class AttributeRules:
    """The certainty that an attribution needs, and what it may spend."""

    confidence: float = 0.97
    """The probability that all decisions are right: the more there are, the more trials each of them gets."""
    cap: int = 24
    """No combination gets more trials than this."""
    fault: str | None = None
    """The fault that counts as bad; None: the most frequent fault of the bad cell."""
    budget: int | None = None
    """The number of trials that may be run; None: as many as it takes."""
    components: bool = True
    """True where a cause that brought other packages along is followed to those."""
    singly: int = 8
    """Up to so many factors are each moved alone first; of more only those that the fault names, others by halves."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One combination that was tried: the factors that had their bad value, and the decision about it."""

    factors: frozenset[str]
    combination: Combination
    tried: Tried

    @property
    def alone(self) -> bool:
        """True where one factor was moved, and no other."""
        return len(self.factors) == 1


@dataclass(kw_only=True)
class Inquiry:
    """The answers so far. The only state of a search: replaying the same answers gives the same questions."""

    factors: tuple[Factor, ...]
    rules: AttributeRules
    known: dict[Combination, Evidence]
    fixed: CellId = _NO_AXES
    """Axis values that all combinations share."""
    distributions: Mapping[str, str] = field(default_factory=dict)
    """By its name the release of a backend, which stays the one that its cell has whatever else is pinned."""
    spent: int = 0
    asked_about: dict[frozenset[str], None] = field(default_factory=dict)
    """The moves that were looked at, in their order."""
    _combinations: dict[frozenset[str], Combination] = field(default_factory=dict)

    @property
    def all(self) -> frozenset[str]:
        """Every factor: moving them makes the bad cell."""
        return frozenset(factor.name for factor in self.factors)

    @property
    def fault(self) -> str | None:
        """The fault that counts as bad."""
        bad = self.known.get(self.combination(self.all))
        return self.rules.fault if self.rules.fault is not None or bad is None else bad.fault

    @property
    def error(self) -> float:
        """The doubt that is left to each decision: as many share it as two guilty factors are likely to take."""
        n = len(self.factors)
        decisions = 2 * n + 4 if n <= self.rules.singly else 4 * (math.log2(n) + 2)
        return (1 - self.rules.confidence) / decisions

    @property
    def alone(self) -> tuple[str, ...]:
        """The factors that are moved alone first: all where they are few; else those that the fault itself names."""
        if len(self.factors) <= self.rules.singly:
            return self.ordered(self.all)
        words = set(_WORD.findall(self.fault or ""))
        return tuple(name for name in self.ordered(self.all) if name.replace("-", "_") in words)

    def ordered(self, moved: frozenset[str]) -> tuple[str, ...]:
        """Factors in their given order."""
        return tuple(factor.name for factor in self.factors if factor.name in moved)

    def combination(self, moved: frozenset[str]) -> Combination:
        """The good cell with these factors moved to their bad value."""
        if moved not in self._combinations:
            has = [(factor, factor.bad if factor.name in moved else factor.good) for factor in self.factors]
            values = [(factor.name, value) for factor, value in has if not factor.pinned and value is not None]
            pins = tuple((factor.name, value) for factor, value in has if factor.pinned)
            backend = dict(values).get(AxisKind.BACKEND.value, "")
            held = ((backend, self.distributions[backend]),) if backend in self.distributions else ()
            self._combinations[moved] = Combination(CellId((*values, *self.fixed.pairs)), (*pins, *held))
        return self._combinations[moved]

    def evidence(self, moved: frozenset[str]) -> Evidence | None:
        """The trials of this move, where there are any."""
        return self.known.get(self.combination(moved))

    def decision(self, moved: frozenset[str]) -> Decision:
        """The decision about this move now; none while its trials leave more doubt than a decision may.

        The two cells are given as good and bad: where their own trials stay ambiguous, that stands, provided that their
        rates differ by more than luck.
        """
        decision = decision_of(self.evidence(moved), self.fault, error=self.error, cap=self.rules.cap)
        if decision is Decision.AMBIGUOUS and self._apart():
            return {frozenset(): Decision.GOOD, self.all: Decision.BAD}.get(moved, decision)
        return decision

    def decide(self, *moves: frozenset[str]) -> Search[tuple[Decision, ...]]:
        """The decisions about these moves, asked for side by side until each is made. Raises BudgetSpentError."""
        self.asked_about |= dict.fromkeys(moves)
        while open_ := [move for move in dict.fromkeys(moves) if self.decision(move) is Decision.UNDECIDED]:
            wanted = tuple(Question(about=self.combination(move), trials=self._wanted(move)) for move in open_)
            questions = within(wanted, self.rules.budget, self.spent)
            if not questions:
                raise BudgetSpentError
            given = fresh(questions, self.known, (yield questions))
            self.spent += trials_in(given) - trials_in({one: self.known[one] for one in given if one in self.known})
            self.known.update(given)
        return tuple(self.decision(move) for move in moves)

    def bad(self, move: frozenset[str]) -> Search[bool]:
        """True where a move is bad for sure."""
        (decision,) = yield from self.decide(move)
        return decision is Decision.BAD

    def doubtless(self, *moves: frozenset[str]) -> float:
        """The probability that the decisions about all these moves are right."""
        probability = 1.0
        for move in moves:
            good = belief(self.evidence(move), self.fault)
            probability *= max(good, 1 - good)
        return probability

    def moves(self) -> tuple[Move, ...]:
        """All that was looked at."""
        return tuple(
            Move(
                factors=move,
                combination=self.combination(move),
                tried=self.combination(move).tried(self.decision(move), self.evidence(move), self.fault),
            )
            for move in self.asked_about
        )

    def about(self, factors: tuple[Factor, ...], fixed: CellId, distributions: Mapping[str, str]) -> Inquiry:
        """An inquiry into other factors of the same two cells: the fault stays, and so does what was spent."""
        return Inquiry(
            factors=factors,
            rules=replace(self.rules, fault=self.fault),
            known=dict(self.known),
            fixed=fixed,
            distributions=distributions,
            spent=self.spent,
        )

    def _apart(self) -> bool:
        """True where the good cell succeeds more often than the bad one, by Fisher's exact test."""
        ends = self.evidence(frozenset()), self.evidence(self.all)
        counts = [(one.good, one.good + one.bad(self.fault)) for one in ends if one is not None]
        if len(counts) < 2:
            return False
        (good, of_good), (bad, of_bad) = counts
        return good * of_bad > bad * of_good and fisher((good, bad), (of_good, of_bad)) <= LEVEL

    def _wanted(self, move: frozenset[str]) -> int:
        """The fewest trials that can decide a move."""
        return trials_wanted(self.evidence(move), self.fault, error=self.error, cap=self.rules.cap)
