"""The experimenter answers the questions of searches: combinations become cells, the trials of these evidence.

Every trial goes into the store of the matrix: what is there is used, and nothing is run twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from runner.investigate.belief import Evidence, evidence_of
from runner.investigate.question import BudgetSpentError
from runner.matrix.axes import axis_kind
from runner.matrix.cell_id import CellId
from runner.matrix.mistakes import Position
from runner.matrix.model import Axis, Partial
from runner.outcomes.judging import verdict_of
from runner.outcomes.tally import most_trials
from runner.session.running import slots_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.environments.model import Lock
    from runner.explain.distinction import Distinction, Trial
    from runner.investigate.question import Answers, Combination, Questions
    from runner.matrix.matrix_file import Matrix
    from runner.session.results import Results
    from runner.session.session import Session
    from runner.trials.record import Record


_NOWHERE = Position(line=1, column=1)
_AXIS_OF = {"tensorflow-cpu": "tensorflow", "tensorflow-gpu": "tensorflow"}
"""The axis of distributions that are installed for it under another name."""
MOST_RECORDED = 40
"""So many stored trials of a cell are looked for."""


@dataclass(kw_only=True)
class Budget:
    """The limits of an investigation, and what it has spent."""

    trials: int | None = None
    """The most trials that may run; None: as many as it takes."""
    seconds: float | None = None
    """The time after which no trial begins, nor any that would take longer than is left."""
    executed: int = 0
    ended: bool = False
    """Whether something was not asked because nothing was left."""
    begun: float = field(default_factory=time.monotonic)

    def check(self, trials: int, seconds: float = 0.0) -> None:
        """Raise BudgetSpentError where so many trials, which may take so long, are more than is left."""
        late = self.seconds is not None and time.monotonic() - self.begun + seconds > self.seconds
        if late or (self.trials is not None and self.executed + trials > self.trials):
            self.ended = True
            raise BudgetSpentError


@dataclass(kw_only=True)
class Experimenter:
    """Answers from trials; `shared` are the values of the axes on which good and bad agree."""

    session: Session
    budget: Budget
    shared: CellId
    distinction: Distinction | None = None
    artifacts: tuple[str, ...] = ()
    """Further files that trials keep."""
    trials: dict[Combination, list[Trial]] = field(default_factory=dict)
    """The trials of every combination that was asked about, judged by the matrix's criterion or the level's."""
    contents: dict[Combination, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def answer(self, questions: Questions) -> Answers:
        """The evidence of each combination after its further trials.

        Raises BudgetSpentError, and runs nothing, where these are more than the budget has left.
        """
        trials = sum(one.trials for one in questions)
        self.budget.check(trials, self._expected_s(trials))
        wanted = {one.about: self._ran(one.about) + one.trials for one in questions}
        for number, group in groupby(sorted(wanted, key=wanted.__getitem__), key=wanted.__getitem__):
            self._take(list(group), seeds=number, run=True)
        return {about: self.evidence(about) for about in wanted}

    def _expected_s(self, trials: int) -> float:
        """The time that so many trials may take, by those that ran; environments that must be made come on top."""
        ran = [record.duration_s for known in self.trials.values() for record, _ in known if record.ran]
        side_by_side = len(slots_of(self.matrix.resources.cpus, self.session.options.jobs))
        return ceil(trials / side_by_side) * median(ran) if ran else 0.0

    def recorded(self, about: Sequence[Combination]) -> Answers:
        """The evidence in the store about combinations; nothing is run."""
        combinations = [one for one in dict.fromkeys(about) if one not in self.trials]
        if combinations:
            self._take(combinations, seeds=MOST_RECORDED, run=False)
        return {one: self.evidence(one) for one in about if self.trials.get(one)}

    def compared(self, good: Combination, bad: Combination) -> Results:
        """Good and bad as the matrix's own `seeds:` ask for, or as many each as the budget has, compared."""
        derived = replace(
            matrix_of(self.matrix, [self.cell(good).values, self.cell(bad).values]), baseline=self._partial(good)
        )
        seeds, most = self.session.options.seeds, self.budget.trials
        if most is not None and most < 2 * most_trials(self.matrix.seeds):
            seeds = max(1, min(seeds or most, most // 2))
        with self._about(derived, seeds=seeds) as session:
            results = session.run()
            self._keep([good, bad], session, results)
        self.budget.executed += results.executed
        return results

    def evidence(self, about: Combination) -> Evidence:
        """The evidence about a combination now."""
        trials = self.trials.get(about, [])
        trials = self.distinction.relabelled(trials) if self.distinction else trials
        found = evidence_of(trials, self.matrix.seeds, contents=self.contents.get(about, ()))
        if why := self._changed_nothing(about):
            return Evidence(trials=found.trials, blocked=why, exhausted=True)
        return found

    def cell(self, about: Combination) -> CellId:
        """The cell that a combination means, its axes in the order of the matrix's.

        A package that shall not be there is not asked for: it is there only where another one needs it.
        """
        pins = {package: version for package, version in about.pins if version is not None}
        found = {**self.shared.values, **about.cell.values, **pins}
        names = [axis.name for axis in self.matrix.axes if axis.name in found]
        return CellId.of({name: found[name] for name in dict.fromkeys((*names, *found))})

    def _ran(self, about: Combination) -> int:
        return sum(record.ran for record, _ in self.trials.get(about, ()))

    def _changed_nothing(self, about: Combination) -> str:
        """Why a switch can't be put to the test: no trial in which it made its change; empty where one did."""
        wanted = (about.cell.get("prelude") or "").split()
        records = [record for record, _ in self.trials.get(about, ()) if record.ran]
        if not wanted or not records:
            return ""
        if any(all(run.applied for run in record.preludes) for record in records):
            return ""
        errors = [run.error for record in records for run in record.preludes if run.error]
        return errors[0] if errors else "it changed nothing in this stack"

    def _take(self, combinations: Sequence[Combination], *, seeds: int, run: bool) -> None:
        for one in combinations:
            self.trials.setdefault(one, [])
        if not seeds:
            return
        cells = [cell.values for cell in dict.fromkeys(map(self.cell, combinations))]
        derived = matrix_of(self.matrix, cells, artifacts=self.artifacts)
        with self._about(derived, seeds=seeds) as session:
            results = session.run() if run else session.results()
            self._keep(combinations, session, results)
        self.budget.executed += results.executed

    def _keep(self, combinations: Sequence[Combination], session: Session, results: Results) -> None:
        """Keep the trials for every combination that means the cell: some differ only in what shall not be there."""
        for cell, outcome in zip(results.cells, results.outcomes, strict=True):
            group = next(group for group in session.groups if cell in group.cells)
            lock = session.environments.locked(group.environment)
            for about in combinations:
                if self.cell(about) == cell.id:
                    self.trials[about] = self._judged(outcome.records)
                    self.contents |= {about: contents_of(lock)} if lock else {}

    def judge_by(self, distinction: Distinction) -> None:
        """Judge all trials by a distinction from now on."""
        self.distinction = distinction
        for about, trials in self.trials.items():
            self.trials[about] = self._judged(record for record, _ in trials)

    def keeping(self, *artifacts: str) -> Experimenter:
        """An experimenter of its own trials, which keep further files and are judged by the matrix alone."""
        return replace(self, distinction=None, artifacts=artifacts, trials={}, contents={})

    @property
    def matrix(self) -> Matrix:
        """The matrix that the investigation began with."""
        return self.session.matrix

    def _judged(self, records: Iterable[Record]) -> list[Trial]:
        criterion = (self.distinction.level,) if self.distinction and self.distinction.level else self.matrix.criterion
        return [(record, verdict_of(record, criterion, judging=self.matrix.judging)) for record in records]

    def _about(self, matrix: Matrix, *, seeds: int | None) -> Session:
        options = self.session.options
        return self.session.about(
            matrix, replace(options, only=None, shard=None, seeds=seeds, fail_fast=False, earlier=None)
        )

    def _partial(self, about: Combination) -> Partial:
        return Partial(values=self.cell(about).values, position=_NOWHERE)


def contents_of(lock: Lock) -> tuple[tuple[str, str], ...]:
    """The contents of an environment: CPython as `python`, then every package under its axis's name, sorted."""
    packages = {_AXIS_OF.get(package.name, package.name): package.version for package in lock.packages}
    return (("python", lock.python), *sorted(packages.items()))


def matrix_of(matrix: Matrix, cells: Sequence[Mapping[str, str]], *, artifacts: tuple[str, ...] = ()) -> Matrix:
    """A matrix of exactly these cells, with all else as in `matrix`: scripts, data, limits, rules of time."""
    known = {axis.name: axis for axis in matrix.axes}
    names = dict.fromkeys(name for cell in cells for name in cell)
    further = [
        Axis(name=name, kind=axis_kind(name), values=(), position=_NOWHERE) for name in names if name not in known
    ]
    kept = [replace(axis, values=()) for axis in matrix.axes if axis.name in names]
    experiment = replace(matrix.experiment, artifacts=(*matrix.experiment.artifacts, *artifacts))
    return replace(
        matrix,
        axes=(*kept, *further),
        include=tuple(Partial(values=dict(cell), position=_NOWHERE) for cell in cells),
        exclude=(),
        expect=(),
        baseline=None,
        control=False,
        became=(),
        experiment=experiment,
    )
