"""Search for the mechanism: the bad cell with one thing changed at a time; what flips it is repeated and reversed.

A few switches are tried at a time, narrowest first; only those that flip the outcome are asked again, and reversed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.investigate.belief import agreeing, decision_of, trials_wanted
from runner.investigate.question import BudgetSpentError, Question, fresh, trials_in, within
from runner.outcomes.account import Counts, Decision, SearchEnding, SwitchFinding, SwitchStanding
from runner.outcomes.significance import LEVEL, fisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.belief import Evidence
    from runner.investigate.question import Answers, Combination, Search


AT_ONCE = 4
"""Switches that are tried side by side: a budget that ends between two groups loses nothing."""


@dataclass(frozen=True, kw_only=True)
class InterveneRules:
    """The certainty that each decision needs, and what it may cost."""

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
    """The number of trials that may be run; None: as many as it takes."""


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """One switch as it can be tried: the bad cell with it, and the good cell with the switch that does the reverse."""

    name: str
    breadth: int
    """The extent of its change, 1 to 9: of several that flip the outcome, the one of least breadth is the narrowest."""
    on: Combination
    does: str = ""
    """The difference that it makes, in a phrase."""
    how: str = ""
    """The call or setting that makes the difference."""
    reverse_name: str = ""
    reverse: Combination | None = None
    """None: nothing turns it the other way."""
    unless: frozenset[str] = frozenset()
    """Names of narrower switches: where one of them flips the outcome, this one is not tried."""


@dataclass(frozen=True, kw_only=True)
class Interventions:
    """All switches, those that matter first, narrowest first."""

    tested: tuple[SwitchFinding, ...]
    good: Evidence | None
    bad: Evidence | None
    ending: SearchEnding
    trials: int


def intervene(
    good: Combination,
    bad: Combination,
    switches: Sequence[Intervention],
    rules: InterveneRules | None = None,
    known: Answers | None = None,
) -> Search[Interventions]:
    """The effect of each switch on the bad cell; `known` is used before anything is asked."""
    rules = rules or InterveneRules()
    strict = min(rules.claim, (1 - rules.confidence) / max(1, len(switches)))
    attempt = _Attempt(good=good, bad=bad, rules=rules, strict=strict, known=dict(known or {}))
    before = {one.name for one in switches if attempt.trials(one.on) > attempt.enough}
    ending = SearchEnding.SURE
    repeated: set[str] = set()
    by_breadth = sorted(switches, key=lambda one: (one.breadth, one.name))
    try:
        attempt.sure.update((good, bad))
        yield from attempt.decide(good, bad)
        for start in range(0, len(by_breadth), AT_ONCE):
            group = by_breadth[start : start + AT_ONCE]
            yield from attempt.decide(*(one.on for one in group if not one.unless))
            yield from attempt.decide(*(one.on for one in group if not _needless(attempt, one, switches)))
        for one in by_breadth:
            if attempt.decision(one.on) is Decision.GOOD and not _needless(attempt, one, switches):
                yield from _repeat(attempt, one, again=one.name not in before)
                repeated.add(one.name)
    except BudgetSpentError:
        ending = SearchEnding.BUDGET
    needed = [one for one in by_breadth if not _needless(attempt, one, switches)]
    tested = [_tested(attempt, one, repeated=one.name in repeated) for one in needed]
    order = list(SwitchStanding)
    return Interventions(
        tested=tuple(
            sorted(
                tested,
                key=lambda one: (order.index(one.standing), one.breadth, one.reversed is not Decision.BAD),
            )
        ),
        good=attempt.known.get(good),
        bad=attempt.known.get(bad),
        ending=ending,
        trials=attempt.spent,
    )


def _needless(attempt: _Attempt, one: Intervention, switches: Sequence[Intervention]) -> bool:
    """True where a narrower switch that it holds flips the outcome by itself."""
    return any(attempt.leaning(other.on) is Decision.GOOD for other in switches if other.name in one.unless)


def _repeat(attempt: _Attempt, one: Intervention, *, again: bool) -> Search[None]:
    """Off and on once more, unless an earlier call did it; then the reverse of it in the good cell."""
    attempt.sure.add(one.on)
    yield from attempt.decide(one.on)
    if attempt.decision(one.on) is not Decision.GOOD:
        return
    if again:
        yield from attempt.once_more(attempt.bad)
        yield from attempt.once_more(one.on)
    if one.reverse is not None:
        yield from attempt.decide(one.reverse)


def _tested(attempt: _Attempt, one: Intervention, *, repeated: bool) -> SwitchFinding:
    fault, on = attempt.fault, attempt.known.get(one.on)
    reverse = _reversed(attempt, one.reverse) if repeated and one.reverse else None
    held = repeated and attempt.decision(one.on) is Decision.GOOD and attempt.decision(attempt.bad) is Decision.BAD
    return SwitchFinding(
        name=one.name,
        does=one.does,
        how=one.how,
        breadth=one.breadth,
        standing=_standing(attempt.leaning(one.on), reverse, held=held, blocked=_blocked(on)),
        on=_counts(on, fault),
        reverse=one.reverse_name,
        reversed=reverse,
        reversed_counts=_counts(attempt.known.get(one.reverse), fault) if one.reverse and reverse else None,
        repeated=held,
        off=_counts(attempt.known.get(attempt.bad), fault) if held else None,
    )


def _counts(evidence: Evidence | None, fault: str | None) -> Counts:
    return evidence.counts(fault) if evidence else Counts()


def _reversed(attempt: _Attempt, about: Combination) -> Decision:
    """The effect of the reverse on the good cell. One that breaks it now and then breaks it, if that is no chance."""
    decision, broken, whole = attempt.decision(about), attempt.known.get(about), attempt.known.get(attempt.good)
    if decision is not Decision.AMBIGUOUS or broken is None or whole is None:
        return decision
    counts = [(one.good, one.good + one.bad(attempt.fault)) for one in (broken, whole)]
    (some, of_some), (all_, of_all) = counts
    return Decision.BAD if fisher((some, all_), (of_some, of_all)) <= LEVEL else decision


def _blocked(evidence: Evidence | None) -> bool:
    """True where the script was not put to the test: the switch changed nothing, or there is no such environment."""
    return evidence is None or bool(evidence.blocked) or not evidence.faults


def _standing(on: Decision, reverse: Decision | None, *, held: bool, blocked: bool) -> SwitchStanding:
    match on:
        case Decision.GOOD:
            possible = reverse in {
                Decision.BAD,
                Decision.UNTESTABLE,
                None,
            }  # what can't be turned round can't speak against it
            return SwitchStanding.CAUSED_BY if held and possible else SwitchStanding.GOES_WITH
        case Decision.BAD:
            return SwitchStanding.NO_EFFECT
        case Decision.AMBIGUOUS:
            return SwitchStanding.AMBIGUOUS
        case Decision.UNTESTABLE:
            return SwitchStanding.NOT_APPLICABLE if blocked else SwitchStanding.BREAKS
        case Decision.UNDECIDED:
            return SwitchStanding.UNTRIED


@dataclass(kw_only=True)
class _Attempt:
    """The answers so far, and their cost."""

    good: Combination
    bad: Combination
    rules: InterveneRules
    strict: float
    """The doubt that is left to what a claim rests on."""
    known: dict[Combination, Evidence]
    sure: set[Combination] = field(default_factory=set)
    """The combinations that a claim rests on."""
    spent: int = 0

    @property
    def fault(self) -> str | None:
        """The fault that counts as bad: the bad cell's."""
        bad = self.known.get(self.bad)
        return bad.fault if bad else None

    def decision(self, about: Combination) -> Decision:
        """The decision about a combination now."""
        return decision_of(self.known.get(about), self.fault, error=self._error(about), cap=self.rules.cap)

    def leaning(self, about: Combination) -> Decision:
        """The decision by the doubt that is left to a switch that claims nothing."""
        return decision_of(self.known.get(about), self.fault, error=self.rules.error, cap=self.rules.cap)

    def decide(self, *about: Combination) -> Search[None]:
        """Ask for these side by side until each is decided. Raises BudgetSpentError."""
        while open_ := [one for one in dict.fromkeys(about) if self.decision(one) is Decision.UNDECIDED]:
            yield from self._ask(*(Question(about=one, trials=self._wanted(one)) for one in open_))

    def once_more(self, about: Combination) -> Search[None]:
        """One more trial, whatever is known, where one can be had. Raises BudgetSpentError."""
        evidence = self.known.get(about)
        if evidence is None or not (evidence.exhausted or evidence.trials >= self.rules.cap):
            yield from self._ask(Question(about=about, trials=1))
        yield from self.decide(about)

    def trials(self, about: Combination) -> int:
        """The number of known trials of a combination."""
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
        self.spent += trials_in(given) - trials_in({one: self.known[one] for one in given if one in self.known})
        self.known.update(given)
