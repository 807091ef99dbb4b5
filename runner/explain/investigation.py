"""The investigation of why two cells differ: steps one after another, each standing on the experiments before it.

Is it real, which axis, which release, which mechanism: every step is a search of `investigate`, answered by trials. The
searches return the parts of the account; `Investigation.account` puts them together.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.explain.account_sentences import sentences_of, unknown_of
from runner.explain.distinction import DistinctionKind, distinction_between, finals
from runner.explain.experimenter import Budget, Experimenter
from runner.explain.removal import removed_name
from runner.explain.step_comparison import compare_steps
from runner.explain.switches import FRAMEWORK, interventions_on
from runner.explain.walk import Span, is_ordered, places_of
from runner.investigate.attribute import attribute
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.intervene import InterveneRules, intervene
from runner.investigate.question import AttributeRules, BudgetSpentError, Combination, answered
from runner.matrix.cell_id import CellId
from runner.outcomes.account import Account, Decision, Factor, Side
from runner.outcomes.comparing import compare
from runner.outcomes.significance import fisher, rate_interval
from runner.session.options import Unwatched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.explain.distinction import Distinction
    from runner.explain.step_comparison import InitialWeights
    from runner.investigate.attribute import Attribution
    from runner.investigate.intervene import Interventions
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix
    from runner.outcomes.account import Bisection, Cause, Counts, RemovedName, TraceFinding, Tried
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.judged_cell import JudgedCell
    from runner.session.options import Observer

MOST_FOR_PACKAGES = 40
"""The most trials that are run to find out which of the packages that an axis brought along does it."""


@dataclass(kw_only=True)
class Investigation:
    """All that was found so far; what was not asked, or not reached, is None or empty."""

    good: Combination
    bad: Combination
    outcomes: tuple[JudgedCell, JudgedCell]
    """Of the good and the bad cell, as the matrix's own `seeds:` give them."""
    compared: CellComparison
    distinction: Distinction | None
    experimenter: Experimenter
    attribution: Attribution | None = None
    bisections: list[tuple[Bisection, Sequence[Combination]]] = field(default_factory=list)
    """Each with the combinations that its places stand for."""
    pair: tuple[Combination, Combination] | None = None
    """The closest good and bad cells: those that interventions are tried on."""
    removed: RemovedName | None = None
    interventions: Interventions | None = None
    trace: TraceFinding | None = None

    @property
    def real(self) -> bool:
        """True where the two cells differ, by their own trials."""
        found = self.attribution
        return found is not None and (found.good, found.bad) == (Decision.GOOD, Decision.BAD)

    def account(self, command: str) -> Account:
        """The account, with the sentences that its findings allow; `command` is what asked for it."""
        experimenter, pair = self.experimenter, self.pair
        rates, level = self.compared.rates, self.compared.level
        found = Account(
            id=self._id(),
            runner_version=importlib.metadata.version("convergence-matrix"),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            engine=experimenter.laboratory.equipment.engine.kind.value,
            matrix=experimenter.matrix.path.name,
            command=command,
            good=self._side(self.good, self.outcomes[0]),
            bad=self._side(self.bad, self.outcomes[1]),
            shared=dict(experimenter.shared.values),
            telling=str(self.distinction or ""),
            fault=self.distinction.fault if self.distinction else "",
            ending=self.distinction is not None and self.distinction.kind is DistinctionKind.ENDING,
            real=self.real,
            comparison=self._comparison(),
            p=rates.adjusted_p if rates and rates.sure else level.adjusted_p if level else None,
            causes=self.attribution.causes if self.attribution else (),
            tried=self.attribution.tried if self.attribution else (),
            bisections=tuple(bisection for bisection, _ in self.bisections),
            pair=(self._values(pair[0]), self._values(pair[1])) if pair else None,
            removed=self.removed,
            switches=self.interventions.tested if self.interventions else (),
            trace=self.trace,
            sentences=(),
            trials=experimenter.budget.executed,
            rests_on=sum(record.ran for trials in experimenter.trials.values() for record, _ in trials),
            seconds=round(time.monotonic() - experimenter.budget.begun, 1),
        )
        found = found.model_copy(update={"sentences": tuple(sentences_of(found))})
        return found.model_copy(update={"unknown": tuple(unknown_of(found, ended=experimenter.budget.ended))})

    def _comparison(self) -> str:
        """Effect and p value by all trials of the two cells; those of the matrix's own seeds did not separate them."""
        if self.attribution is None or self.real:
            return self.compared.reason
        moves = self.attribution.moves
        ends = [one.tried.counts for one in moves if one.combination in {self.good, self.bad}]
        (good, of_good), (bad, of_bad) = [_successes(counts) for counts in ends[:2]]
        text = f"{good} of {of_good} trials pass against {bad} of {of_bad}"
        if not (of_good and of_bad):
            return text
        low, high = rate_interval((bad, good), (of_bad, of_good))
        p = fisher((good, bad), (of_good, of_bad))
        return f"{text}, rates that differ by {100 * low:+.0f} to {100 * high:+.0f} percentage points, p = {p:.2g}"

    def _id(self) -> str:
        """The same for the same question about the same matrix."""
        experimenter = self.experimenter
        ends = [[list(pair) for pair in one.cell.pairs] for one in (self.good, self.bad)]
        question = [experimenter.matrix.path.name, dict(experimenter.shared.values), *ends]
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]

    def _side(self, about: Combination, outcome: JudgedCell) -> Side:
        return Side(
            values=self._values(about),
            outcome=str(outcome.outcome),
            converged=outcome.converged,
            counted=outcome.counted,
            finals=tuple(finals(outcome.trials)),
        )

    def _values(self, about: Combination) -> dict[str, str]:
        return dict(self.experimenter.cell(about).values)


