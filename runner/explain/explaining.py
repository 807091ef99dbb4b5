"""Why do two cells differ? The steps one after another, each an experiment that stands on the ones before.

Is it real, which axis, which release, which mechanism: every step is a search of `investigate`, answered by trials.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.explain.asking import Asking, Budget
from runner.explain.places import Span, is_ordered, places
from runner.explain.removed import removed
from runner.explain.switches import BRING_BACK, made_for, switchings
from runner.explain.telling import telling_of
from runner.explain.tracing import trace
from runner.investigate import (
    AttributeRules,
    BisectRules,
    BudgetSpentError,
    Combination,
    Factor,
    InterveneRules,
    Told,
    answered,
    attribute,
    bisect,
    intervene,
)
from runner.outcomes.comparing import compare
from runner.session.environments import releases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runner.explain.removed import Removed
    from runner.explain.telling import Telling
    from runner.explain.tracing import Traced
    from runner.investigate import Attribution, Bisection, Cause, Interventions
    from runner.investigate.bisected import Place
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.judged_cell import JudgedCell
    from runner.session.session import Session


MOST_FOR_PACKAGES = 40
"""So many trials are run to tell which of the packages that an axis brought along does it."""
_FRAMEWORK = frozenset({"tensorflow", "tensorflow_core", "keras", "tf_keras"})
"""What TensorFlow and Keras are imported by; their releases go together."""


@dataclass(frozen=True, kw_only=True)
class Bisected:
    """One axis that was walked."""

    span: Span
    found: Bisection


@dataclass(kw_only=True)
class Explanation:
    """All that an investigation came to; what was not asked, or not reached, is None or empty."""

    good: Combination
    bad: Combination
    shared: Mapping[str, str]
    outcomes: tuple[JudgedCell, JudgedCell]
    """Of the good and the bad cell, as the matrix's own `seeds:` give them."""
    compared: CellComparison
    telling: Telling | None
    asking: Asking
    attribution: Attribution | None = None
    bisected: list[Bisected] = field(default_factory=list)
    pair: tuple[Combination, Combination] | None = None
    """The closest good and bad cells: what interventions are tried on."""
    removed: Removed | None = None
    """Where the bad cell fails because something is not there: what the packages say of it themselves."""
    interventions: Interventions | None = None
    traced: Traced | None = None

    @property
    def real(self) -> bool:
        """Whether the two cells differ, by their own trials."""
        found = self.attribution
        return found is not None and (found.good, found.bad) == (Told.GOOD, Told.BAD)


