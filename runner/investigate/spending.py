"""What questions cost: they are cut to a budget of trials, and answers that bring nothing new close their combination.

So no search asks the same question for ever, whatever it is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.investigate.evidence import Evidence

if TYPE_CHECKING:
    from runner.investigate.question import Answers, Combination, Questions


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


def trials_of(answers: Answers) -> int:
    """How many trials these answers rest on."""
    return sum(evidence.trials for evidence in answers.values())


def fresh(questions: Questions, known: Answers, given: Answers) -> dict[Combination, Evidence]:
    """The answers to the questions; one without a new trial, or none at all, says that there are no more to be had."""
    found = {}
    for about in (question.about for question in questions):
        before = known.get(about, Evidence())
        answer = given.get(about, before)
        found[about] = answer if answer.trials > before.trials else answer.closed()
    return found
