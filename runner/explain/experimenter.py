"""The experimenter answers the questions of searches: combinations become cells, the trials of these evidence.

Every trial goes into the store of the matrix: what is there is used, and nothing is run twice.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from runner.engines.protocol import EngineKind
from runner.errors import UsageError
from runner.investigate.belief import Evidence, evidence_of
from runner.investigate.question import BudgetSpentError
from runner.laboratory.request import Request
from runner.laboratory.setup import Setup
from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.cell_id import CellId
from runner.matrix.model import Cell, Seeds
from runner.matrix.settle import is_given, missing_version
from runner.matrix.versions import parsed
from runner.outcomes.costs import against_baseline
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.tally import most_trials
from runner.scripts.patching import UNPATCHED, Patch
from runner.session.cell_progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.environments.lock import Lock
    from runner.explain.distinction import Distinction, Trial
    from runner.investigate.question import Answers, Combination, Questions
    from runner.laboratory.laboratory import Laboratory
    from runner.laboratory.request import Answer
    from runner.matrix.matrix_file import Matrix
    from runner.outcomes.judged_cell import JudgedCell
    from runner.scripts.script import Script
    from runner.session.options import Observer
    from runner.trials.record import Record


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
    """True where something was not asked because nothing was left."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int | None:
        """The number of trials that may still run; None: as many as it takes."""
        return None if self.trials is None else self.trials - self.executed

    @property
    def is_spent(self) -> bool:
        """True where something was not asked, or nothing is left for a trial of each of two cells."""
        with suppress(BudgetSpentError):
            self.check(2)
        return self.ended

    def check(self, trials: int, seconds: float = 0.0) -> None:
        """Raise BudgetSpentError where so many trials, which may take so long, are more than is left."""
        late = self.seconds is not None and time.monotonic() - self.begun + seconds > self.seconds
        if late or (self.left is not None and trials > self.left):
            self.ended = True
            raise BudgetSpentError


