"""Simulated axes and matrices with planted faults, flaky cells and untestable ones; they answer as trials would."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from simulated import play

from runner.investigate.belief import Evidence
from runner.investigate.question import Combination
from runner.outcomes.account import Factor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from runner.investigate.question import Questions

FAULT, OTHER = "planted", "another fault"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is true of one cell: whether it is good, at what rate it succeeds, whether and how it is untestable."""

    good: bool
    rate: float
    testable: bool = True
    blocked: bool = False
    """Of an untestable one: it does not resolve, which costs no trial; else it fails by another fault."""


@dataclass(kw_only=True)
class Answerer:
    """Runs the trials that are asked for."""

    cells: dict[Combination, Cell]
    random: Random
    known: dict[Combination, Evidence] = field(default_factory=dict)

    def __call__(self, questions: Questions) -> dict[Combination, Evidence]:
        for question in questions:
            self.known[question.about] = self.more(question.about, question.trials)
        return self.known

    def more(self, about: Combination, trials: int) -> Evidence:
        cell, before = self.cells[about], self.known.get(about, Evidence())
        if not cell.testable and cell.blocked:
            return Evidence(blocked="nothing resolves", exhausted=True)
        if not cell.testable:
            return Evidence(faults=((OTHER, 1),), trials=2, certain=True, exhausted=True)
        good = before.good + sum(self.random.random() < cell.rate for _ in range(trials))
        total = before.trials + trials
        return Evidence(good=good, faults=((FAULT, total - good),) if total > good else (), trials=total)

    def scanned(self) -> tuple[int, dict[Combination, bool]]:
        """All testable cells under the matrix's own rule of seeds, each by itself: trials, and which look good."""
        counts = {about: play(self.random, cell.rate) for about, cell in self.cells.items() if cell.testable}
        return sum(map(sum, counts.values())), {about: c > f for about, (c, f) in counts.items()}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What simulated cells are like."""

    flaky: tuple[float, float] = (0.0, 0.3)
    """The share of flaky cells of an axis is drawn from this range."""
    rates: tuple[float, float] = (0.6, 0.95)
    """A flaky cell goes its own way at a rate from this range."""
    untestable: tuple[float, float] = (0.0, 0.2)
    slip: float = 0.0
    """How often a trial of a cell that is not flaky goes against it."""


def cell_of(random: Random, good: bool, share: float, kind: Kind, **changes: bool) -> Cell:
    own = random.uniform(*kind.rates) if random.random() < share else 1 - kind.slip
    return Cell(good=good, rate=own if good else 1 - own, **changes)


AXIS = tuple(Combination.of({"package": str(number)}) for number in range(100))


def planted_axis(random: Random, flips: int, kind: Kind) -> Answerer:
    """An axis of 100 releases with so many flips anywhere; in every other axis what is untestable comes in runs."""
    n = len(AXIS)
    at = random.sample(range(1, n), flips)
    start = random.random() < 0.5
    share, blank = random.uniform(*kind.flaky), random.uniform(*kind.untestable)
    away = untestable_places(random, n, blank)
    blocked = random.random() < 0.5
    return Answerer(
        cells={
            about: cell_of(
                random,
                start ^ (sum(flip <= place for flip in at) % 2 == 1),
                share,
                kind,
                testable=place not in away,
                blocked=blocked,
            )
            for place, about in enumerate(AXIS)
        },
        random=random,
    )


def untestable_places(random: Random, n: int, share: float) -> set[int]:
    wanted = round(share * n)
    if random.random() < 0.5:
        return set(random.sample(range(n), wanted))
    away: set[int] = set()
    while len(away) < wanted:
        begin, length = random.randrange(n), min(random.randint(1, 10), wanted - len(away))
        away.update(place for place in range(begin, begin + length) if place < n)
    return away


def true_flips(cells: dict[Combination, Cell]) -> list[tuple[int, int]]:
    """The pairs of places, adjacent but for untestable ones, that differ."""
    told = [place for place, cell in enumerate(cells.values()) if cell.testable]
    good = [cell.good for cell in cells.values()]
    return [(one, other) for one, other in pairwise(told) if good[one] is not good[other]]


def planted_matrix(random: Random, kind: Kind) -> tuple[list[Factor], frozenset[str], Answerer]:
    """Three to eight axes with a cause of two, its factors, the cause and all combinations."""
    names = [f"axis{number}" for number in range(random.randint(3, 8))]
    cause = frozenset(random.sample(names, 2))
    share, blank = random.uniform(*kind.flaky), random.uniform(*kind.untestable)
    cells = {}
    for size in range(len(names) + 1):
        for chosen in combinations(names, size):
            moved = frozenset(chosen)
            fixed = moved in (frozenset(), cause, frozenset(names))
            cells[moved_combination(names, moved)] = cell_of(
                random,
                not cause <= moved,
                share,
                kind,
                testable=fixed or random.random() >= blank,
                blocked=random.random() < 0.5,
            )
    factors = [Factor(name=name, good="good", bad="bad") for name in names]
    return factors, cause, Answerer(cells=cells, random=random)


def moved_combination(names: list[str], moved: frozenset[str]) -> Combination:
    return Combination.of({name: "bad" if name in moved else "good" for name in names})


@dataclass(kw_only=True)
class Packages:
    """Two locks that differ in many packages: some guilty, some that need another one to move with them."""

    names: list[str]
    guilty: frozenset[str]
    needs: dict[str, str]
    """A package's bad version → the package that must have its bad version too."""
    random: Random
    share: float
    kind: Kind
    answerer: Answerer
    in_order: bool

    @classmethod
    def planted(cls, random: Random, kind: Kind, *, in_order: bool) -> Packages:
        names = [f"package{number:02}" for number in range(random.randint(10, 60))]
        needs = {name: random.choice(names) for name in random.sample(names, len(names) // 5)}
        return cls(
            names=names,
            guilty=frozenset(random.sample(names, random.randint(1, 3))),
            needs={name: need for name, need in needs.items() if need != name},
            random=random,
            share=random.uniform(*kind.flaky),
            kind=kind,
            answerer=Answerer(cells={}, random=random),
            in_order=in_order,
        )

    @property
    def factors(self) -> list[Factor]:
        """In any order, or with what they need before them (as far as they do not need each other)."""
        names = sorted(self.names, key=lambda name: len(self.with_needs({name}))) if self.in_order else self.names
        return [Factor(name=name, good="1", bad="2", pinned=True) for name in names]

    def __call__(self, questions: Questions) -> dict[Combination, Evidence]:
        for question in questions:
            if question.about not in self.answerer.cells:
                self.answerer.cells[question.about] = self._cell(question.about)
        return self.answerer(questions)

    def _cell(self, about: Combination) -> Cell:
        moved = {name for name, version in about.pins if version == "2"}
        resolves = all(need in moved for name, need in self.needs.items() if name in moved)
        good = not self.guilty <= moved
        return cell_of(self.random, good, self.share, self.kind, testable=resolves, blocked=True)

    def with_needs(self, names: Iterable[str]) -> frozenset[str]:
        """These packages and all that must move with them."""
        found = set(names)
        while more := {self.needs[name] for name in found if name in self.needs} - found:
            found |= more
        return frozenset(found)

    def smallest(self) -> frozenset[str]:
        """The smallest bad set that resolves."""
        return self.with_needs(self.guilty)
