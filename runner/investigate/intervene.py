"""Which mechanism? The bad cell with one thing changed at a time; what flips it is repeated and turned the other way.

A few switches are tried at a time, narrowest first; only those that flip the outcome are asked again, and reversed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.investigate.decide import agreeing, told_of, trials_wanted
from runner.investigate.intervened import Interventions, Standing, Tested
from runner.investigate.question import BudgetSpentError, Question
from runner.investigate.spending import fresh, trials_of, within
from runner.investigate.told import Ending, Told
from runner.outcomes.significance import LEVEL, fisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.evidence import Evidence
    from runner.investigate.intervened import Switching
    from runner.investigate.question import Answers, Combination, Search


AT_ONCE = 4
"""Switches that are tried side by side: a budget that ends between two groups loses nothing."""


@dataclass(frozen=True, kw_only=True)
class InterveneRules:
    """How sure each decision must be, and what it may cost."""

    error: float = 0.02
    """The doubt that is left to a switch that changes nothing."""
    claim: float = 0.003
    """The most doubt that is left to what a claim rests on: four trials that agree, where chance plays a part."""
    confidence: float = 0.97
    """The probability that no switch is said to flip the outcome by luck: the more are tried, the more trials it takes
    to say it."""
    cap: int = 16
    """No combination gets more trials than this."""
    budget: int | None = None
    """How many trials may be run; None: as many as it takes."""


def intervene(
    good: Combination,
    bad: Combination,
    switches: Sequence[Switching],
    rules: InterveneRules | None = None,
    known: Answers | None = None,
) -> Search[Interventions]:
    """What each switch does to the bad cell; `known` is used before anything is asked."""
    rules = rules or InterveneRules()
    strict = min(rules.claim, (1 - rules.confidence) / max(1, len(switches)))
    trying = _Trying(good=good, bad=bad, rules=rules, strict=strict, known=dict(known or {}))
    before = {one.name for one in switches if trying.trials(one.on) > trying.enough}
    ending = Ending.SURE
    repeated: set[str] = set()
    by_breadth = sorted(switches, key=lambda one: (one.breadth, one.name))
    try:
        trying.sure.update((good, bad))
        yield from trying.tell(good, bad)
        for start in range(0, len(by_breadth), AT_ONCE):
            group = by_breadth[start : start + AT_ONCE]
            yield from trying.tell(*(one.on for one in group if not one.unless))
            yield from trying.tell(*(one.on for one in group if not _needless(trying, one, switches)))
        for one in by_breadth:
            if trying.told(one.on) is Told.GOOD and not _needless(trying, one, switches):
                yield from _repeat(trying, one, again=one.name not in before)
                repeated.add(one.name)
    except BudgetSpentError:
        ending = Ending.BUDGET
    needed = [one for one in by_breadth if not _needless(trying, one, switches)]
    tested = [_tested(trying, one, repeated=one.name in repeated) for one in needed]
    order = list(Standing)
    return Interventions(
        tested=tuple(
            sorted(tested, key=lambda one: (order.index(one.standing), one.switching.breadth, not one.turned))
        ),
        good=trying.known.get(good),
        bad=trying.known.get(bad),
        ending=ending,
        trials=trying.spent,
    )


def _needless(trying: _Trying, one: Switching, switches: Sequence[Switching]) -> bool:
    """Whether a narrower switch that it holds flips the outcome by itself."""
    return any(trying.leaning(other.on) is Told.GOOD for other in switches if other.name in one.unless)


def _repeat(trying: _Trying, one: Switching, *, again: bool) -> Search[None]:
    """Off and on once more, unless an earlier call did it; then the reverse of it in the good cell."""
    trying.sure.add(one.on)
    yield from trying.tell(one.on)
    if trying.told(one.on) is not Told.GOOD:
        return
    if again:
        yield from trying.once_more(trying.bad)
        yield from trying.once_more(one.on)
    if one.reverse is not None:
        yield from trying.tell(one.reverse)


def _tested(trying: _Trying, one: Switching, *, repeated: bool) -> Tested:
    on = trying.leaning(one.on)
    reverse = _reversed(trying, one.reverse) if repeated and one.reverse else None
    held = repeated and trying.told(one.on) is Told.GOOD and trying.told(trying.bad) is Told.BAD
    return Tested(
        switching=one,
        standing=_standing(on, reverse, held=held, blocked=_blocked(trying.known.get(one.on))),
        on=on,
        evidence=trying.known.get(one.on),
        reverse=reverse,
        reverse_evidence=trying.known.get(one.reverse) if one.reverse else None,
        repeated=held,
    )


def _reversed(trying: _Trying, about: Combination) -> Told:
    """What the reverse did to the good cell. One that breaks it now and then breaks it, if that is no chance."""
    told, broken, whole = trying.told(about), trying.known.get(about), trying.known.get(trying.good)
    if told is not Told.AMBIGUOUS or broken is None or whole is None:
        return told
    counts = [(one.good, one.good + one.bad(trying.fault)) for one in (broken, whole)]
    (some, of_some), (all_, of_all) = counts
    return Told.BAD if fisher((some, all_), (of_some, of_all)) <= LEVEL else told


def _blocked(evidence: Evidence | None) -> bool:
    """Whether the script was not put to the test: the switch changed nothing, or there is no such environment."""
    return evidence is None or bool(evidence.blocked) or not evidence.faults


def _standing(on: Told, reverse: Told | None, *, held: bool, blocked: bool) -> Standing:
    match on:
        case Told.GOOD:
            possible = reverse in {Told.BAD, Told.UNTESTABLE, None}  # what can't be turned round can't speak against it
            return Standing.CAUSED_BY if held and possible else Standing.GOES_WITH
        case Told.BAD:
            return Standing.NO_EFFECT
        case Told.AMBIGUOUS:
            return Standing.AMBIGUOUS
        case Told.UNTESTABLE:
            return Standing.NOT_APPLICABLE if blocked else Standing.BREAKS
        case Told.UNTOLD:
            return Standing.UNTRIED


@dataclass(kw_only=True)
class _Trying:
    """The answers so far, and what they cost."""

    good: Combination
    bad: Combination
    rules: InterveneRules
    strict: float
    """The doubt that is left to what a claim rests on."""
    known: dict[Combination, Evidence]
    sure: set[Combination] = field(default_factory=set)
    """What a claim rests on."""
    spent: int = 0

    @property
    def fault(self) -> str | None:
        """What counts as bad: what the bad cell fails by."""
        bad = self.known.get(self.bad)
        return bad.fault if bad else None

    def told(self, about: Combination) -> Told:
        """What is said of a combination now."""
        return told_of(self.known.get(about), self.fault, error=self._error(about), cap=self.rules.cap)

    def leaning(self, about: Combination) -> Told:
        """What is said of a combination by the doubt that is left to a switch that claims nothing."""
        return told_of(self.known.get(about), self.fault, error=self.rules.error, cap=self.rules.cap)

    def tell(self, *about: Combination) -> Search[None]:
        """Ask for these side by side until each is decided. Raises BudgetSpentError."""
        while open_ := [one for one in dict.fromkeys(about) if self.told(one) is Told.UNTOLD]:
            yield from self._ask(*(Question(about=one, trials=self._wanted(one)) for one in open_))

    def once_more(self, about: Combination) -> Search[None]:
        """One more trial, whatever is known, where one can be had. Raises BudgetSpentError."""
        evidence = self.known.get(about)
        if evidence is None or not (evidence.exhausted or evidence.trials >= self.rules.cap):
            yield from self._ask(Question(about=about, trials=1))
        yield from self.tell(about)

    def trials(self, about: Combination) -> int:
        """How many trials of a combination are known."""
        evidence = self.known.get(about)
        return evidence.trials if evidence else 0

    @property
    def enough(self) -> int:
        """The fewest trials that a claim takes: a switch that was repeated has more."""
        return agreeing(0, 0, self.strict)

    def _wanted(self, about: Combination) -> int:
        return trials_wanted(self.known.get(about), self.fault, error=self._error(about), cap=self.rules.cap)

    def _error(self, about: Combination) -> float:
        return self.strict if about in self.sure else self.rules.error

    def _ask(self, *wanted: Question) -> Search[None]:
        questions = within(wanted, self.rules.budget, self.spent)
        if not questions:
            raise BudgetSpentError
        given = fresh(questions, self.known, (yield questions))
        self.spent += trials_of(given) - trials_of({one: self.known[one] for one in given if one in self.known})
        self.known.update(given)
