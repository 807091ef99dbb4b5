"""The questions of a search, so many trials of one combination each, and the shape that all searches have.

A search yields `Questions`, is sent `Answers` and returns its result; it knows nothing of who answers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from runner.investigate.belief import Evidence
from runner.matrix.cell_id import CellId
from runner.outcomes.account import Counts, Decision, Tried

if TYPE_CHECKING:
    from collections.abc import Callable


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
