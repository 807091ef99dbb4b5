"""The composition of all stages for one matrix: the only place that knows them all.

Takes a matrix and options, gives `Results`; what goes round (a verdict that asks for one more seed) goes round here.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from runner.engines.choice import open_engine
from runner.engines.protocol import JobFolder
from runner.environments import processes
from runner.environments.model import Lock
from runner.environments.times import undated_in
from runner.errors import BuildFailedError, UsageError
from runner.matrix.cells import expand, select
from runner.matrix.model import Seeds
from runner.matrix.settle import settle
from runner.scripts.script import copy_script
from runner.session.environments import ENVIRONMENTS_AT_ONCE, EnvironmentMaker, releases_in
from runner.session.group import Group, groups_of
from runner.session.observer import Observer, Silence
from runner.session.options import Options
from runner.session.plan import CellPlan, EnvironmentPlan, Plan
from runner.session.recall import ledger_of
from runner.session.results import Results, results_of
from runner.session.running import Run
from runner.session.settings import Settings
from runner.session.sharding import cells_of
from runner.session.workplace import claim, clear_jobs
from runner.trials.execution import Workplace, job_of, remove
from runner.trials.store import Store
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from runner.engines.protocol import Engine, Image
    from runner.environments.index import Catalog
    from runner.environments.model import Unresolvable
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.session.ledger import Ledger


class Session:
    """One matrix with its engine, its store and its locks. A context manager: leaving it lets go of the engine."""

    def __init__(self, matrix: Matrix, options: Options | None = None, observer: Observer | None = None) -> None:
        """Open nothing yet: the engine is asked for when something needs it."""
        self.options = options or Options()
        seeds = self.options.seeds
        fixed = Seeds(lead=seeds, cap=seeds, fixed=True, as_written=matrix.seeds.as_written) if seeds else matrix.seeds
        self._given = replace(matrix, seeds=fixed)
        self.observer: Observer = observer or Silence()
        self.workplace = Workplace(root=matrix.folder.absolute() / ".runner")
        self.stopping = threading.Event()
        self._borrowed: frozenset[str] = frozenset()
        """What belongs to another session."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in {"engine", "store"} - self._borrowed:
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        if "catalog" in self.__dict__.keys() - self._borrowed:
            self.catalog.connection.close()

    def about(self, matrix: Matrix, options: Options) -> Session:
        """A session about another matrix in the same folder, on this one's engine and package index.

        It lets go of neither, and must be left before this one.
        """
        other = Session(matrix, options, self.observer)
        other.__dict__ |= {"engine": self.engine, "catalog": self.catalog}
        other._borrowed = frozenset({"engine", "catalog"})
        other.stopping = self.stopping
        return other

    @cached_property
    def matrix(self) -> Matrix:
        """The matrix with every version named: what ranges, `latest` and `era` mean is asked of the index.

        Raises MatrixError where they mean nothing there.
        """
        if self._given.settled:
            return self._given
        return settle(self._given, releases_in(self.catalog))

    @cached_property
    def catalog(self) -> Catalog:
        """The package index that the user's configuration names; it is asked when something needs it."""
        from runner.environments.index import Catalog  # noqa: PLC0415 - not needed where all is locked

        return Catalog(undated=undated_in(self._given.as_of, self._given.dates))

    @cached_property
    def all_cells(self) -> tuple[Cell, ...]:
        """The cells of the matrix."""
        return expand(self.matrix)

    @cached_property
    def chosen(self) -> tuple[Cell, ...]:
        """The cells of the matrix that `only` selects, whichever part they are in."""
        return select(self.all_cells, self.options.only) if self.options.only else self.all_cells

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of the matrix that `only` and `shard` select."""
        return cells_of(self, self.options.shard, self.chosen) if self.options.shard else self.chosen

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The selected cells by environment."""
        return groups_of(self.matrix, self.cells)

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened on first use."""
        engine, note = open_engine(self.options.engine, base=self.options.base)
        if note:
            self.observer.note(note)
        return engine

    @cached_property
    def store(self) -> Store:
        """The records of this matrix's folder."""
        return Store(self.workplace.root / "records.sqlite")

    @cached_property
    def settings(self) -> Settings:
        """What trials are told."""
        return Settings(matrix=self.matrix, store=self.store)

    @cached_property
    def environments(self) -> EnvironmentMaker:
        """Locks and images."""
        return EnvironmentMaker(
            matrix=self.matrix,
            engine=lambda: self.engine,
            catalog=lambda: self.catalog,
            observer=self.observer,
            stopping=self.stopping,
        )

    # -- what is known without doing anything ------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What a run would do: per cell its environment, what of it is made already, and its finished trials."""
        ledger = ledger_of(self)
        wanted = Counter[str]()
        for progress, more in ledger.wanted():
            wanted[progress.cell.name] += more
        return Plan(
            engine=self.engine.kind,
            environments=tuple(self._plan(group, ledger, wanted) for group in self.groups),
            became=self.matrix.became,
            room=self.engine.room(),
        )

    def _plan(self, group: Group, ledger: Ledger, wanted: Mapping[str, int]) -> EnvironmentPlan:
        lock = self.environments.locked(group.environment)
        image = self.engine.find(lock) if lock else None
        return EnvironmentPlan(
            name=group.environment.name,
            lock=lock,
            image=image,
            sizes=self.environments.sizes(lock) if lock and not image else None,
            cells=tuple(
                CellPlan(cell=cell, finished=ledger.of(cell).ran, wanted=wanted[cell.name]) for cell in group.cells
            ),
        )

    def results(self, *, recorded: bool = False) -> Results:
        """The outcomes that the stored records give now; nothing is run.

        Those of trials on this session's engine; with `recorded` on whatever engine ran last, and no engine is asked.
        """
        return results_of(self.matrix, self.cells, ledger_of(self, recorded=recorded), self.store, executed=0)

    # -- the steps one by one ----------------------------------------------------------------------------------------

    def lock(self, *, upgrade: bool = False) -> dict[str, Lock | Unresolvable]:
        """Lock every environment that has no lock that follows from its inputs (with `upgrade`: every one)."""
        self.environments.check_versions(group.environment for group in self.groups)
        with claim(self.workplace.root):
            return self._lock(upgrade=upgrade)

    def _lock(self, *, upgrade: bool) -> dict[str, Lock | Unresolvable]:
        environments = [group.environment for group in self.groups]
        with self._side_by_side() as pool:
            locks = pool.map(partial(self.environments.lock, upgrade=upgrade), environments)
            return {environment.name: lock for environment, lock in zip(environments, locks, strict=True)}

    def build(self) -> dict[str, Image | str]:
        """Make every environment runnable; its image, or the reason why there is none.

        Raises MachineError, with figures, where not all of them fit on the disk.
        """
        locks = self.lock()
        self.environments.check_room(lock for lock in locks.values() if isinstance(lock, Lock))
        with self._side_by_side() as pool:
            return dict(zip(locks, pool.map(self._image_or_reason, locks.values()), strict=True))

    def _image_or_reason(self, lock: Lock | Unresolvable) -> Image | str:
        try:
            return self.environments.image(lock) if isinstance(lock, Lock) else lock.reason
        except BuildFailedError as error:
            return str(error)

    @contextmanager
    def _side_by_side(self) -> Iterator[Executor]:
        """Threads that make environments; where one fails, or on Ctrl-C, all that is under way is stopped."""
        with ThreadPoolExecutor(ENVIRONMENTS_AT_ONCE, "environments") as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def stop(self) -> None:
        """End everything that runs for this session now; it can't be used for more."""
        self.stopping.set()
        processes.stop()
        self.engine.stop_all()

    def run(self) -> Results:
        """Run every trial that is wanted and not there, and give the outcomes of all cells.

        Raises MatrixError (a version does not exist), NoEngineError, MachineError, StoppedEarly, and KeyboardInterrupt
        after all jobs are stopped. What is finished by then is kept.
        """
        with claim(self.workplace.root):
            clear_jobs(self.workplace.root)
            swept = self.engine.sweep()
            if swept:
                self.observer.note(f"Removed {swept} left over from a run that was killed.")
            return Run(self).go()

    def only_lock(self) -> Lock:
        """The lock that all selected cells share, made if need be.

        Raises UsageError where they have several, BuildFailedError where there can be none.
        """
        if len(self.groups) > 1:
            names = "\n  ".join(group.environment.name for group in self.groups[:10])
            raise UsageError(f"{self.options.only} means {len(self.groups)} environments; say more of it:\n  {names}")
        return self.environment_lock(self.cells[0])

    def recipe(self) -> str:
        """A Dockerfile that makes the image of the selected cells without this tool."""
        return self.environments.recipe(self.only_lock())

    def environment_of(self, cell: Cell) -> Image:
        """The image of a cell, made if need be. Raises BuildFailedError where there can be none."""
        return self.environments.image(self.environment_lock(cell))

    def environment_lock(self, cell: Cell) -> Lock:
        """The lock of a cell, made if need be. Raises BuildFailedError where there can be none."""
        environment = next(group.environment for group in self.groups if cell in group.cells)
        self.environments.check_versions([environment])
        lock = self.environments.lock(environment)
        if not isinstance(lock, Lock):
            raise BuildFailedError("install", f"{environment.name} is unresolvable: {lock.reason}")
        return lock

    def shell_command(self, cell: Cell, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command and the variables of a shell in a cell's environment, its script copied below `folder`."""
        image = self.environment_of(cell)
        setting = self.settings.of(cell, self.environment_lock(cell), image.engine, image.base_identity)
        job = job_of(Trial(setting=setting, seed=0), JobFolder(root=folder), ())
        job.folder.work.mkdir(parents=True)
        for file in (job.folder.channel, job.folder.metrics):
            file.touch()
        copy_script(setting.script, job.folder.work)
        return self.engine.shell_command(image, job)

    def forget(self) -> int:
        """Drop the records of the selected cells, with their logs and artifacts; how many there were."""
        keys = [record.key for progress in ledger_of(self).selected for record in progress.stored.values()]
        with claim(self.workplace.root):
            for key in keys:
                self.workplace.log(key).unlink(missing_ok=True)
                remove(self.workplace.artifacts(key))
            return self.store.drop(keys)
