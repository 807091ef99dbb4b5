"""One switch as it can be tried, and what is known of all of them: which claim the trials allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.investigate.belief import agreeing, decision_of, trials_wanted
from runner.investigate.question import BudgetSpentError, Combination, Question, fresh, trials_in, within
from runner.outcomes.account import Counts, Decision, SwitchStanding
from runner.outcomes.significance import LEVEL, fisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.belief import Evidence
    from runner.investigate.question import Search


LEFT_OVER = 0.25
"""The share of trials that may still fail with a switch that flips the outcome."""


@dataclass(frozen=True, kw_only=True)
class InterveneRules:
    """The certainty that each decision needs, and what it may cost."""

    error: float = 0.02
    """The doubt that is left to a switch that changes nothing."""
    crash_error: float = 0.06
    """The same where the bad cell breaks before chance comes in: one trial that breaks alike shows it."""
    claim: float = 0.003
    """The most doubt that is left to what a claim rests on: four trials that agree, where chance plays a part."""
    confidence: float = 0.97
    """The probability that no switch is said to flip the outcome by luck: the more are tried, the more trials it takes
    to say it."""
    cap: int = 16
    """No combination gets more trials than this."""
    budget: int | None = None
    """The number of trials that may be run; None: as many as it takes."""
    thorough: bool = False
    """True: all switches are tried, also once a cause is proven."""


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
    likely: bool = False
    """True where the two cells, or what the trace shows, speak for it: such switches are tried first."""
    shown: bool = False
    """True where what it sets was seen to differ between the two cells: it then needs no reverse to be the cause."""

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Its place in the order of trying."""
        return not self.likely, self.breadth, self.name

    def joined(self, *others: Intervention) -> Intervention:
        """All of these made together."""
        every = (self, *others)
        reverses = [one.reverse for one in every if one.reverse is not None]
        return Intervention(
            name=" + ".join(one.name for one in every),
            breadth=max(one.breadth for one in every),
            on=_together([one.on for one in every]),
            does="; ".join(one.does for one in every),
            how="; ".join(dict.fromkeys(one.how for one in every)),
            reverse_name=" + ".join(one.reverse_name for one in every) if len(reverses) == len(every) else "",
            reverse=_together(reverses) if len(reverses) == len(every) else None,
            shown=all(one.shown for one in every),
        )


def _together(about: Sequence[Combination]) -> Combination:
    """One cell with the preludes and the pins of all of these."""
    first, *others = about
    preludes = [name for one in about for name in (one.cell.get("prelude") or "").split()]
    pins = {package: version for one in others for package, version in one.pins if (package, version) not in first.pins}
    joined = first.at("prelude", " ".join(dict.fromkeys(preludes)))
    return Combination(joined.cell, (*joined.pins, *pins.items()))


def counts_of(evidence: Evidence | None, fault: str | None) -> Counts:
    """The counts of a combination, none where nothing is known of it."""
    return evidence.counts(fault) if evidence else Counts()


def _blocked(evidence: Evidence | None) -> bool:
    """True where the script was not put to the test: the switch changed nothing, or there is no such environment."""
    return evidence is None or bool(evidence.blocked) or not evidence.faults


