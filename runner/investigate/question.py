"""What a search asks: so many trials of one combination; and the shape that all searches have.

A search yields `Questions`, is sent `Answers` and returns its result; it knows nothing of who answers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from runner.investigate.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Combination:
    """What a question is about: a cell by its axis values, and packages that its environment must hold exactly."""

    values: tuple[tuple[str, str], ...]
    """(axis, value) for every axis that the search knows; whoever answers adds the axes that stay as they are."""
    pins: tuple[tuple[str, str | None], ...] = ()
    """(package, version) that the resolver may not choose; None: the package may not be installed."""

    def __str__(self) -> str:
        """In words: `tensorflow=2.4.0,keras=2.4.3`."""
        pins = [f"{package}={'none' if version is None else version}" for package, version in self.pins]
        return ",".join([*(f"{axis}={value}" for axis, value in self.values), *pins])


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A wish for `trials` more trials of a combination, beyond those that are known; they may run side by side."""

    about: Combination
    trials: int


class BudgetSpentError(Exception):
    """No trials are left; the search then tells what it knows.

    Raised by a search that has a budget of its own, or thrown into one by whoever answers.
    """


Questions: TypeAlias = tuple[Question, ...]
"""What is asked at once; the questions do not depend on each other."""

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
