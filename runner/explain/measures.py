"""A bisection on what a trial costs: slower or hungrier is a flip too, where it is more than the noise.

The two ends are measured first, in turn, until their noise is known; every further release is measured in turn with
both ends, so that a machine that gets slower meanwhile moves all alike.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.explain.account_sentences import flips_sentence
from runner.explain.experimenter import Budget, Experimenter
from runner.explain.walk import places_of, span_along
from runner.investigate.belief import Evidence, fault_of
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.question import BudgetSpentError, Question, answered
from runner.matrix.criterion import CostLimit, CriterionError, Measure, parse
from runner.outcomes.account import Walk
from runner.outcomes.costs import comparable_cost, cost_in_words, cost_kind, cost_of
from runner.outcomes.machine_kind import UNKNOWN, named
from runner.outcomes.significance import LEVEL, mann_whitney
from runner.outcomes.verdict import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.investigate.question import Answers, Combination, Questions
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.session.options import Observer

FIRST = 4
"""Trials of each end by which their noise is known: as few as can tell two sides apart at 5 %."""
MOST = 10
"""So many trials each end gets where fewer do not tell them apart."""
MOST_OF_AN_END = 40
"""Beside further releases each end runs again, up to so many trials."""
LEAST = 1.1
"""A difference of less than this is none, however steady."""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What a trial may cost: so much of what the cheaper end does, or half-way between the ends."""

    measure: Measure
    factor: float | None = None

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """`seconds`, `memory`, `epoch`, or one of them with a limit: `seconds < 1.5x baseline`. Raises UsageError."""
        if text.strip() in set(Measure):
            return cls(measure=Measure(text.strip()))
        hint = f"write {', '.join(Measure)}, or a limit like 'seconds < 1.5x baseline'"
        try:
            limit = parse(text)
        except CriterionError as error:
            raise UsageError(f"--on {text}: {error}; {hint}.") from error
        if not isinstance(limit, CostLimit):
            raise UsageError(f"--on {text}: {hint}.")
        return cls(measure=limit.measure, factor=limit.factor)