def _successes(counts: Counts) -> tuple[int, int]:
    """The number of trials that pass, and of how many that count."""
    return counts.good, counts.good + counts.bad + counts.other


def explain(
    laboratory: Laboratory,
    matrix: Matrix,
    good: CellId,
    bad: CellId,
    *,
    budget: Budget | None = None,
    every: str = "patch",
    observer: Observer | None = None,
) -> Investigation:
    """Find out why two cells of a matrix differ.

    `every` says which releases a bisection may land on, `observer` hears what is being asked. Raises what a run raises.
    """
    shared = CellId.of({name: value for name, value in good if bad.get(name) == value})
    experimenter = Experimenter(
        laboratory=laboratory,
        matrix=matrix,
        observer=observer or Unwatched(),
        budget=budget or Budget(),
        shared=shared,
    )
    ends = _without(good, shared), _without(bad, shared)
    experimenter.observer.note("Is it real? Both cells, under the seeds of the matrix.")
    outcomes = experimenter.compared(*ends)
    ours, theirs = (experimenter.trials[one] for one in ends)
    found = Investigation(
        good=ends[0],
        bad=ends[1],
        outcomes=outcomes,
        compared=compare(outcomes[1], outcomes[0]),
        distinction=distinction_between(ours, theirs, criterion=bool(experimenter.matrix.criterion)),
        experimenter=experimenter,
    )
    if found.distinction is None:
        return found
    experimenter.judge_by(found.distinction)
    _Steps(found, every=every).go()
    return found


def _without(cell: CellId, shared: CellId) -> Combination:
    return Combination.of({name: value for name, value in cell if shared.get(name) is None})


