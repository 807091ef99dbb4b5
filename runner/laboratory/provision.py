"""Locks and images for cells: what is there is used, what is missing is made and kept."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.engines.protocol import EngineKind
from runner.environments.lock import Lock, Unresolvable
from runner.environments.lockfile import lock_path, read, read_if_it_follows, write
from runner.errors import BuildFailedError, MachineError, UsageError
from runner.laboratory.bench import ImageOrder, nothing
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.engines.protocol import Image
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Environment
    from runner.environments.wheelhouse import LockSizes
    from runner.laboratory.bench import Workshop
    from runner.laboratory.equipment import Equipment


class Preparation:
    """Makes what cells need installed; the lock files stand in one folder, environments are made in a workshop."""

    def __init__(self, equipment: Equipment, workshop: Workshop) -> None:
        """Nothing is read or made yet; engine and index are opened when one is needed."""
        self.folder = equipment.folder / "locks"
        self._equipment, self._workshop = equipment, workshop
        self._read: dict[Environment, Lock] = {}

    def locked(self, environment: Environment) -> Lock | None:
        """The lock that is there; None where there is none.

        Raises UsageError for one that was edited by hand, or no longer follows from what it was made for.
        """
        path = lock_path(self.folder, environment)
        if environment not in self._read and path.exists():
            self._read[environment] = read(path, environment)
        return self._read.get(environment)

    def why_stale(self, environment: Environment) -> str:
        """The reason why an environment has no lock that can be used; empty where it has one."""
        try:
            return read_if_it_follows(lock_path(self.folder, environment), environment)[1]
        except UsageError as error:
            return str(error)

    def lock(self, environment: Environment, *, upgrade: bool = False) -> Lock | Unresolvable:
        """The lock that is there, or (where there is none, or with `upgrade`) a new one, written."""
        lock = None if upgrade else self.locked(environment)
        if lock:
            self._check_platform(lock)
            return lock
        resolved = self.resolved(environment)
        if isinstance(resolved, Lock):
            write(resolved, self.folder)
            self._read[environment] = resolved
        return resolved

    def resolved(self, environment: Environment) -> Lock | Unresolvable:
        """A new lock, which is not written. Raises BuildFailedError where there is no CPython for it."""
        engine = self._equipment.engine
        image = environment.base_image if engine.kind is EngineKind.DOCKER else ""
        if image:
            self._equipment.say(environment.name, f"looking at {image}")
        pythons = engine.pythons(image)
        self._equipment.say(environment.name, "resolving")
        try:
            found = self._equipment.resolve(
                replace(environment, platform=environment.platform or engine.platform, base_image=image),
                catalog=self._equipment.catalog,
                pythons=pythons,
                toolchain=functools.partial(self.toolchain, image=image),
                say=functools.partial(self._equipment.say, environment.name),
            )
            return replace(found, environment=environment)
        except BuildFailedError as error:
            if not error.passing:
                raise
            return Unresolvable(environment=environment, reason=str(error), passing=True)

    def _check_platform(self, lock: Lock) -> None:
        """Raise UsageError for a lock of another platform than the one that runs."""
        runs = self._equipment.engine.platform
        if lock.platform != runs:
            raise UsageError(
                f"{lock_path(self.folder, lock.environment)} is for {lock.platform}, and trials run on {runs}. With"
                f" `platform: {lock.platform}` in the matrix they run as it says (emulated, on an engine of another"
                f" kind); `lock --upgrade` makes one for {runs}."
            )

    def needed_lock(self, environment: Environment) -> Lock:
        """The lock of an environment, made if need be. Raises BuildFailedError where there can be none."""
        lock = self.lock(environment)
        if not isinstance(lock, Lock):
            why = f"{environment.name} can't be resolved: {lock.reason}"
            raise BuildFailedError("install", why, passing=lock.passing)
        return lock

    def image(
        self, lock: Lock, *, purpose: str = "", again: bool = False, installing: Callable[[], None] = nothing
    ) -> Image:
        """A lock made runnable on the engine; with `again` a container image is made anew even where it is there.

        Layers that other images need stay; `purpose` is the matrix that the image's labels name; `installing` is
        called once all files are here and their installation begins. Raises BuildFailedError where it can't be made.
        """
        self._check_platform(lock)
        return self._workshop.image(ImageOrder(lock=lock, purpose=purpose, again=again), installing)

    def still_to_do(self, environment: Environment) -> int:
        """How far an environment is from being made: 0 made, 1 its files are here, 2 it has a lock, 3 it has none."""
        from runner.environments.wheelhouse import is_fetched  # noqa: PLC0415 - not needed where nothing is run

        lock = self.locked(environment)
        if lock is None:
            return 3
        try:
            made = self._equipment.engine.find(lock)
        except BuildFailedError:
            made = None
        return 0 if made else 1 if is_fetched(lock) else 2

    def recipe(self, lock: Lock) -> str:
        """A Dockerfile, and how to use it, for a lock's image. Raises UsageError where the engine makes none."""
        return self._equipment.engine.recipe(lock, self._equipment.catalog)

    def sizes(self, lock: Lock) -> LockSizes:
        """The disk that a lock needs, about."""
        from runner.environments.wheelhouse import sizes_of  # noqa: PLC0415 - not needed where all is made

        return sizes_of(lock, self._equipment.catalog)

    def check_room(self, locks: Iterable[Lock]) -> None:
        """Raise MachineError, with figures, where the images that are not made yet will not fit."""
        from runner.environments.wheelhouse import total  # noqa: PLC0415 - as above

        engine = self._equipment.engine
        room = engine.room()
        missing = [lock for lock in locks if engine.find(lock) is None] if room else []
        needed = total(self.sizes(lock) for lock in missing).install_bytes
        if room and needed > room.free_bytes:
            raise MachineError(
                f"{counted(len(missing), 'environment')} to make take about {needed / 1e9:.1f} GB, and"
                f" {room.free_bytes / 1e9:.1f} GB are free in {room.path}. Free some space (`clean --older-than 0`),"
                " make fewer at a time (`--only`), or `run --prune-images`, which keeps few images at a time."
            )

    def toolchain(self, python: str, image: str = "") -> Toolchain:
        """A CPython that can resolve and build: the host's where it has one, else the engine's own."""
        from runner.environments.interpreters import HostToolchain, newest_of  # noqa: PLC0415 - not where all is made

        interpreter = newest_of(python)
        return (
            HostToolchain(
                interpreter=interpreter,
                processes=self._equipment.processes,
                elsewhere=functools.partial(self._equipment.engine.toolchain, python, image),
            )
            if interpreter
            else self._equipment.engine.toolchain(python, image)
        )
