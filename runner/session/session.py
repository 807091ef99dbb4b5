"""The composition of all stages for one matrix: the only place that knows them all.

Takes a matrix and options, gives `Results`; what goes round (a verdict that asks for one more seed) goes round here.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from runner.engines.choose import open_engine
from runner.engines.protocol import JobFolder
from runner.environments.model import Lock
from runner.errors import BuildFailedError
from runner.matrix.expand import expand, select
from runner.matrix.model import Seeds
from runner.scripts import copy_script, read_script
from runner.session.environments import EnvironmentMaker
from runner.session.group import Group, Progress, groups_of
from runner.session.observer import Observer, Silence
from runner.session.options import Options
from runner.session.plan import CellPlan, Plan
from runner.session.results import Results, results_of
from runner.session.running import Run
from runner.session.workplace import claim, clear_jobs
from runner.trials.data import digest_of, mounts_of
from runner.trials.execute import Workplace, job_of, remove
from runner.trials.store import Store
from runner.trials.trial import Setting, Trial

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from runner.engines.protocol import Engine, Image, Mount
    from runner.environments.model import Unresolvable
    from runner.matrix.model import Cell, Matrix
    from runner.scripts import Script


class Session:
    """One matrix with its engine, its store and its locks. A context manager: leaving it lets go of the engine."""

    def __init__(self, matrix: Matrix, options: Options | None = None, observer: Observer | None = None) -> None:
        """Open nothing yet: the engine is asked for when something needs it."""
        self.options = options or Options()
        seeds = self.options.seeds
        fixed = Seeds(lead=seeds, cap=seeds, fixed=True, as_written=matrix.seeds.as_written) if seeds else matrix.seeds
        self.matrix = replace(matrix, seeds=fixed)
        self.observer: Observer = observer or Silence()
        self.workplace = Workplace(root=matrix.folder.absolute() / ".runner")
        self.stopping = threading.Event()
        self._scripts: dict[str, Script] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in ("environments", "engine", "store"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of the matrix that `only` selects."""
        cells = expand(self.matrix)
        return select(cells, self.options.only) if self.options.only else cells

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The cells by environment."""
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
    def environments(self) -> EnvironmentMaker:
        """Locks and images."""
        return EnvironmentMaker(matrix=self.matrix, engine=self.engine, observer=self.observer, stopping=self.stopping)

    # -- what is known without doing anything ------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What a run would do: per cell its environment, what of it is made already, and its finished trials."""
        plans: list[CellPlan] = []
        for group in self.groups:
            lock = self.environments.locked(group.environment)
            image = self.engine.find(lock) if lock else None
            plans += [
                CellPlan(
                    cell=progress.cell,
                    environment=group.environment.name,
                    lock=lock,
                    image=image,
                    finished=progress.ran,
                    wanted=progress.wanted(self.matrix.seeds),
                )
                for progress in self.progress(group, lock)
            ]
        return Plan(engine=self.engine.kind, cells=tuple(plans))

    def results(self) -> Results:
        """The outcomes that the stored records give now; nothing is run."""
        found: list[Progress] = []
        for group in self.groups:
            lock = self.environments.locked(group.environment)
            found += self.progress(group, lock)
        return results_of(self.matrix, self.cells, found, executed=0)

    # -- the steps one by one ----------------------------------------------------------------------------------------

    def lock(self, *, upgrade: bool = False) -> dict[str, Lock | Unresolvable]:
        """Lock every environment that has no lock that follows from its inputs (with `upgrade`: every one)."""
        self.environments.check_versions(group.environment for group in self.groups)
        with claim(self.workplace.root):
            return self._lock(upgrade=upgrade)

    def _lock(self, *, upgrade: bool) -> dict[str, Lock | Unresolvable]:
        return {
            group.environment.name: self.environments.lock(group.environment, upgrade=upgrade) for group in self.groups
        }

    def build(self) -> dict[str, Image | str]:
        """Make every environment runnable; its image, or the reason why there is none."""
        made: dict[str, Image | str] = {}
        for name, lock in self.lock().items():
            try:
                made[name] = self.environments.image(lock) if isinstance(lock, Lock) else lock.reason
            except BuildFailedError as error:
                made[name] = str(error)
        return made

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
        setting = self.setting(cell, self.environment_lock(cell), image.base_identity)
        job = job_of(Trial(setting=setting, seed=0), JobFolder(root=folder), ())
        job.folder.work.mkdir(parents=True)
        for file in (job.folder.channel, job.folder.metrics):
            file.touch()
        copy_script(setting.script, job.folder.work)
        return self.engine.shell_command(image, job)

    def forget(self) -> int:
        """Drop the records of the selected cells, with their logs and artifacts; how many there were."""
        keys = [record.key for outcome in self.results().outcomes for record in outcome.records]
        with claim(self.workplace.root):
            for key in keys:
                self.workplace.log(key).unlink(missing_ok=True)
                remove(self.workplace.artifacts(key))
            return self.store.drop(keys)

    # -- what the steps share ----------------------------------------------------------------------------------------

    def progress(self, group: Group, lock: Lock | None) -> list[Progress]:
        """What the store knows of a group's cells, in the group's order."""
        identity = self.engine.known_identity(lock.python) if lock else None
        found = []
        for cell in group.cells:
            setting = self.setting(cell, lock, identity) if lock and identity else None
            progress = Progress(cell=cell, setting=setting)
            progress.recall(self.store, self.environments.blocked_key(group.environment, cell), self.matrix)
            found.append(progress)
        return found

    def setting(self, cell: Cell, lock: Lock, base_identity: str) -> Setting:
        """All that the trials of a cell share."""
        return Setting(
            cell=cell,
            lock=lock,
            script=self.script(cell),
            experiment=self.matrix.experiment,
            resources=self.matrix.resources,
            mounts=self._mounts,
            data_digest=self._data_digest,
            engine=self.engine.kind,
            base_identity=base_identity,
            seeded=not self.matrix.seeds.as_written,
        )

    def script(self, cell: Cell) -> Script:
        """The script of a cell, read once: what runs is what its key says, whatever happens to the file meanwhile."""
        if cell.script not in self._scripts:
            self._scripts[cell.script] = read_script(self.matrix.folder, cell.script)
        return self._scripts[cell.script]

    @cached_property
    def _mounts(self) -> tuple[Mount, ...]:
        return mounts_of(self.matrix.experiment.data, self.matrix.folder)

    @cached_property
    def _data_digest(self) -> str:
        return digest_of(self._mounts, self.store)
