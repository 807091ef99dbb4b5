"""One matrix in a laboratory: what is planned, what is asked next, and what all cells come to.

`with open_session(Matrix.load("matrix.yaml"), Options(engine="venv")) as session: session.run()`
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from runner.environments.lock import Lock
from runner.errors import BuildFailedError, MatrixError, UsageError
from runner.laboratory.laboratory import open_laboratory
from runner.laboratory.request import Stored
from runner.laboratory.setup import Group, Setup, groups_of
from runner.matrix.cell_id import CellId
from runner.matrix.cells import expand, select
from runner.matrix.model import Seeds
from runner.matrix.settle import missing_versions, settle
from runner.plurals import counted
from runner.session.ledger import lacking_for, ledger_of
from runner.session.options import Observer, Options, Unwatched, keep_last_run, read_last_run
from runner.session.plan import CellPlan, EnvironmentPlan, Plan
from runner.session.results import Results, keep_comparisons, read_comparisons, report_of, results_of
from runner.session.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.engines.protocol import Image
    from runner.environments.lock import Environment, Ground, Unresolvable
    from runner.laboratory.equipment import World
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.result import Result
    from runner.outcomes.sparse import SparseMatrix
    from runner.session.ledger import Ledger
    from runner.session.shards import Division


class Session:
    """One matrix and the laboratory that answers it, which whoever opened it closes."""

    def __init__(
        self,
        matrix: Matrix,
        laboratory: Laboratory,
        options: Options | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.options = options or Options()
        own, n = matrix.seeds, self.options.seeds
        fixed = Seeds(lead=n, cap=n, fixed=True, as_written=own.as_written) if n else own
        self._given = replace(matrix, seeds=replace(fixed, paired=self.options.pair))
        self.laboratory = laboratory
        self.observer: Observer = observer or Unwatched()

    @cached_property
    def matrix(self) -> Matrix:
        """The matrix with every version named: what ranges, `latest` and `era` mean is asked of the index.

        Raises MatrixError where they mean nothing there.
        """
        return self._given if self._given.settled else settle(self._given, self.laboratory.releases)

    @cached_property
    def setup(self) -> Setup:
        """The setup that the trials of all cells share; what a user should know of it is told."""
        setup = Setup.of(self.matrix)
        for note in setup.notes:
            self.observer.note(note)
        return setup

    @cached_property
    def all_cells(self) -> tuple[Cell, ...]:
        """The cells of the matrix."""
        return expand(self.matrix)

    @cached_property
    def sparse(self) -> SparseMatrix | None:
        """What chooses the cells that are run, where not all are; cells that are named are run in any case."""
        if not self.matrix.ways or self.options.only or self.options.again:
            return None
        from runner.outcomes.sparse import SparseMatrix  # noqa: PLC0415 - most matrices are run whole

        return SparseMatrix.of(self.matrix, [cell.id for cell in self.all_cells])

    @cached_property
    def chosen(self) -> tuple[Cell, ...]:
        """The cells of the matrix that `only` selects, whichever part they are in."""
        chosen = select(self.all_cells, self.options.only) if self.options.only else self.all_cells
        if not self.options.again:
            return chosen
        named = {cell.id for text in self.options.again for cell in select(chosen, text)}
        return tuple(cell for cell in chosen if cell.id in named)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of the matrix that `only` and `shard` select."""
        shard = self.options.shard
        if shard:
            self._check_divisible()
        return self._division.cells_of(shard, self.chosen) if shard else self.chosen

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The selected cells by environment."""
        return groups_of(self.setup, self.cells)

    def _check_divisible(self) -> None:
        if self.sparse:
            raise UsageError(
                "A matrix with `cells: pairwise` or `3-wise` is run in one part: which cells come next depends on what"
                " all of them came to. Take that line out, or run it without parts."
            )

    @property
    def _division(self) -> Division:
        from runner.session.shards import Division  # noqa: PLC0415 - most matrices are run in one part

        equipment = self.laboratory.equipment
        return Division(matrix=self.matrix, store=equipment.store, files=equipment.workplace.files)

    # -- what is known without doing anything ------------------------------------------------------------------------

    def ledger(self, stored: Stored | None = None, *, whole: bool = False) -> Ledger:
        """The stored knowledge of every cell of the matrix, held against each other; `whole`: also where few run."""
        earlier = self.options.earlier
        return ledger_of(
            self.laboratory,
            self.matrix,
            self.all_cells,
            self.cells,
            stored=stored,
            lacking=lacking_for(self.matrix, self.chosen, earlier) if earlier else None,
            sparse=None if whole else self.sparse,
        )

    def plan(self) -> Plan:
        """The plan of a run: per cell its environment, what of it is made already, and its finished trials."""
        ledger, wanted = self.ledger(), Counter[CellId]()
        for progress, more in ledger.wanted():
            wanted[progress.cell.id] += more
        engine = self.laboratory.equipment.engine
        return Plan(
            engine=engine.kind,
            environments=tuple(self._plan(group, ledger, wanted) for group in self._planned(ledger)),
            left_out=len(self.cells) - len(ledger.selected),
            became=self.matrix.became,
            room=engine.room(),
            emulated=engine.emulated,
        )

    def _planned(self, ledger: Ledger) -> tuple[Group, ...]:
        """The groups of the cells that are to run."""
        if not self.sparse:
            return self.groups
        return groups_of(self.setup, [one.cell for one in ledger.selected])

    def _plan(self, group: Group, ledger: Ledger, wanted: Mapping[CellId, int]) -> EnvironmentPlan:
        environments = self.laboratory.environments
        lock = environments.locked(group.environment)
        image = self.laboratory.equipment.engine.find(lock) if lock else None
        return EnvironmentPlan(
            name=group.environment.name,
            lock=lock,
            image=image,
            sizes=environments.sizes(lock) if lock and not image else None,
            cells=tuple(
                CellPlan(cell=cell, finished=ledger.of(cell.id).ran, wanted=wanted[cell.id]) for cell in group.cells
            ),
            base_image=group.environment.base_image,
        )

    def results(self, *, recorded: bool = False) -> Results:
        """The outcomes that the stored records give now; nothing is run.

        Those of trials on this session's engine; with `recorded` on whatever engine ran last, and no engine is asked.
        """
        return self._results_of(Stored() if recorded else None)

    def last_results(self) -> Results:
        """The outcomes of what the last run of this matrix came to; no engine is asked, unless another one is named.

        Where nobody knows how it was run, those of whatever engine ran last.
        """
        last = read_last_run(self.laboratory.equipment.workplace.files, self._given)
        if last and not last.is_meant(self.options):
            return self._results_of(None)
        return self._results_of(last.stored if last else Stored())

    def _results_of(self, stored: Stored | None) -> Results:
        kept = read_comparisons(self.laboratory.equipment.workplace.files, self.matrix)
        return results_of(self.matrix, self.cells, self.ledger(stored), executed=0, kept=kept, assemble=self.assemble)

    def assemble(self, results: Results) -> Result:
        """The one result that outcomes give, with the locks, logs and accounts of this workplace."""
        locks = {
            cell.id: self.laboratory.environments.locked(group.environment)
            for group in self.groups
            for cell in group.cells
        }
        return report_of(results, locks, self.laboratory.equipment.workplace)

    def sources(self) -> dict[str, str]:
        """The SHA-256 of the files of all selected cells' scripts as they are on disk, by path, sorted."""
        scripts = {(cell.script, cell.import_flavour, cell.backend): cell for cell in self.cells}
        read = (self.laboratory.records.script(cell, self.setup) for cell in scripts.values())
        paths = sorted({file.path for script in read for file in script.files})
        folder = self.matrix.folder.absolute()
        return {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths}

    def github_jobs(self, shards: int | None = None) -> dict[str, list[dict[str, str]]]:
        """The matrix as `strategy.matrix` of a GitHub workflow takes it: a job an environment, or (`shards`) a part.

        Together the jobs are all cells, each once. Raises UsageError for more jobs than GitHub runs.
        """
        from runner.session.shards import MOST_JOBS, jobs_by_environment, jobs_by_shard  # noqa: PLC0415 - as above

        self._check_divisible()
        only = self.options.only or ""
        jobs = (
            jobs_by_environment(self.groups, self.all_cells, only)
            if shards is None
            else jobs_by_shard(self._division, self.cells, shards, only)
        )
        if len(jobs) > MOST_JOBS:
            raise UsageError(
                f"{len(jobs)} jobs are more than the {MOST_JOBS} that GitHub runs of a matrix; use --shards 20."
            )
        return {"include": jobs}

    # -- the steps one by one ----------------------------------------------------------------------------------------

    def run(self) -> Results:
        """Run every trial that is wanted and not there, and give the outcomes of all cells.

        Raises MatrixError (a version does not exist), NoEngineError, MachineError, StoppedEarly, and KeyboardInterrupt
        after all jobs are stopped. What is finished by then is kept.
        """
        with self.laboratory.claimed():
            self.laboratory.sweep()
            self._read_scripts()
            ledger = self.ledger()
            rounds = Rounds(self.laboratory, self.matrix, ledger, self.observer, self.options)
            again = rounds.again() if self.options.again is not None else []
            if again:
                number = sum(len(request.seeds) for request in again)
                self.observer.note(f"{counted(number, 'stored trial')} to run once more.")
            else:
                rounds.stop_if_decided()
            rounds.tell_cells()
            if self.sparse:
                first, whole = len(ledger.selected), counted(len(self.cells), "cell")
                self.observer.note(f"{first} of {whole} are run first, then more where outcomes differ.")
            files = self.laboratory.equipment.workplace.files
            try:
                while requests := again or rounds.next():
                    again = []
                    self.check_versions(self.setup.environment(request.cell) for request in requests)
                    rounds.run(self.setup, requests)
            finally:
                keep_last_run(files, self.matrix, self.laboratory.equipment.engine, self._grounds(), self.options)
            kept = read_comparisons(files, self.matrix)
            results = results_of(
                self.matrix, self.cells, ledger, executed=rounds.executed, kept=kept, assemble=self.assemble
            )
            keep_comparisons(files, results)
            rounds.tell_of_pairs(results.compared)
            return results

    def _grounds(self) -> set[Ground]:
        """What the locks that are there stand on."""
        locks = (self.laboratory.environments.locked(group.environment) for group in self.groups)
        return {lock.ground for lock in locks if lock}

    def _read_scripts(self) -> None:
        """Read every script before anything is made, and tell what was left alone or taken out of it."""
        told: set[str] = set()
        scripts = {(cell.script, cell.import_flavour, cell.backend): cell for cell in self.cells}
        for (_, flavour, _), cell in scripts.items():
            script = self.laboratory.records.script(cell, self.setup)
            for use in script.left_alone:
                self.observer.note(f"import={flavour} leaves alone {use}")
            if script.has_other_backend:
                told.add(f"{script.path} chooses a backend itself: the axis backend has the last word")
            there = {*dict(cell.pins), *(one.name for one in self.matrix.packages)}
            told.update(line for taken in script.taken_out if (line := taken.told(there)))
        for line in sorted(told):
            self.observer.note(line)

    def check_versions(self, environments: Iterable[Environment]) -> None:
        """Raise MatrixError where the index lacks a version that the matrix names, for environments without a lock."""
        if all(self.laboratory.environments.locked(environment) for environment in environments):
            return
        mistakes = missing_versions(self.matrix, self.laboratory.releases)
        if mistakes:
            raise MatrixError(mistakes)

    def prepared(self, *, whole: bool = False) -> tuple[Group, ...]:
        """The groups whose environments are made ahead: where few cells run, of those chosen by now, unless `whole`."""
        if whole or not self.sparse:
            return self.groups
        if len(chosen := self._planned(self.ledger())) < len(self.groups):
            cells = f"{sum(len(one.cells) for one in chosen)} of {len(self.cells)} cells that are chosen to run by now"
            few = f"{len(chosen)} of {len(self.groups)} environments, those of the {cells}"
            self.observer.note(f"{few}; --all takes the others, too.")
        return chosen

    def lock(self, *, upgrade: bool = False, whole: bool = False) -> dict[str, Lock | Unresolvable]:
        """Lock every environment that has no lock that follows from its inputs (with `upgrade`: every one)."""
        environments = [group.environment for group in self.prepared(whole=whole)]
        self.check_versions(environments)
        with self.laboratory.claimed():
            making = partial(self.laboratory.environments.lock, upgrade=upgrade)
            locks = self.laboratory.side_by_side(making, environments)
        return {environment.name: lock for environment, lock in zip(environments, locks, strict=True)}

    def build(self, *, whole: bool = False) -> dict[str, Image | str]:
        """Make every environment runnable; its image, or the reason why there is none.

        Raises MachineError, with figures, where not all of them fit on the disk.
        """
        locks = self.lock(whole=whole)
        self.laboratory.environments.check_room(lock for lock in locks.values() if isinstance(lock, Lock))
        images = self.laboratory.side_by_side(self._image_or_reason, locks.values())
        return dict(zip(locks, images, strict=True))

    def _image_or_reason(self, lock: Lock | Unresolvable) -> Image | str:
        if not isinstance(lock, Lock):
            return lock.reason
        try:
            return self.laboratory.environments.image(lock, purpose=self.setup.name)
        except BuildFailedError as error:
            return str(error)

    def only_lock(self) -> Lock:
        """The lock that all selected cells share, made if need be.

        Raises UsageError where they have several, BuildFailedError where there can be none.
        """
        if len(self.groups) > 1:
            names = "\n  ".join(group.environment.name for group in self.groups[:10])
            raise UsageError(f"{self.options.only} means {len(self.groups)} environments; name one of them:\n  {names}")
        environment = self.groups[0].environment
        self.check_versions([environment])
        return self.laboratory.environments.needed_lock(environment)

    def only_cell(self) -> Cell:
        """The one cell that `only` selects. Raises UsageError where it selects several."""
        if len(self.cells) > 1:
            names = "\n  ".join(str(cell.id) for cell in self.cells[:10])
            raise UsageError(f"{self.options.only} means {len(self.cells)} cells; name one of them:\n  {names}")
        return self.cells[0]

    def forget(self) -> int:
        """Drop the records of the selected cells, with their logs and artifacts; how many there were."""
        keys = [key for progress in self.ledger(whole=True).selected for key in progress.keys]
        with self.laboratory.claimed():
            return self.laboratory.records.forget(keys)


@contextmanager
def open_session(
    matrix: Matrix,
    options: Options | None = None,
    observer: Observer | None = None,
    *,
    world: World | None = None,
) -> Iterator[Session]:
    """A session in a laboratory of its own, beside the matrix; `world` opens what it needs.

    Where costs are judged trials run one at a time, unless `jobs` says otherwise: beside each other they would measure
    each other.
    """
    chosen, watching = options or Options(), observer or Unwatched()
    with open_laboratory(
        matrix.folder,
        chosen.named(matrix),
        observer=watching,
        world=world,
        jobs=chosen.jobs or (1 if matrix.judging.costs or chosen.pair else None),
        prune_images=chosen.prune_images,
    ) as laboratory:
        yield Session(matrix, laboratory, chosen, watching)


def run(matrix: Matrix, options: Options | None = None, observer: Observer | None = None) -> Results:
    """Run a matrix and give its results; finished trials are not repeated.

    Raises the errors of `runner.errors`: MatrixError, NoEngineError, MachineError.
    """
    with open_session(matrix, options, observer) as session:
        return session.run()