@dataclass
class _Steps:
    """The steps after it is known that the cells look different."""

    found: Investigation
    every: str

    def go(self) -> None:
        found, experimenter = self.found, self.found.experimenter
        self.found.experimenter.observer.note(f"Which axis? {found.distinction}")
        factors = self._factors()
        found.attribution = self._attributed(factors, components=False)
        if not found.real:
            return
        for cause in found.attribution.causes:
            self._bisect(cause)
        found.pair = self._closest()
        found.removed = removed_name(experimenter, *found.pair)
        initial = None
        if all(self._trains(one) for one in found.pair):
            self.found.experimenter.observer.note(
                "Where first? Both cells from the same weights on, with the same batches."
            )
            with suppress(BudgetSpentError):
                found.trace, initial = compare_steps(experimenter, *found.pair)
        self._intervene(*found.pair, initial=initial)
        if found.removed and found.removed.package in FRAMEWORK:
            return  # it was theirs, and not of another package that came along
        if experimenter.budget.ended:
            return
        self.found.experimenter.observer.note(
            "Which package? The packages that the axes brought along, each by itself."
        )
        found.attribution = self._attributed(factors, components=True)
        for within in found.attribution.inner:
            if within is not None:
                self._bisect_packages(within)

    def _attributed(self, factors: Sequence[Factor], *, components: bool) -> Attribution:
        """The axes that do it; with `components` also the packages that came along: that takes the most trials."""
        experimenter = self.found.experimenter
        known = experimenter.recorded(list(experimenter.trials))
        rules = AttributeRules(components=components, budget=MOST_FOR_PACKAGES if components else None)
        return answered(attribute(factors, rules, known), experimenter.answer)

    def _trains(self, about: Combination) -> bool:
        """True where a training was seen in a trial of a cell: else there are no steps."""
        return any(record.phases for record, _ in self.found.experimenter.trials.get(about, ()))

    def _factors(self) -> list[Factor]:
        good, bad = self.found.good.cell, self.found.bad.cell
        names = dict.fromkeys([*good.values, *bad.values])
        return [Factor(name=name, good=good.get(name), bad=bad.get(name)) for name in names]

    def _bisect(self, cause: Cause) -> None:
        """Walk every ordered axis of a cause, the others of the cause at their bad value."""
        good, bad = self.found.good.cell.values, self.found.bad.cell.values
        ordered = [name for name in cause.names if name in good and is_ordered(name, good[name], bad.get(name, ""))]
        leading = [name for name in ordered if name in cause.needed] or ordered[:1]
        for axis in leading:
            along = {name: (good[name], bad[name]) for name in ordered if name not in leading}
            beside = {
                name: bad[name] if name in cause.names else good[name]
                for name in good
                if name != axis and name not in along
            }
            self._walk(Span(axis=axis, good=good[axis], bad=bad[axis], beside=CellId.of(beside), along=along))

    def _bisect_packages(self, within: Attribution) -> None:
        """Walk every package that a cause brought along and that does it, the others of the set at their bad value."""
        for cause in within.causes:
            bad = next(one.combination for one in within.moves if one.factors == frozenset(cause.names))
            for factor in cause.factors:
                if factor.name not in cause.needed or not (factor.pinned and factor.good and factor.bad):
                    continue
                if is_ordered(factor.name, factor.good, factor.bad):
                    self._walk(
                        Span(
                            axis=factor.name,
                            good=factor.good,
                            bad=factor.bad,
                            beside=bad.cell,
                            along={},
                            pins=bad.pins,
                        )
                    )

    def _walk(self, span: Span) -> None:
        experimenter = self.found.experimenter
        places = places_of(experimenter.laboratory, span, self.every)
        if len(places) == 2:
            return
        self.found.experimenter.observer.note(
            f"Which release? {len(places)} of {span.axis}, from {span.good} to {span.bad}."
        )
        rules = BisectRules(fault=self.found.attribution.fault if self.found.attribution else None)
        search = bisect(places, rules, experimenter.recorded(places), axis=span.axis)
        self.found.bisections.append((answered(search, experimenter.answer), places))

    def _closest(self) -> tuple[Combination, Combination]:
        """The two sides of the last flip that breaks, where one axis was walked; else the cells that were given.

        A side without trials of its own, since the budget ended, shows nothing: the next one that has some is taken.
        """
        if len(self.found.bisections) == 1:
            ((found, places),) = self.found.bisections
            breaking = [flip for flip in found.flips if flip.breaks]
            if breaking:
                flip = breaking[-1]
                tried = list(zip(found.places, places, strict=True))
                good = first_tried(reversed(tried[: flip.good + 1]), Decision.GOOD)
                bad = first_tried(tried[flip.bad :], Decision.BAD)
                return good or self.found.good, bad or self.found.bad
        return self.found.good, self.found.bad

    def _intervene(self, good: Combination, bad: Combination, *, initial: InitialWeights | None) -> None:
        """Try the switches of two cells."""
        experimenter = self.found.experimenter
        switches = interventions_on(experimenter, good, bad, removed=self.found.removed, initial=initial)
        if not switches:
            return
        self.found.experimenter.observer.note(
            f"Which mechanism? {len(switches)} switch{'' if len(switches) == 1 else 'es'}, one at a time."
        )
        about = [good, bad, *(one.on for one in switches), *(one.reverse for one in switches if one.reverse)]
        search = intervene(good, bad, switches, InterveneRules(), experimenter.recorded(about))
        self.found.interventions = answered(search, experimenter.answer)


def first_tried(places: Iterable[tuple[Tried, Combination]], decision: Decision) -> Combination | None:
    """The first of some places that is good, or bad, by trials of its own."""
    return next((about for one, about in places if one.told is decision and one.counts.trials), None)