@dataclass(kw_only=True)
class Experimenter:
    """A customer of the laboratory; `shared` are the values of the axes on which good and bad agree.

    The matrix says how trials run and are judged: its experiment, limits, rules of time, criterion and seeds.
    """

    laboratory: Laboratory
    matrix: Matrix
    observer: Observer
    budget: Budget
    shared: CellId
    distinction: Distinction | None = None
    artifacts: tuple[str, ...] = ()
    """Further files that trials keep."""
    patch: Patch = UNPATCHED
    """What the scripts run with in place of some of their files."""
    requirements: tuple[str, ...] = ()
    """What the environments hold beside what the matrix says (PEP 508)."""
    trials: dict[Combination, list[Trial]] = field(default_factory=dict)
    """The trials of every combination that was asked about, judged by the matrix's criterion or the level's."""
    contents: dict[Combination, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def answer(self, questions: Questions) -> Answers:
        """The evidence of each combination after its further trials.

        Raises BudgetSpentError, and runs nothing, where these are more than the budget has left.
        """
        if self.distinction and self.distinction.certain:
            questions = tuple(replace(one, trials=1) for one in questions)
        trials = sum(one.trials for one in questions)
        self.budget.check(trials, self._expected_s(trials))
        wanted = {one.about: self._ran(one.about) + one.trials for one in questions}
        for number, group in groupby(sorted(wanted, key=wanted.__getitem__), key=wanted.__getitem__):
            self._take(list(group), self._exactly(number, asked=True), run=True)
        return {about: self.evidence(about) for about in wanted}

    def _expected_s(self, trials: int) -> float:
        """The time that so many trials may take, by those that ran; environments that must be made come on top."""
        ran = [record.duration_s for known in self.trials.values() for record, _ in known if record.ran]
        return ceil(trials / self.laboratory.trials_at_once(self.setup)) * median(ran) if ran else 0.0

    def recorded(self, about: Sequence[Combination]) -> Answers:
        """The evidence in the store about combinations; nothing is run."""
        combinations = [one for one in dict.fromkeys(about) if one not in self.trials]
        if combinations:
            self._take(combinations, self._exactly(MOST_RECORDED, asked=True), run=False)
        return {one: self.evidence(one) for one in about if self.trials.get(one)}

    def compared(self, good: Combination, bad: Combination) -> tuple[JudgedCell, JudgedCell]:
        """Good and bad under the matrix's own `seeds:`, or as many each as the budget has, held against each other.

        What trials may cost is measured by the good one from then on.
        """
        seeds, most = self.matrix.seeds, self.budget.left
        if most is not None and most < 2 * most_trials(seeds):
            seeds = self._exactly(max(1, min(seeds.cap, most // 2) if seeds.fixed else most // 2))
        for one in (good, bad):
            self._check_versions(self._cell(self.cell(one)))
        self.laboratory.sweep()
        progress = self._take([good, bad], seeds, run=True)
        unmade: frozenset[CellId] = frozenset()
        while True:
            judged = judge_matrix(
                [(cell, one.finished) for cell, one in progress.items()],
                seeds,
                criterion=self.matrix.criterion,
                judging=self.matrix.judging,
                baseline=self.cell(good).values,
            )
            wanted = zip(progress.values(), judged.seeds_wanted(seeds), strict=True)
            lacking = {one.cell.id: more for one, more in wanted if more and one.cell.id not in unmade}
            if not lacking:
                break
            unmade |= self._run(progress, lacking, further=True)
        if self.matrix.judging.costs:
            bound = against_baseline(self.matrix.judging, judged.by_id[self.cell(good)].trials)
            self.matrix = replace(self.matrix, judging=bound)
        self._keep([good, bad], progress)
        return judged.by_id[self.cell(good)], judged.by_id[self.cell(bad)]

    def outcomes(self, about: Sequence[Combination], *, run: bool = True) -> list[JudgedCell]:
        """The outcomes of combinations under the matrix's own `seeds:`, by as many trials as the budget has.

        Raises BudgetSpentError where it has none for each. Without `run` they are those of what is stored.
        """
        seeds, number = self.matrix.seeds, len(set(map(self.cell, about)))
        if run and self.budget.left is not None:
            left = self.budget.left // max(1, number)
            seeds = seeds if left >= most_trials(seeds) else self._exactly(max(1, min(seeds.cap, left)))
        known = self._take(about, seeds, run=False)
        lacking = [one for one in about if known[self.cell(one)].wanted] if run else []
        if lacking:
            self.budget.check(len(lacking), self._expected_s(len(lacking)))
            known = self._take(about, seeds, run=True)
        return [judge_cell(self.cell(one), known[self.cell(one)].finished, seeds) for one in about]

    def evidence(self, about: Combination) -> Evidence:
        """The evidence about a combination now."""
        trials = self.trials.get(about, [])
        trials = self.distinction.relabelled(trials) if self.distinction else trials
        seeds = replace(self.matrix.seeds, fixed=False)  # a fixed number is enough for a cell, not for a claim
        found = evidence_of(trials, seeds, contents=self.contents.get(about, ()))
        if self.distinction and self.distinction.certain and found.trials:
            found = self.distinction.made_certain(found)
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

    def base_images(self, *about: Combination) -> tuple[str, ...]:
        """The names of the base images that combinations stand on; none where the engine has no images."""
        contained = self.laboratory.equipment.engine.kind is EngineKind.DOCKER
        return tuple(self.setup.environment(self._cell(self.cell(one))).base_image for one in about if contained)

    def script(self, about: Combination) -> Script:
        """The script of a combination as the user wrote it, with the patch: without import flavour and backend."""
        values = self.cell(about).values
        written = CellId.of({axis: value for axis, value in values.items() if axis not in {"import", "backend"}})
        return self.laboratory.records.script(self._cell(written), self.setup)

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

    @property
    def setup(self) -> Setup:
        """The setup of all trials of the investigation."""
        return Setup.of(self.matrix).keeping(self.artifacts).editing(self.patch, self.requirements)

    def _exactly(self, number: int, *, asked: bool = False) -> Seeds:
        """So many seeds, whatever they show; `asked` by a search, which two that broke alike by chance do not end."""
        return Seeds(lead=number, cap=number, fixed=True, as_written=self.matrix.seeds.as_written, asked=asked)

    def _take(self, combinations: Sequence[Combination], seeds: Seeds, *, run: bool) -> Mapping[CellId, Progress]:
        """Take the trials of combinations that `seeds` asks for; those that are not stored run, where `run` is true."""
        for one in combinations:
            self.trials.setdefault(one, [])
        if not seeds.cap:
            return {}
        progress = self._stored(dict.fromkeys(map(self.cell, combinations)), seeds)
        if run:
            begun = [one for one in progress.values() if one.taken]
            known = [judge_cell(one.cell.id, one.finished, seeds) for one in begun]
            self.observer.planned([one.cell for one in progress.values()], known)
            self._run(progress, {cell: one.wanted for cell, one in progress.items() if one.wanted})
        self._keep(combinations, progress)
        return progress

    def _stored(self, cells: Iterable[CellId], seeds: Seeds) -> dict[CellId, Progress]:
        """The stored trials of cells, as far as `seeds` asks for them."""
        asked = replace(self.matrix, seeds=seeds)
        known = self.laboratory.known(self.setup, [self._cell(one) for one in cells], range(most_trials(seeds)))
        found = {one.cell.id: Progress.of(one, asked) for one in known}
        for one in found.values():
            one.recall_all()
        return found

    def _run(
        self, progress: Mapping[CellId, Progress], wanted: Mapping[CellId, int], *, further: bool = False
    ) -> frozenset[CellId]:
        """Run so many trials of cells, and what their verdicts ask for then; the cells that got none any more."""

        def take(answer: Answer) -> Sequence[int]:
            one = progress[answer.cell.id]
            verdict = one.answer(answer.record, answer.seed)
            if not answer.stored:
                self.budget.executed += answer.record.ran
                self.observer.trial_finished(one.cell, answer.record, verdict)
            more = () if further else one.begin(one.wanted)
            if not one.under_way:
                self.observer.cell_finished(one.cell, judge_cell(one.cell.id, one.finished, one.matrix.seeds))
            return more

        requests = [
            Request(
                cell=progress[cell].cell,
                before=progress[cell].taken,
                seeds=progress[cell].begin(number),
                further=further,
            )
            for cell, number in wanted.items()
        ]
        unmade = self.laboratory.run(self.setup, requests, take)
        for cell in unmade:
            progress[cell].under_way = 0
        return unmade

    def _keep(self, combinations: Sequence[Combination], progress: Mapping[CellId, Progress]) -> None:
        """Keep the trials for every combination that means the cell: some differ only in what shall not be there."""
        for about in combinations:
            found = progress[self.cell(about)]
            self.trials[about] = self._judged(one.record for one, _ in found.finished)
            lock = self.laboratory.environments.locked(self.setup.environment(found.cell))
            if lock:
                self.contents[about] = contents_of(lock)

    def _check_versions(self, cell: Cell) -> None:
        """Raise UsageError where a cell has no lock yet and the index lacks one of its versions."""
        if self.laboratory.environments.locked(self.setup.environment(cell)):
            return
        for package, version in cell.pins:
            if is_given(self.matrix, package, version):
                continue
            existing = self.laboratory.releases(package)
            if existing is None:
                raise UsageError(f"The package index has no package {package}. Check its name in the matrix.")
            if all(parsed(version) != release.version for release in existing):
                raise UsageError(f"{'; '.join(missing_version(package, version, existing))}.")

    def _cell(self, cell: CellId) -> Cell:
        """A cell as the laboratory takes it, with what its axes mean spelled out."""
        script = cell.get("script", self.matrix.experiment.script)
        if script is None:
            raise UsageError(f"{self.matrix.path.name} names no script. Give it one under `experiment:` or as an axis.")
        pins = tuple((axis, value) for axis, value in cell if axis_kind(axis) is AxisKind.PACKAGE)
        return Cell(id=cell, pins=pins, script=script)

    def judge_by(self, distinction: Distinction) -> None:
        """Judge all trials by a distinction from now on."""
        self.distinction = distinction
        for about, trials in self.trials.items():
            self.trials[about] = self._judged(record for record, _ in trials)

    def editing(self, patch: Patch, requirements: Sequence[str] = ()) -> Experimenter:
        """An experimenter of its own trials, whose scripts or environments are other ones, on top of this one's."""
        further = (*self.requirements, *requirements)
        return replace(self, patch=patch.after(self.patch), requirements=further, trials={}, contents={})

    def keeping(self, *artifacts: str) -> Experimenter:
        """An experimenter of its own trials, which keep further files and are judged by the matrix alone."""
        return replace(self, distinction=None, artifacts=artifacts, trials={}, contents={})

    def _judged(self, records: Iterable[Record]) -> list[Trial]:
        criterion = (self.distinction.level,) if self.distinction and self.distinction.level else self.matrix.criterion
        return [(record, verdict_of(record, criterion, judging=self.matrix.judging)) for record in records]


def contents_of(lock: Lock) -> tuple[tuple[str, str], ...]:
    """The contents of an environment: CPython as `python`, then every package under its axis's name, sorted."""
    packages = {_AXIS_OF.get(package.name, package.name): package.version for package in lock.packages}
    return (("python", lock.python), *sorted(packages.items()))