@dataclass(kw_only=True)
class Attempt:
    """The answers so far, and their cost."""

    good: Combination
    bad: Combination
    rules: InterveneRules
    strict: float
    """The doubt that is left to what a claim rests on."""
    known: dict[Combination, Evidence]
    sure: set[Combination] = field(default_factory=set)
    """The combinations that a claim rests on."""
    repeated: set[str] = field(default_factory=set)
    """The names of the switches that were taken back and made again."""
    sifted: set[str] = field(default_factory=set)
    """The names of switches that a trial of all of them at once stands for."""
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
        return decision_of(self.known.get(about), self.fault, error=self._little(), cap=self.rules.cap)

    def standing(self, one: Intervention) -> SwitchStanding:
        """The effect of a switch by what is known now."""
        match self.leaning(one.on):
            case Decision.GOOD:
                return self._claim(one) if self.flips(one.on) else SwitchStanding.PARTIAL
            case Decision.BAD:
                return SwitchStanding.NO_EFFECT
            case Decision.AMBIGUOUS:
                return SwitchStanding.PARTIAL if self._moves(one.on) else SwitchStanding.AMBIGUOUS
            case Decision.UNTESTABLE:
                blocked = _blocked(self.known.get(one.on))
                return SwitchStanding.NOT_APPLICABLE if blocked else SwitchStanding.BREAKS
            case Decision.UNDECIDED:
                return SwitchStanding.UNTRIED

    def flips(self, about: Combination) -> bool:
        """True where the cell is good with it.

        Not where a good part of its trials still fails, and none of the good cell's.
        """
        evidence, good = self.known.get(about), self.known.get(self.good)
        if self.leaning(about) is not Decision.GOOD or evidence is None:
            return False
        failing = evidence.bad(self.fault) / max(1, evidence.good + evidence.bad(self.fault))
        return failing <= LEFT_OVER or (good is not None and bool(good.bad(self.fault)))

    def held(self, one: Intervention) -> bool:
        """True where a switch was made, taken back and made again, each time with the same result."""
        ends = self.decision(one.on), self.decision(self.bad)
        return one.name in self.repeated and ends == (Decision.GOOD, Decision.BAD)

    def reversed(self, one: Intervention) -> Decision | None:
        """The effect of the reverse on the good cell; one that breaks it now and then breaks it, if that is no chance.

        None where it was not tried.
        """
        if one.reverse is None or one.name not in self.repeated:
            return None
        decision, broken, whole = self.decision(one.reverse), self.known.get(one.reverse), self.known.get(self.good)
        if decision is not Decision.AMBIGUOUS or broken is None or whole is None:
            return decision
        counts = [(other.good, other.good + other.bad(self.fault)) for other in (broken, whole)]
        (some, of_some), (all_, of_all) = counts
        return Decision.BAD if fisher((some, all_), (of_some, of_all)) <= LEVEL else decision

    def _claim(self, one: Intervention) -> SwitchStanding:
        """What may be said of a switch that flips the outcome."""
        reverse = self.reversed(one)
        if not self.held(one) or reverse in {Decision.GOOD, Decision.AMBIGUOUS, Decision.UNDECIDED}:
            return SwitchStanding.GOES_WITH
        return SwitchStanding.CAUSED_BY if reverse is Decision.BAD or one.shown else SwitchStanding.WAY_ROUND

    def _moves(self, about: Combination) -> bool:
        """True where more trials of the bad cell pass with a switch than without, by Fisher's exact test."""
        with_it, without = self.known.get(about), self.known.get(self.bad)
        if with_it is None or without is None:
            return False
        passing = [(one.good, one.good + one.bad(self.fault)) for one in (with_it, without)]
        (some, of_some), (none, of_none) = passing
        return some * of_none > none * of_some and fisher((some, none), (of_some, of_none)) <= LEVEL

    def _little(self) -> float:
        """The doubt that is left to a switch that claims nothing."""
        bad = self.known.get(self.bad)
        return self.rules.crash_error if bad is not None and bad.certain and bad.faults else self.rules.error

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

    def at_least(self, about: Combination, trials: int) -> Search[None]:
        """So many trials, where they can be had. Raises BudgetSpentError."""
        evidence = self.known.get(about)
        more = trials - self.trials(about)
        if more > 0 and not (evidence and evidence.exhausted):
            yield from self._ask(Question(about=about, trials=more))

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
        return self.strict if about in self.sure else self._little()

    def _ask(self, *wanted: Question) -> Search[None]:
        questions = within(wanted, self.rules.budget, self.spent)
        if not questions:
            raise BudgetSpentError
        given = fresh(questions, self.known, (yield questions))
        self.spent += trials_in(given) - trials_in({one: self.known[one] for one in given if one in self.known})
        self.known.update(given)
