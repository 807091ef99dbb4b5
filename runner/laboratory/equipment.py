"""The equipment of a laboratory: engine, package index, store and files, each opened when something needs it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runner.engines.choice import open_engine
from runner.engines.gpu import has_driver
from runner.environments.processes import Processes
from runner.errors import StoppedError, UsageError
from runner.open_folder import open_plain
from runner.own_folder import has_locked
from runner.sized_disk import unmount_below
from runner.trials.job_files import Workplace
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO

    from runner.engines.protocol import Engine
    from runner.environments.index.catalog import Catalog
    from runner.environments.lock import Environment, Lock, Unresolvable
    from runner.laboratory.request import Watcher


_CLAIM, _LONGEST_PID = "claim", 20


class Claim:
    """The hold of one process on a workplace; whoever holds it already may take it again."""

    def __init__(self, workplace: Workplace) -> None:
        """Hold nothing yet."""
        self._files = workplace.files
        self._holders = 0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the workplace; true for the first holder. The kernel gives it back when the process dies, however.

        What killed runners had half written there is removed.

        Raises UsageError where another run holds it or a link is in the way, MachineError where it can't be written.
        """
        self._holders += 1
        try:
            if self._holders > 1:
                yield False
                return
            with self._files.held(_CLAIM) as stream:
                _lock(stream, self._files.path / _CLAIM)
                self._files.sweep("", "accounts", "comparisons", "logs", "preludes", "runs")
                yield True
        finally:
            self._holders -= 1

    def clear_jobs(self) -> tuple[str, ...]:
        """Remove the folders of jobs that a killed run left; the names of those that stay. Only for the holder."""
        unmount_below(self._files.path / "jobs")
        return tuple(name for name in self._files.names("jobs") if not self._files.remove(f"jobs/{name}"))


@contextmanager
def at_rest(root: Path) -> Iterator[None]:
    """Keep runs from a workplace that is only read. Raises UsageError where one is at work there."""
    path = root / _CLAIM
    try:
        claim = open_plain(path)
    except OSError:  # no run was ever at work there, or what lies there is no claim
        yield
        return
    try:
        if not has_locked(claim, path, alone=False):
            raise UsageError(f"A run is at work in {root}. Wait for it, or stop it first.")
        yield
    finally:
        os.close(claim)


def _lock(stream: IO[str], path: Path) -> None:
    if not has_locked(stream, path, alone=True):
        owner = stream.read(_LONGEST_PID).strip()
        owner = owner if owner.isdigit() else "unknown"
        raise UsageError(f"Another run of this matrix is at work (process {owner}). Wait for it, or stop it first.")
    stream.truncate()
    stream.write(str(os.getpid()))
    stream.flush()


def open_catalog(undated: Callable[[str], bool] | None = None, indexes: tuple[str, ...] = ()) -> Catalog:
    """The package index that the user's configuration names, with further ones."""
    from runner.environments.index.catalog import Catalog  # noqa: PLC0415 - not needed where all is locked

    return Catalog(undated=undated, indexes=indexes)


def resolve_environment(environment: Environment, **means: Any) -> Lock | Unresolvable:
    """The exact files of an environment; see `environments.cpython_choice`."""
    from runner.environments.cpython_choice import resolve  # noqa: PLC0415 - not needed where all is locked

    return resolve(environment, **means)


@dataclass(frozen=True, kw_only=True)
class World:
    """The functions that open an engine and the package index, and resolve environments.

    A test hands in another one.
    """

    engine: Callable[..., tuple[Engine, str]] = open_engine
    """As `open_engine`: of docker, venv or auto, and `base`, the engine and a line for the user, or none."""
    catalog: Callable[..., Catalog] = open_catalog
    """As `open_catalog`."""
    resolve: Callable[..., Lock | Unresolvable] = resolve_environment
    """As `resolve_environment`."""
    has_gpu: Callable[[], bool] = has_driver
    """As `has_driver`."""


class Equipment:
    """The equipment of one folder: its scripts stand there, records in its `.runner`, locks in its `locks`."""

    def __init__(
        self,
        folder: Path,
        *,
        engine: Callable[[], Engine],
        catalog: Callable[[], Catalog],
        observer: Watcher,
        resolve: Callable[..., Lock | Unresolvable] = resolve_environment,
        has_gpu: Callable[[], bool] = has_driver,
    ) -> None:
        """Open nothing yet."""
        self.folder = folder
        self.observer = observer
        self.workplace = Workplace.beside(folder)
        self.processes = Processes()
        """The programs that were started for this folder's environments."""
        self.stopping = threading.Event()
        """Set when everything ends: no further step is taken."""
        self.resolve = resolve
        self._open_engine, self._open_catalog, self._has_gpu = engine, catalog, has_gpu
        self._is_closed = False

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened on first use."""
        return self._open_engine()

    @cached_property
    def catalog(self) -> Catalog:
        """The package index, opened on first use."""
        return self._open_catalog()

    @cached_property
    def store(self) -> Store:
        """The records, opened on first use."""
        return Store(self.workplace.store)

    @cached_property
    def has_gpu(self) -> bool:
        """True where this machine has a GPU that trials of an earlier version could have found; looked for once."""
        return self._has_gpu()

    @contextmanager
    def store_for_a_look(self) -> Iterator[Store]:
        """The records; once all is closed they are opened for this alone: results are looked at later, too."""
        if not self._is_closed:
            yield self.store
            return
        with Store(self.workplace.store) as store:
            yield store

    def say(self, environment: str, line: str) -> None:
        """Report a step in the making of an environment before it is taken. Raises StoppedError in a run that stops."""
        if self.stopping.is_set():
            raise StoppedError
        self.observer.environment(environment, line)

    def stop(self) -> None:
        """End everything that runs now; nothing more can be begun."""
        self.stopping.set()
        self.processes.stop()
        self.engine.stop_all()

    def close(self) -> None:
        """Let go of what was opened."""
        self._is_closed = True
        for name in ("engine", "store"):
            if name in self.__dict__:
                getattr(self, name).close()
        if "catalog" in self.__dict__:
            self.catalog.connection.close()
