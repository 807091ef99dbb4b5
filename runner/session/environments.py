"""Locks and images for one matrix on one engine: what is there is used, what is missing is made and kept."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from runner.environments.interpreters import HostToolchain, newest_of
from runner.environments.lockfile import lock_path, read, read_if_it_follows, write
from runner.environments.model import Lock, Unresolvable
from runner.errors import MatrixError, StoppedError, UsageError
from runner.matrix.releases import missing_versions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.engines.protocol import Engine, Image
    from runner.environments.index import Catalog
    from runner.environments.model import Environment
    from runner.environments.toolchain import Toolchain
    from runner.matrix.model import Cell, Matrix
    from runner.session.observer import Observer


class EnvironmentMaker:
    """Makes what cells need installed; the lock files stand in `locks/` beside the matrix."""

    def __init__(self, *, matrix: Matrix, engine: Engine, observer: Observer, stopping: threading.Event) -> None:
        """Nothing is read or made yet."""
        self._matrix = matrix
        self._engine = engine
        self._observer = observer
        self._stopping = stopping
        self._read: dict[Environment, Lock] = {}
        self._making = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the locks stand."""
        return self._matrix.folder / "locks"

    @cached_property
    def catalog(self) -> Catalog:
        """The package index that the user's configuration names."""
        from runner.environments.index import Catalog  # noqa: PLC0415 - httpx is not needed where all is locked

        return Catalog()

    def close(self) -> None:
        """Let go of connections to the index."""
        if "catalog" in self.__dict__:
            self.catalog.connection.close()

    def check_versions(self, environments: Iterable[Environment]) -> None:
        """Raise MatrixError where the index lacks a version that the matrix names, for environments without a lock."""
        if all(self.locked(environment) for environment in environments):
            return
        mistakes = missing_versions(self._matrix, self._versions)
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
        resolved = resolve(environment, catalog=self.catalog, pythons=self._engine.pythons(), toolchain=self.toolchain)
        if isinstance(resolved, Lock):
            write(resolved, self.folder)
            self._read[environment] = resolved
        return resolved

    def image(self, lock: Lock) -> Image:
        """A lock made runnable on the engine. Raises BuildFailedError where that can't be done."""
        image = self._engine.find(lock)
        if image:
            return image
        from runner.environments.wheelhouse import fetch  # noqa: PLC0415 - not needed where all is made

        say = functools.partial(self._say, lock.environment.name)
        say("fetching files")
        wheelhouse = fetch(lock, catalog=self.catalog, toolchain=lambda: self.toolchain(lock.python), say=say)
        with self._making:  # the next environment's files are fetched meanwhile, its installation waits
            say("installing")
            image = self._engine.make(lock, wheelhouse, say)
        say("ready")
        return image

    def _say(self, name: str, line: str) -> None:
        """Tell of a step; where the run is stopping, the step is not taken."""
        if self._stopping.is_set():
            raise StoppedError
        self._observer.environment(name, line)

    def _versions(self, package: str) -> list[str] | None:
        project = self.catalog.project(package)
        return [str(release.version) for release in project.releases] if project else None

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
