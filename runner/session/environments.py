"""Locks and images for one matrix on one engine: what is there is used, what is missing is made and kept."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from typing import TYPE_CHECKING

from runner.engines.protocol import EngineKind
from runner.environments.interpreters import HostToolchain, newest_of
from runner.environments.lock import Lock, Unresolvable
from runner.environments.lockfile import lock_path, read, read_if_it_follows, write
from runner.errors import MachineError, MatrixError, StoppedError, UsageError
from runner.matrix.settle import missing_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from runner.engines.protocol import Engine, Image
    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import Release
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Environment
    from runner.environments.wheelhouse import LockSizes
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.session.observer import Observer

ENVIRONMENTS_AT_ONCE = 2
"""One is resolved or fetched while another is installed."""


class EnvironmentMaker:
    """Makes what cells need installed; the lock files stand in `locks/` beside the matrix."""

    def __init__(
        self,
        *,
        matrix: Matrix,
        engine: Callable[[], Engine],
        catalog: Callable[[], Catalog],
        observer: Observer,
        stopping: threading.Event,
    ) -> None:
        """Nothing is read or made yet; `engine` and `catalog` are called when one is needed."""
        self._matrix = matrix
        self._open_engine = engine
        self._catalog = catalog
        self._observer = observer
        self._stopping = stopping
        self._read: dict[Environment, Lock] = {}
        self._making = threading.Lock()

    @property
    def _engine(self) -> Engine:
        return self._open_engine()

    @property
    def folder(self) -> Path:
        """Where the locks stand."""
        return self._matrix.folder / "locks"

    def check_versions(self, environments: Iterable[Environment]) -> None:
        """Raise MatrixError where the index lacks a version that the matrix names, for environments without a lock."""
        if all(self.locked(environment) for environment in environments):
            return
        mistakes = missing_versions(self._matrix, releases_in(self._catalog()))
        if mistakes:
            raise MatrixError(mistakes)

    def locked(self, environment: Environment) -> Lock | None:
        """The lock that is there.

        Raises UsageError for one that was edited by hand, or no longer follows from what it was made for.
        """
        path = lock_path(self.folder, environment)
        if environment not in self._read and path.exists():
            self._read[environment] = read(path, environment)
        return self._read.get(environment)

    def why_stale(self, environment: Environment) -> str:
        """Why an environment has no lock that can be used; empty where it has one."""
        try:
            return read_if_it_follows(lock_path(self.folder, environment), environment)[1]
        except UsageError as error:
            return str(error)

    def lock(self, environment: Environment, *, upgrade: bool = False) -> Lock | Unresolvable:
        """The lock that is there, or (where there is none, or with `upgrade`) a new one, written."""
        lock = None if upgrade else self.locked(environment)
        if lock:
            return lock
        from runner.environments.resolve import resolve  # noqa: PLC0415 - not needed where all is locked

        self._say(environment.name, "resolving")
        resolved = resolve(
            environment, catalog=self._catalog(), pythons=self._engine.pythons(), toolchain=self.toolchain
        )
        if isinstance(resolved, Lock):
            write(resolved, self.folder)
            self._read[environment] = resolved
        return resolved

    def image(self, lock: Lock, *, again: bool = False) -> Image:
        """A lock made runnable on the engine; with `again` a container image is made anew even where it is there.

        Layers that other images need stay. Raises BuildFailedError where it can't be made.
        """
        image = self._engine.find(lock)
        made_anew = again and image and image.engine is EngineKind.DOCKER
        if made_anew and image and self._engine.remove_image(image.reference):
            self._say(lock.environment.name, "making the image again, for the control")
        elif image:
            return image
        from runner.environments.wheelhouse import fetch  # noqa: PLC0415 - not needed where all is made

        say = functools.partial(self._say, lock.environment.name)
        say("fetching files")
        builder = functools.partial(self._engine.toolchain, lock.python)  # the image's own, whatever the host has
        wheelhouse = fetch(lock, catalog=self._catalog(), toolchain=builder, say=say)
        with self._making:  # the next environment's files are fetched meanwhile, its installation waits
            say("installing")
            image = self._engine.make(lock, wheelhouse, say, labels=self._labels(lock))
        say("ready")
        return image

    def recipe(self, lock: Lock) -> str:
        """How the image of a lock is made without this tool. Raises UsageError where the engine makes none."""
        return self._engine.recipe(lock, self._catalog())

    def sizes(self, lock: Lock) -> LockSizes:
        """About how much disk a lock needs."""
        from runner.environments.wheelhouse import sizes_of  # noqa: PLC0415 - not needed where all is made

        return sizes_of(lock, self._catalog())

    def check_room(self, locks: Iterable[Lock]) -> None:
        """Raise MachineError, with figures, where the images that are not made yet will not fit."""
        from runner.environments.wheelhouse import total  # noqa: PLC0415

        room = self._engine.room()
        missing = [lock for lock in locks if self._engine.find(lock) is None] if room else []
        _, needed = total(self.sizes(lock) for lock in missing)
        if room and needed > room.free_bytes:
            raise MachineError(
                f"{len(missing)} environments need about {needed / 1e9:.1f} GB, and {room.free_bytes / 1e9:.1f} GB are"
                f" free in {room.path}. Free some (`clean`), make fewer at a time (`--only`), or run the matrix with"
                " `run --prune-images`, which keeps few at a time."
            )

    def _labels(self, lock: Lock) -> dict[str, str]:
        """What an image is made for, as its labels say it; another matrix may use it later."""
        cell = ",".join(f"{package}={version}" for package, version in lock.environment.pins)
        return {"convergence-matrix.matrix": self._matrix.path.name, "convergence-matrix.cell": cell}

    def _say(self, name: str, line: str) -> None:
        """Tell of a step; where the run is stopping, the step is not taken."""
        if self._stopping.is_set():
            raise StoppedError
        self._observer.environment(name, line)

    def toolchain(self, python: str) -> Toolchain:
        """A CPython that can resolve and build: the host's where it has one, else the engine's own."""
        interpreter = newest_of(python)
        return HostToolchain(interpreter=interpreter) if interpreter else self._engine.toolchain(python)

    def blocked_key(self, environment: Environment, cell: Cell) -> str:
        """The key of the record that says why a cell can't run: another lock, or another CPython, is another key."""
        lock = self.locked(environment)
        found = [lock.digest, self._engine.known_identity(lock.python)] if lock else self._engine.pythons()
        parts = [self._engine.kind.value, environment.name, environment.packages, found, cell.name]
        return "blocked-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def releases_in(catalog: Catalog) -> Callable[[str], Sequence[Release] | None]:
    """What the matrix asks of the index: the releases of a package, None where the index does not know it."""

    def releases(package: str) -> Sequence[Release] | None:
        project = catalog.project(package)
        return None if project is None else project.releases

    return releases
