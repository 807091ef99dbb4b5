"""Planted faults: worlds whose truth is known, answering the questions of searches as trials would."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from runner.investigate.belief import Evidence
from runner.investigate.question import Combination

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.investigate.question import Questions

FAULT = "ValueError: planted"
OTHER = "TypeError: something else"


def axis(n: int) -> tuple[Combination, ...]:
    """Releases 0 to n-1 of one package."""
    return tuple(Combination.of({"package": str(number)}) for number in range(n))


def evidence(good: int = 0, bad: int = 0, other: int = 0, **changes: object) -> Evidence:
    """So many trials that succeeded, failed by the planted fault and failed otherwise."""
    faults = tuple((name, number) for name, number in ((FAULT, bad), (OTHER, other)) if number)
    return Evidence(good=good, faults=faults, trials=good + bad + other, **changes)  # type: ignore[arg-type]


@dataclass
class World:
    """Answers by the rate at which a combination succeeds; None: it fails by another fault, "": it is blocked."""

    rate: Callable[[Combination], float | str | None]
    seed: int = 0
    known: dict[Combination, Evidence] = field(default_factory=dict)
    asked: list[Questions] = field(default_factory=list)

    def __call__(self, questions: Questions) -> dict[Combination, Evidence]:
        self.asked.append(questions)
        for question in questions:
            for _ in range(question.trials):
                self.known[question.about] = self._more(question.about)
        return self.known

    def _more(self, about: Combination) -> Evidence:
        rate, before = self.rate(about), self.known.get(about, Evidence())
        if isinstance(rate, str):
            return Evidence(blocked="nothing resolves", exhausted=True)
        good, bad, other = before.good, before.bad(FAULT), before.other(FAULT)
        if rate is None:
            return evidence(good, bad, other + 1)
        # a trial's chance is its own: the same in whatever order trials run
        succeeded = Random(f"{self.seed} {about} {before.trials}").random() < rate
        return evidence(good + succeeded, bad + (not succeeded), other)

    @property
    def places(self) -> set[Combination]:
        """All that was asked about."""
        return {question.about for questions in self.asked for question in questions}


def along(rates: list[float | str | None]) -> Callable[[Combination], float | str | None]:
    """The rate of each release of `axis`."""
    return lambda about: rates[int(about.cell.values["package"])]