@dataclass(kw_only=True)
class CostExperimenter(Experimenter):
    """Judges trials by what they cost, as it is known of the two ends by now."""

    criterion: Criterion
    ends: tuple[Combination, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    """By the kind of machine: times are compared only within one."""

    @property
    def fault(self) -> str:
        """What bad means; the limit itself moves a little as the ends are measured further."""
        return self.criterion.measure.exceeded

    @property
    def kind(self) -> str:
        """The kind of machine that most trials of both ends ran on; of several the first by name."""
        numbers = [Counter(kind for kind, _ in self._costs(end)) for end in self.ends]
        return min(set().union(*numbers), key=lambda kind: (-min(one[kind] for one in numbers), kind), default=UNKNOWN)

    @property
    def limit(self) -> float:
        """The limit on that kind of machine."""
        return self.limits.get(self.kind, math.inf)

    def costs(self, about: Combination) -> list[float]:
        """The costs of a combination's trials that ended well, on the kind of machine that most of both ends ran on."""
        return [cost for kind, cost in self._costs(about) if kind == self.kind]

    def measured(self, about: Combination) -> int:
        """The number of a combination's trials that have a cost, on whatever machine."""
        return len(self._costs(about))

    def share_a_kind(self) -> bool:
        """True where both ends are known on one kind of machine: stored trials may be of two."""
        return all(len(self.costs(end)) >= FIRST for end in self.ends)

    def _costs(self, about: Combination) -> list[tuple[str, float]]:
        measure = self.criterion.measure
        well = [record for record, verdict in self.trials.get(about, ()) if standing(verdict.label) not in _BROKEN]
        if not all(comparable_cost(measure, one) for one in well):
            raise UsageError(
                f"Trials ran emulated, and {measure} of an emulator is compared with none: leave --on out."
            )
        return [(cost_kind(measure, one), cost) for one in well if (cost := cost_of(one, measure)) is not None]

    def evidence(self, about: Combination) -> Evidence:
        """Each trial is an observation, also where trainings are copies: what they cost is not."""
        found = super().evidence(about)
        broken = [one for one in self.trials.get(about, ()) if standing(one[1].label) is Standing.BREAK]
        costs = [(kind, cost) for kind, cost in self._costs(about) if kind in self.limits]
        bad = sum(cost > self.limits[kind] for kind, cost in costs)
        faults = [(self.fault, bad), *((fault_of(one), 1) for one in broken)]
        return Evidence(
            good=len(costs) - bad,
            faults=tuple((fault, number) for fault, number in faults if number),
            trials=found.trials,
            blocked=found.blocked,
            exhausted=bool(found.blocked) or len(broken) > 1,
            contents=found.contents,
        )

    def in_turn(self, questions: Questions) -> Answers:
        """The answers to questions, a trial at a time, each round with one of both ends."""
        for number in range(max(one.trials for one in questions)):
            asked = [one.about for one in questions if one.trials > number]
            asked += [end for end in self.ends if end not in asked and len(self._costs(end)) < MOST_OF_AN_END]
            self.answer(tuple(Question(about=about, trials=1) for about in asked))
            self.calibrate()
        self._measure_beside({one.about for one in questions})
        return {one.about: self.evidence(one.about) for one in questions}

    def _measure_beside(self, asked: Iterable[Combination]) -> None:
        """Run the ends until they are known on every kind of machine that what was asked about ran on.

        Where the ends' trials are of another machine, as those of an older store are.
        """
        kinds = {kind for about in asked for kind, _ in self._costs(about)}
        for _ in range(MOST_OF_AN_END):
            known = [Counter(kind for kind, _ in self._costs(end)) for end in self.ends]
            if all(one[kind] >= FIRST for one in known for kind in kinds):
                break
            if max(one.total() for one in known) >= MOST_OF_AN_END:
                break
            self.answer(tuple(Question(about=end, trials=1) for end in self.ends))
        self.calibrate()

    def calibrate(self) -> None:
        """Set the limits by what is known of the ends."""
        sides = [self._costs(end) for end in self.ends]
        for kind in {kind for side in sides for kind, _ in side}:
            own = [[cost for one, cost in side if one == kind] for side in sides]
            if len(own) > 1 and all(own):
                low, high = sorted(map(median, own))
                self.limits[kind] = low * self.criterion.factor if self.criterion.factor else math.sqrt(low * high)

    def differ(self) -> bool:
        """True where the ends differ by more than the noise, and by the limit."""
        low, high = sorted((self.costs(end) for end in self.ends), key=median)
        p, _ = mann_whitney(low, high)
        least = self.criterion.factor or LEAST
        return p <= LEVEL and median(high) >= least * median(low)

    def sentence(self) -> str:
        """The costs of both ends and their noise."""
        told = partial(cost_in_words, self.criterion.measure)
        parts = []
        for end in self.ends:
            costs = self.costs(end)
            cell = ",".join(f"{axis} {value}" for axis, value in end.cell)
            parts.append(
                f"{cell} {told(median(costs))} ({told(min(costs))} to {told(max(costs))} in {len(costs)} trials)"
            )
        low, high = sorted(median(self.costs(end)) for end in self.ends)
        verdict = (
            f"that is {high / low:.2f} times as much" if self.differ() else "no difference beyond the noise is shown"
        )
        where = (
            f" on {named(self.kind)}" if len({kind for end in self.ends for kind, _ in self._costs(end)}) > 1 else ""
        )
        return f"{self.criterion.measure.capitalize()} of a trial{where}: {', '.join(parts)}; {verdict}."


_BROKEN = {Standing.BREAK, Standing.BLOCKED}


def walk_costs(
    laboratory: Laboratory,
    matrix: Matrix,
    cell: CellId,
    axis: str,
    ends: tuple[str, str],
    *,
    criterion: Criterion,
    every: str,
    budget: Budget | None = None,
    observer: Observer,
) -> Walk:
    """Find every release along an axis at which a trial begins, or ceases, to cost more than the limit.

    Raises UsageError where `walk` does, and where the ends have no cost, as where their trials break.
    """
    span, shared = span_along(matrix, cell, axis, ends, laboratory.releases)
    places = places_of(laboratory, span, every)
    experimenter = CostExperimenter(
        laboratory=laboratory,
        matrix=matrix,
        observer=observer,
        budget=budget or Budget(),
        shared=shared,
        criterion=criterion,
        ends=(places[0], places[-1]),
    )
    observer.note(
        f"{len(places)} values of {axis}, from {ends[0]} to {ends[1]}; the noise of the two ends comes first."
    )
    differ = _measured(experimenter)
    known = {end: experimenter.evidence(end) for end in experimenter.ends}
    rules = BisectRules(fault=experimenter.fault, budget=None if differ else 0)
    found = answered(bisect(places, rules, known, axis=axis), experimenter.in_turn)
    said = [experimenter.sentence(), *([flips_sentence(found)] if differ else [])]
    return Walk(
        bisection=found,
        shared=dict(shared.values),
        telling=f"a trial passes that takes no more than {cost_in_words(criterion.measure, experimenter.limit)}",
        sentence=" ".join(said),
        trials=experimenter.budget.executed,
        seconds=round(time.monotonic() - experimenter.budget.begun, 1),
    )


def _measured(experimenter: CostExperimenter) -> bool:
    """Measure the ends in turn until they are told apart, or enough trials did not; true where they differ."""
    try:
        for _ in range(FIRST):
            _once_more(experimenter, experimenter.ends)
        lacking = [end for end in experimenter.ends if not experimenter.measured(end)]
        if lacking:
            raise UsageError(
                f"{' and '.join(map(str, lacking))}: no trial ended with a value of {experimenter.criterion.measure}."
            )
        while not experimenter.share_a_kind() and max(map(experimenter.measured, experimenter.ends)) < MOST_OF_AN_END:
            _once_more(experimenter, experimenter.ends)
        while not experimenter.differ() and min(len(experimenter.costs(end)) for end in experimenter.ends) < MOST:
            _once_more(experimenter, experimenter.ends)
    except BudgetSpentError:
        if not all(experimenter.costs(end) for end in experimenter.ends):
            raise UsageError("The budget is too small: both ends need trials to be compared.") from None
    if not all(experimenter.costs(end) for end in experimenter.ends):
        raise UsageError("The ends never ran on the same model of processors: their times can't be compared.")
    experimenter.calibrate()
    return experimenter.differ()


def _once_more(experimenter: CostExperimenter, ends: Sequence[Combination]) -> None:
    for end in ends:
        experimenter.answer((Question(about=end, trials=1),))