def explain(
    session: Session,
    good: Mapping[str, str],
    bad: Mapping[str, str],
    *,
    budget: Budget | None = None,
    every: str = "patch",
    tell: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """Find out why two cells of a matrix differ; `good` and `bad` are all their axis values.

    `every` says which releases a bisection may land on, `tell` hears what is being asked. Raises what a run raises.
    """
    shared = {name: value for name, value in good.items() if bad.get(name) == value}
    asking = Asking(session=session, budget=budget or Budget(), shared=shared)
    ends = _apart(good, shared), _apart(bad, shared)
    tell("Is it real? Both cells, under the seeds of the matrix.")
    results = asking.both(*ends)
    ours, theirs = (asking.trials[one] for one in ends)
    found = Explanation(
        good=ends[0],
        bad=ends[1],
        shared=shared,
        outcomes=(results.outcomes[0], results.outcomes[1]),
        compared=compare(results.outcomes[1], results.outcomes[0]),
        telling=telling_of(ours, theirs, criterion=bool(asking.matrix.criterion)),
        asking=asking,
    )
    if found.telling is None:
        return found
    asking.rejudge(found.telling)
    _Steps(found, every=every, tell=tell).go()
    return found


def _apart(values: Mapping[str, str], shared: Mapping[str, str]) -> Combination:
    return Combination(values=tuple((name, value) for name, value in values.items() if name not in shared))


@dataclass
class _Steps:
    """The steps after it is known that the cells look different."""

    found: Explanation
    every: str
    tell: Callable[[str], None]

    def go(self) -> None:
        found, asking = self.found, self.found.asking
        self.tell(f"Which axis? {found.telling.words if found.telling else ''}")
        factors = self._factors()
        found.attribution = self._attributed(factors, components=False)
        if not found.real:
            return
        for cause in found.attribution.causes:
            self._bisect(cause)
        found.pair = self._closest()
        found.removed = removed(asking, *found.pair)
        if all(self._trains(one) for one in found.pair):
            self.tell("Where first? Both cells from the same weights on, with the same batches.")
            with suppress(BudgetSpentError):
                found.traced = trace(asking, *found.pair)
        if found.removed is None:
            self._intervene(*found.pair)
        elif found.removed.package in _FRAMEWORK:
            self._intervene(*found.pair, only=BRING_BACK)
            return  # it was theirs, and not of another package that came along
        if asking.budget.ended:
            return
        self.tell("Which package? What the axes brought along, each by itself.")
        found.attribution = self._attributed(factors, components=True)
        for cause in found.attribution.causes:
            self._bisect_packages(cause)

    def _attributed(self, factors: Sequence[Factor], *, components: bool) -> Attribution:
        """Which axes; with `components` also which of the packages that they brought along: that takes the most."""
        asking = self.found.asking
        known = asking.recorded(list(asking.trials))
        rules = AttributeRules(components=components, budget=MOST_FOR_PACKAGES if components else None)
        return answered(attribute(factors, rules, known), asking)

    def _trains(self, about: Combination) -> bool:
        """Whether a training was seen in a trial of a cell: else there are no steps."""
        return any(record.phases for record, _ in self.found.asking.trials.get(about, ()))

    def _factors(self) -> list[Factor]:
        good, bad = dict(self.found.good.values), dict(self.found.bad.values)
        return [Factor(name=name, good=good.get(name), bad=bad.get(name)) for name in {**good, **bad}]

    def _bisect(self, cause: Cause) -> None:
        """Walk every ordered axis of a cause, the others of the cause at their bad value."""
        good, bad = dict(self.found.good.values), dict(self.found.bad.values)
        ordered = [name for name in cause.factors if name in good and is_ordered(name, good[name], bad.get(name, ""))]
        leading = [name for name in ordered if name in cause.needed] or ordered[:1]
        for axis in leading:
            along = {name: (good[name], bad[name]) for name in ordered if name not in leading}
            values = {
                name: bad[name] if name in cause.factors else good[name]
                for name in good
                if name != axis and name not in along
            }
            self._walk(Span(axis=axis, good=good[axis], bad=bad[axis], values=values, along=along))

    def _bisect_packages(self, cause: Cause) -> None:
        if cause.components is not None:
            for inner in cause.components.causes:
                self._walk_packages(cause.components, inner)

    def _walk_packages(self, within: Attribution, cause: Cause) -> None:
        """Walk every package that a cause brought along and that does it, the others of the set at their bad value."""
        known = {factor.name: factor for factor in within.factors}
        bad = next(one.combination for one in within.tried if one.moved == frozenset(cause.factors))
        for factor in (known[name] for name in cause.needed):
            if factor.pinned and factor.good and factor.bad and is_ordered(factor.name, factor.good, factor.bad):
                values = dict(bad.values)
                span = Span(axis=factor.name, good=factor.good, bad=factor.bad, values=values, along={}, pins=bad.pins)
                self._walk(span)

    def _walk(self, span: Span) -> None:
        asking = self.found.asking
        axis = places_of(asking.session, span, self.every)
        if len(axis) == 2:
            return
        self.tell(f"Which release? {len(axis)} of {span.axis}, from {span.good} to {span.bad}.")
        fault = self.found.attribution.fault if self.found.attribution else None
        found = answered(bisect(axis, BisectRules(fault=fault), asking.recorded(axis)), asking)
        self.found.bisected.append(Bisected(span=span, found=found))

    def _closest(self) -> tuple[Combination, Combination]:
        """The two sides of the last flip that breaks, where one axis was walked; else the cells that were given.

        A side that was not tried, since the budget ended, has told nothing: the next one that was stands for it.
        """
        if len(self.found.bisected) == 1:
            found = self.found.bisected[0].found
            breaking = [flip for flip in found.flips if flip.breaks]
            if breaking:
                flip = breaking[-1]
                good = tried_place(reversed(found.places[: flip.good + 1]), Told.GOOD)
                bad = tried_place(found.places[flip.bad :], Told.BAD)
                return good or self.found.good, bad or self.found.bad
        return self.found.good, self.found.bad

    def _intervene(self, good: Combination, bad: Combination, only: frozenset[str] = frozenset()) -> None:
        """Try the switches of two cells, or those of them that `only` names."""
        asking = self.found.asking
        initial = self.found.traced.initial if self.found.traced else None
        switches = [one for one in switchings(asking, good, bad) if not only or one.name in only]
        if not only:
            switches += made_for(asking, good, bad, initial)
        if not switches:
            return
        self.tell(f"Which mechanism? {len(switches)} switches, one at a time.")
        about = [good, bad, *(one.on for one in switches), *(one.reverse for one in switches if one.reverse)]
        self.found.interventions = answered(
            intervene(good, bad, switches, InterveneRules(), asking.recorded(about)), asking
        )


def tried_place(places: Iterable[Place], told: Told) -> Combination | None:
    """The first of some places that is known by trials of its own to be good, or bad."""
    return next((one.combination for one in places if one.told is told and one.evidence is not None), None)


def places_of(session: Session, span: Span, every: str) -> Sequence[Combination]:
    """The cells along a span, by what the package index has and the engine can provide."""
    return places(span, releases_in(session.catalog), session.engine.pythons, every)
