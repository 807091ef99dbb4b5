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
from runner.explain.foreseen import foreseen
from runner.explain.removal import removed_name
from runner.explain.step_comparison import compare_calls, compare_steps
from runner.explain.switches import FRAMEWORK, OUTSIDE_TRAINING, interventions_on
from runner.explain.walk import Span, is_ordered, places_of
from runner.investigate.attempt import InterveneRules
from runner.investigate.attribute import attribute
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.intervene import intervene
from runner.investigate.question import AttributeRules, BudgetSpentError, Combination, answered
from runner.matrix.cell_id import CellId
from runner.outcomes.account import Account, Decision, Factor, Side
from runner.outcomes.comparing import compare
from runner.outcomes.significance import fisher, rate_interval
from runner.outcomes.verdict import Label
from runner.scripts.patching import UNPATCHED
from runner.session.options import Unwatched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.explain.distinction import Distinction
    from runner.explain.step_comparison import InitialWeights
    from runner.investigate.attribute import Attribution
    from runner.investigate.intervene import Interventions
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix
    from runner.outcomes.account import Bisection, Cause, Counts, ForeseenChange, RemovedName, TraceFinding, Tried
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.judged_cell import JudgedCell
    from runner.scripts.patching import Patch
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
    begun: tuple[int, float]
    """The trials that had run for others before, and when it began (`time.monotonic`)."""
    attribution: Attribution | None = None
    bisections: list[tuple[Bisection, Sequence[Combination]]] = field(default_factory=list)
    """Each with the combinations that its places stand for."""
    pair: tuple[Combination, Combination] | None = None
    """The closest good and bad cells: those that interventions are tried on."""
    removed: RemovedName | None = None
    foreseen: tuple[ForeseenChange, ...] = ()
    interventions: Interventions | None = None
    spared: int = 0
    """The number of switches that were not tried: the cause was proven, or lies before what they act on."""
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
        rule = self.distinction and self.distinction.told(experimenter.trials.get(self.bad, ()))
        leveled = rule is not None and rule.kind is DistinctionKind.LEVEL
        found = Account(
            id=question_id(experimenter.matrix, *(experimenter.cell(one) for one in (self.good, self.bad))),
            runner_version=importlib.metadata.version("convergence-matrix"),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            engine=experimenter.laboratory.equipment.engine.kind.value,
            matrix=experimenter.matrix.path.name,
            command=command,
            good=self._side(self.good, self.outcomes[0]),
            bad=self._side(self.bad, self.outcomes[1]),
            shared=dict(experimenter.shared.values),
            telling=str(rule or ""),
            fault=rule.fault if rule else "",
            ending=rule is not None and rule.kind is DistinctionKind.ENDING,
            leveled=leveled,
            real=self.real,
            comparison=self._comparison(),
            p=level.adjusted_p if level and leveled else rates.adjusted_p if rates and rates.sure else None,
            causes=self.attribution.causes if self.attribution else (),
            tried=self.attribution.tried if self.attribution else (),
            bisections=tuple(bisection for bisection, _ in self.bisections),
            pair=(self._values(pair[0]), self._values(pair[1])) if pair else None,
            removed=self.removed,
            foreseen=self.foreseen,
            switches=self.interventions.tested if self.interventions else (),
            spared=self.spared,
            trace=self.trace,
            sentences=(),
            trials=experimenter.budget.executed - self.begun[0],
            rests_on=sum(record.ran for trials in experimenter.trials.values() for record, _ in trials),
            seconds=round(time.monotonic() - self.begun[1], 1),
            ended=experimenter.budget.ended,
        )
        found = found.model_copy(update={"sentences": tuple(sentences_of(found))})
        bases = experimenter.base_images(self.good, self.bad)
        unknown = tuple(unknown_of(found, ended=experimenter.budget.ended, bases=bases))
        return found.model_copy(update={"unknown": unknown})

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


def question_id(matrix: Matrix, good: CellId, bad: CellId) -> str:
    """The id of an account: the same for the same question about the same matrix."""
    shared = {name: value for name, value in good if bad.get(name) == value}
    ends = [[list(pair) for pair in _without(one, CellId.of(shared)).cell.pairs] for one in (good, bad)]
    text = json.dumps([matrix.path.name, shared, *ends], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def explain(
    laboratory: Laboratory,
    matrix: Matrix,
    good: CellId,
    bad: CellId,
    *,
    budget: Budget | None = None,
    every: str = "patch",
    thorough: bool = False,
    observer: Observer | None = None,
    patch: Patch = UNPATCHED,
) -> Investigation:
    """Find out why two cells of a matrix differ.

    `every` says which releases a bisection may land on, `thorough` goes on once a cause is proven, `observer` hears
    what is being asked, `patch` is what the script runs with. Raises what a run raises.
    """
    shared = CellId.of({name: value for name, value in good if bad.get(name) == value})
    experimenter = Experimenter(
        laboratory=laboratory,
        matrix=matrix,
        observer=observer or Unwatched(),
        budget=budget or Budget(),
        shared=shared,
        patch=patch,
    )
    begun = experimenter.budget.executed, time.monotonic()
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
        begun=begun,
    )
    if found.distinction is None:
        return found
    experimenter.judge_by(found.distinction)
    _Steps(found, every=every, thorough=thorough).go()
    return found


