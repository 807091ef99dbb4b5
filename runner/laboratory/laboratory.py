"""The laboratory: these cells, so many seeds → records. It holds what the world gives, and judges nothing.

    with open_laboratory(folder, Named(engine="venv")) as laboratory:
        laboratory.run(Setup.of(matrix), [Request(cell=cell, seeds=(0, 1))], more=lambda answer: ())

Environments are made side by side with trials; each record is handed to `more` as it comes, which may answer with
further seeds of that cell, so that no cell waits for another. Two customers ask it: a matrix's session, and an
investigation. Everything is handed in; a test hands in an engine without processes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from runner.engines.protocol import JobFolder
from runner.laboratory.equipment import Claim, Equipment, World
from runner.laboratory.executor import Threads
from runner.laboratory.provision import Preparation
from runner.laboratory.records import Records
from runner.laboratory.request import Silence
from runner.scripts.script import copy_script
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from runner.engines.choice import Way
    from runner.engines.protocol import Engine, Image
    from runner.environments.index.project import Release
    from runner.laboratory.executor import Executor
    from runner.laboratory.request import Known, More, Request, Stored, Watcher
    from runner.laboratory.setup import Setup
    from runner.matrix.cell_id import CellId
    from runner.matrix.model import Cell

Asked = TypeVar("Asked")
Made = TypeVar("Made")


class Laboratory:
    """A place that answers with records, in one folder. A context manager: leaving it lets go of engine and store."""

    def __init__(
        self,
        equipment: Equipment,
        *,
        executor: Callable[[int, int | None], Executor] = Threads,
        jobs: int | None = None,
        prune_images: bool = False,
    ) -> None:
        """Open nothing yet.

        `executor` makes the place where trials run, of the processors of a trial and `jobs`: how many run at once
        (None: as many as fit). With `prune_images` an image is removed as soon as its trials are done.
        """
        self.equipment = equipment
        self.environments = Preparation(equipment)
        self.records = Records(equipment, self.environments)
        self._claim = Claim(equipment.workplace.root)
        self._executor, self._jobs, self._prune_images = executor, jobs, prune_images

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.equipment.close()

    def run(self, setup: Setup, requests: Sequence[Request], more: More) -> frozenset[CellId]:
        """Hand the record of every requested trial to `more`, and of those that it asks for, as they come.

        What is stored is handed over and not repeated; where an environment can't be made, one record (with seed 0)
        says why. `more` is called on the caller's thread, never twice at once. Given back are the cells of `further`
        requests whose environment can't be made any more: they got nothing.

        Raises what `more` raises, UsageError where another process holds the folder, and MachineError,
        EngineLostError, StoppedError or KeyboardInterrupt; every job is stopped before, what is finished is kept.
        """
        if not requests:
            return frozenset()
        from runner.laboratory.dispatch import Dispatch  # noqa: PLC0415 - a finished matrix runs nothing

        with self.claimed():
            dispatch = Dispatch(
                equipment=self.equipment,
                environments=self.environments,
                records=self.records,
                setup=setup,
                executor=self._executor(setup.resources.cpus, self._jobs),
                more=more,
            )
            return dispatch.run(requests, prune_images=self._prune_images)

    def known(
        self, setup: Setup, cells: Sequence[Cell], seeds: Iterable[int], *, stored: Stored | None = None
    ) -> list[Known]:
        """The stored records of cells, in their order, of these seeds; nothing is run.

        Of what ran on this engine; with `stored` of what that says, and no engine is asked. Raises
        UsageError where a lock or a script can't be used.
        """
        return self.records.known(setup, cells, tuple(seeds), stored=stored)

    def trials_at_once(self, setup: Setup) -> int:
        """The number of trials of a setup that run side by side."""
        executor = self._executor(setup.resources.cpus, self._jobs)
        executor.shut_down()
        return executor.side_by_side

    def releases(self, package: str) -> Sequence[Release] | None:
        """The releases of a package on the index; None where the index does not know it."""
        project = self.equipment.catalog.project(package)
        return None if project is None else project.releases

    def pythons(self) -> tuple[str, ...]:
        """The CPython minor releases that the engine can provide, newest first."""
        return self.equipment.engine.pythons()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, against other processes; who holds it already may hold it again.

        What a killed run left is removed. Raises UsageError where another process holds it.
        """
        with self._claim.held() as first:
            if first:
                self._claim.clear_jobs()
            yield

    def sweep(self) -> None:
        """Remove what killed runs left on the engine."""
        if swept := self.equipment.engine.sweep():
            self.equipment.observer.note(f"Removed what a killed run left over: {swept} in all.")

    def side_by_side(self, making: Callable[[Asked], Made], asked: Iterable[Asked]) -> list[Made]:
        """The values that a function gives for each, few at a time.

        Where one fails, or on Ctrl-C, all under way is stopped.
        """
        executor = self._executor(1, 1)
        futures = [executor.make(partial(making, one)) for one in asked]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            self.equipment.stop()
            raise
        finally:
            executor.shut_down()

    def image_of(self, setup: Setup, cell: Cell) -> Image:
        """The image of a cell, made if need be. Raises BuildFailedError where there can be none."""
        lock = self.environments.needed_lock(setup.environment(cell))
        return self.environments.image(lock, purpose=setup.name)

    def shell_command(self, setup: Setup, cell: Cell, folder: Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The command and the variables of a shell in a cell's environment, its script copied below `folder`.

        Raises BuildFailedError where the environment can't be made.
        """
        from runner.trials.execution import job_of  # noqa: PLC0415 - as above

        image = self.image_of(setup, cell)
        lock = self.environments.needed_lock(setup.environment(cell))
        setting = self.records.setting(cell, setup, lock, (image.engine, image.base_identity))
        job = job_of(Trial(setting=setting, seed=0), JobFolder(root=folder), ())
        job.folder.work.mkdir(parents=True)
        for file in (job.folder.channel, job.folder.metrics):
            file.touch()
        copy_script(setting.script, job.folder.work)
        return self.equipment.engine.shell_command(image, job)


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The engine and the package indexes that a matrix or a user names."""

    engine: str = "auto"
    """docker, venv or auto."""
    base: str = "auto"
    """registry, offline or auto."""
    before: Way | None = None
    """The way that is tried first where neither engine nor base is named."""
    undated: Callable[[str], bool] | None = None
    """Tells the packages whose files may lack a time of upload."""
    indexes: tuple[str, ...] = ()
    """The further indexes."""


def open_laboratory(
    folder: Path,
    named: Named | None = None,
    *,
    observer: Watcher | None = None,
    world: World | None = None,
    jobs: int | None = None,
    prune_images: bool = False,
) -> Laboratory:
    """A laboratory with an engine and a package index of the world; both are opened when something needs them.

    Without `named`, what works here is found. `observer` hears of the work, `jobs` trials run at once.
    """
    named, heard, outside = named or Named(), observer or Silence(), world or World()

    def opened() -> Engine:
        found, note = outside.engine(named.engine, base=named.base, before=named.before)
        for line in note.splitlines():
            heard.note(line)
        return found

    catalog = partial(outside.catalog, named.undated, named.indexes)
    equipment = Equipment(folder, engine=opened, catalog=catalog, observer=heard, resolve=outside.resolve)
    return Laboratory(equipment, jobs=jobs, prune_images=prune_images)
