"""The laboratory: these cells, so many seeds → records. It holds what the world gives, and judges nothing.

    with open_laboratory(folder, Named(engine="venv")) as laboratory:
        laboratory.run(Setup.of(matrix), [Request(cell=cell, seeds=(0, 1))], more=lambda answer: ())

Environments are made side by side with trials; each record is handed to `more` as it comes, which may answer with
further seeds of that cell, so that no cell waits for another. Two customers ask it: a matrix's session, and an
investigation. Everything is handed in; a test hands in an engine without processes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from runner.cache import sweep_cache
from runner.engines.protocol import EngineKind, JobFolder, Slot
from runner.environments.cuda_libraries import needs_base_image
from runner.errors import MachineError, UsageError
from runner.laboratory.bench import Bench
from runner.laboratory.equipment import Claim, Equipment, World
from runner.laboratory.provision import Preparation
from runner.laboratory.records import Records
from runner.laboratory.request import Silence
from runner.own_folder import OwnFolder
from runner.plurals import counted
from runner.scripts.script import copy_script
from runner.trials.job_files import Workplace
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from distributed import Client

    from runner.engines.choice import Way
    from runner.engines.protocol import Engine, Image
    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import Release
    from runner.laboratory.bench import Workshop
    from runner.laboratory.cluster.cluster import Cluster
    from runner.laboratory.cluster.errand import Facts
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
        workshop: Workshop | None = None,
        jobs: int | None = None,
        prune_images: bool = False,
    ) -> None:
        """Open nothing yet.

        Environments are made and trials run in the `workshop` (None: the bench of this machine), `jobs` trials at once
        (None: as many as fit). With `prune_images` an image is removed as soon as its trials are done.
        """
        self.equipment = equipment
        self._workshop = workshop or Bench(equipment)
        self.environments = Preparation(equipment, self._workshop)
        self.records = Records(equipment, self.environments)
        self._claim = Claim(equipment.workplace)
        self._jobs, self._prune_images = jobs, prune_images
        self._told_of_images = False

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
            executor = self._workshop.executor(setup.resources, self._jobs)
            if setup.base_images and self.equipment.engine.kind is not EngineKind.DOCKER:
                self._tell_of_images()
            if setup.resources.gpus:
                self._check_cuda(setup, requests)
            dispatch = Dispatch(
                equipment=self.equipment,
                environments=self.environments,
                records=self.records,
                setup=setup,
                executor=executor,
                makers=self._makers(),
                more=more,
            )
            return dispatch.run(requests, prune_images=self._prune_images)

    def _tell_of_images(self) -> None:
        if not self._told_of_images:
            self._told_of_images = True
            self.equipment.observer.note(
                "`base_image:` means nothing under the venv engine: environments are made with the CPythons of this"
                " machine, and what the images hold is not there."
            )

    def _check_cuda(self, setup: Setup, requests: Sequence[Request]) -> None:
        """Raise MachineError where containers can't have the CUDA that a TensorFlow needs; of this machine's, tell."""
        contained = self.equipment.engine.kind is EngineKind.DOCKER
        environments = (setup.environment(one.cell) for one in requests)
        wanted = (needs_base_image(dict(one.pins)) for one in environments if not (contained and one.base_image))
        lacking = sorted({text for text in wanted if text})
        if not lacking:
            return
        more = f", nor {counted(len(lacking) - 1, 'other release')} theirs" if len(lacking) > 1 else ""
        if contained:
            raise MachineError(
                f"`resources: gpus`: {lacking[0]}{more}, and the usual base images have none. Name one that has them"
                " (`base_image:`), use `--engine venv` on a machine that has them, or TensorFlow 2.14 or newer;"
                " docs/gpus.md has the table."
            )
        self.equipment.observer.note(f"`resources: gpus`: {lacking[0]}{more}: those of this machine are used.")

    def known(
        self, setup: Setup, cells: Sequence[Cell], seeds: Iterable[int], *, stored: Stored | None = None
    ) -> Iterator[Known]:
        """The stored records of cells, in their order, of these seeds, each read in its turn; nothing is run.

        Of what ran on this engine; with `stored` of what that says, and no engine is asked. Raises
        UsageError where a lock or a script can't be used.
        """
        return self.records.known(setup, cells, tuple(seeds), stored=stored)

    def trials_at_once(self, setup: Setup) -> int:
        """The number of trials of a setup that run side by side."""
        executor = self._workshop.executor(setup.resources, self._jobs)
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
                self._sweep_files()
            yield

    def _sweep_files(self) -> None:
        OwnFolder.at(self.environments.folder).sweep("")
        sweep_cache()
        if left := self._claim.clear_jobs():
            self.equipment.observer.note(
                f"{counted(len(left), 'folder')} of earlier trials can't be removed: something in them is protected"
                f" (`lsattr`) or mounted. They lie in {self.equipment.workplace.root / 'jobs'}."
            )

    def sweep(self) -> None:
        """Remove what killed runs left on the engine."""
        if swept := self.equipment.engine.sweep():
            self.equipment.observer.note(f"Removed what a killed run left over: {swept} in all.")

    def side_by_side(self, making: Callable[[Asked], Made], asked: Iterable[Asked]) -> list[Made]:
        """The values that a function gives for each, few at a time.

        Where one fails, or on Ctrl-C, all under way is stopped.
        """
        makers = self._makers()
        futures = [makers.submit(making, one) for one in asked]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            self.equipment.stop()
            raise
        finally:
            makers.shutdown(cancel_futures=True)

    def _makers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workshop.environments_at_once, "environments")

    def image_of(self, setup: Setup, cell: Cell) -> Image:
        """The image of a cell, made if need be. Raises BuildFailedError where there can be none."""
        lock = self.environments.needed_lock(setup.environment(cell))
        return self.environments.image(lock, purpose=setup.name)

    def _shell_slot(self, setup: Setup) -> Slot:
        """All processors, and the first GPUs where trials have some."""
        gpus = self.equipment.engine.gpus() if setup.resources.gpus else ()
        return Slot(gpus=tuple(gpus[: setup.resources.gpus]))

    def shell_command(self, setup: Setup, cell: Cell, folder: Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The command and the variables of a shell in a cell's environment, its script copied below `folder`.

        Raises BuildFailedError where the environment can't be made.
        """
        from runner.trials.execution import job_of  # noqa: PLC0415 - as above

        image = self.image_of(setup, cell)
        lock = self.environments.needed_lock(setup.environment(cell))
        setting = self.records.setting(cell, setup, lock, (image.engine, image.base_identity))
        job = job_of(Trial(setting=setting, seed=0), JobFolder(root=folder), self._shell_slot(setup))
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
    runtime: str = ""
    """The runtime of containers; empty: the engine's default."""
    platform: str = ""
    """The platform that trials are for; empty: the engine's own."""
    before: Way | None = None
    """The way that is tried first where neither engine nor base is named."""
    undated: Callable[[str], bool] | None = None
    """Tells the packages whose files may lack a time of upload."""
    indexes: tuple[str, ...] = ()
    """The further indexes."""
    registry: str = ""
    """The registry in which a cluster's workers share images; empty: each makes its own."""
    cluster: str | Client | None = None
    """The address of a Dask scheduler, or a client of one, whose workers make environments and run trials."""
    pair: bool = False
    """True where all trials run on one worker of a cluster, as long as it is there."""


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

    Raises UsageError for a cluster where Dask is not installed.
    """
    named, heard, outside = named or Named(), observer or Silence(), world or World()
    if named.cluster is not None:
        return _on_cluster(folder, named, heard, outside, jobs=jobs, prune_images=prune_images)

    def opened() -> Engine:
        found, note = outside.engine(
            named.engine, base=named.base, before=named.before, runtime=named.runtime, platform=named.platform
        )
        for line in note.splitlines():
            heard.note(line)
        return found

    catalog = partial(outside.catalog, named.undated, named.indexes)
    equipment = Equipment(
        folder,
        engine=opened,
        catalog=catalog,
        observer=heard,
        resolve=outside.resolve,
        has_gpu=outside.has_gpu,
    )
    return Laboratory(equipment, jobs=jobs, prune_images=prune_images)


def _on_cluster(
    folder: Path, named: Named, observer: Watcher, world: World, *, jobs: int | None, prune_images: bool
) -> Laboratory:
    """A laboratory whose workshop is a cluster; locks and records are this machine's."""
    if prune_images:
        raise UsageError(
            "--prune-images keeps few images on this machine; a cluster's workers keep their own. Leave it out, or say"
            " --cluster '' to run here."
        )
    cluster = _cluster(folder, named, observer, lambda: equipment.catalog)
    from runner.laboratory.cluster.cluster_engine import ClusterEngine  # noqa: PLC0415 - an extra

    equipment = Equipment(
        folder,
        engine=partial(ClusterEngine, cluster),
        catalog=partial(world.catalog, named.undated, named.indexes),
        observer=observer,
        resolve=world.resolve,
        has_gpu=world.has_gpu,
    )
    return Laboratory(equipment, workshop=cluster, jobs=jobs)


def _cluster(folder: Path, named: Named, observer: Watcher, catalog: Callable[[], Catalog]) -> Cluster:
    try:
        from runner.laboratory.cluster.cluster import Cluster  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            f"A cluster needs Dask, which is not installed here ({error}): pip install 'convergence-matrix[cluster]'."
        ) from error
    assert named.cluster is not None  # noqa: S101 - asked before
    return Cluster(
        named.cluster,
        catalog=catalog,
        engine=named.engine,
        base=named.base,
        runtime=named.runtime,
        platform=named.platform,
        undated=named.undated,
        indexes=named.indexes,
        registry=named.registry,
        pair=named.pair,
        workplace=Workplace.beside(folder),
        observer=observer,
    )


def facts_of_workers(
    folder: Path, named: Named, world: World, observer: Watcher
) -> tuple[Mapping[str, Facts], Mapping[str, str]]:
    """What each worker of a cluster is and has, by its name; and of those that get no work why, by theirs.

    Raises RunnerError where they can't be used together.
    """
    cluster = _cluster(folder, named, observer, world.catalog)
    try:
        return cluster.facts(), cluster.unfit()
    finally:
        cluster.close()