def _without(cell: CellId, shared: CellId) -> Combination:
    return Combination.of({name: value for name, value in cell if shared.get(name) is None})


@dataclass
class _Steps:
    """The steps after it is known that the cells look different."""

    found: Investigation
    every: str
    thorough: bool

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
        found.foreseen = foreseen(experimenter, *found.pair)
        found.removed = removed_name(experimenter, *found.pair)
        self._intervene(*found.pair, initial=None, only_likely=True)
        if not self._proven:
            initial = self._trace(*found.pair) if self.thorough or found.removed is None else None
            self._intervene(*found.pair, initial=initial)
        if found.removed and found.removed.package in FRAMEWORK:
            return  # it was theirs, and not of another package that came along
        if experimenter.budget.ended or self._proven or self._is_foreseen:
            return
        self.found.experimenter.observer.note(
            "Which package? The packages that the axes brought along, each by itself."
        )
        found.attribution = self._attributed(factors, components=True)
        for within in found.attribution.inner:
            if within is not None:
                self._bisect_packages(within)

    @property
    def _proven(self) -> bool:
        """True where a cause is proven, and nothing beyond is asked."""
        return not self.thorough and self.found.interventions is not None and self.found.interventions.proven

    @property
    def _is_foreseen(self) -> bool:
        """True where it is known what an axis of the cause changes for the script: no companion is asked then."""
        causes = self.found.attribution.causes if self.found.attribution else ()
        axes = {name for cause in causes for name in cause.names}
        axes |= {"keras", "tensorflow", "tf-keras"} if axes & {"keras", "tensorflow", "tf-keras"} else set()
        same = self.found.trace is not None and self.found.trace.agrees
        return not self.thorough and any((one.sure or same) and one.package in axes for one in self.found.foreseen)

    def _attributed(self, factors: Sequence[Factor], *, components: bool) -> Attribution:
        """The axes that do it; with `components` also the packages that came along: that takes the most trials."""
        experimenter = self.found.experimenter
        known = experimenter.recorded(list(experimenter.trials))
        rules = AttributeRules(components=components, budget=MOST_FOR_PACKAGES if components else None)
        return answered(attribute(factors, rules, known), experimenter.answer)

    def _trace(self, good: Combination, bad: Combination) -> InitialWeights | None:
        """Find the first place where the cells differ; their initial weights, where they were seen."""
        found, initial = self.found, None
        with suppress(BudgetSpentError):
            if all(self._trains(one) for one in (good, bad)):
                found.experimenter.observer.note(
                    "Where first? Both cells from the same weights on, with the same batches."
                )
                found.trace, initial = compare_steps(found.experimenter, good, bad)
            elif self._trains(good) and self._ends(bad) == {Label.CRASHED_BUILD_MODEL}:
                found.experimenter.observer.note("Where first? What the calls of both cells are given.")
                found.trace = compare_calls(found.experimenter, good, bad)
        return initial

    def _ends(self, about: Combination) -> set[Label]:
        return {verdict.label for _, verdict in self.found.experimenter.trials.get(about, ())}

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

    def _intervene(
        self, good: Combination, bad: Combination, *, initial: InitialWeights | None, only_likely: bool = False
    ) -> None:
        """Try the switches of two cells; only those that live objects speak for where `only_likely`."""
        experimenter = self.found.experimenter
        hints = [self.found.trace.sentence] if self.found.trace else []
        pointers = " ".join([*hints, *(one.path for one in self.found.foreseen)])
        switches = interventions_on(
            experimenter, good, bad, removed=self.found.removed, initial=initial, trace=pointers
        )
        spared = len(switches)
        trace = self.found.trace if not self.thorough else None
        beside = trace is not None and (trace.given or trace.agrees)  # how it trains is not why
        if only_likely or beside:
            switches = [one for one in switches if one.likely or (beside and one.name in OUTSIDE_TRAINING)]
        spared -= len(switches)
        self.found.spared = spared if beside else 0
        if not switches:
            return
        self.found.experimenter.observer.note(
            f"Which mechanism? {len(switches)} switch{'' if len(switches) == 1 else 'es'}, one at a time."
        )
        about = [good, bad, *(one.on for one in switches), *(one.reverse for one in switches if one.reverse)]
        rules = InterveneRules(thorough=self.thorough)
        search = intervene(good, bad, switches, rules, experimenter.recorded(about))
        found = answered(search, experimenter.answer)
        self.found.interventions = found
        if found.proven or beside:
            self.found.spared = found.spared + spared


def first_tried(places: Iterable[tuple[Tried, Combination]], decision: Decision) -> Combination | None:
    """The first of some places that is good, or bad, by trials of its own."""
    return next((about for one, about in places if one.told is decision and one.counts.trials), None)
