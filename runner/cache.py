"""The cache folder, all of which can be made again; and files that are whole or not there, however a runner ends."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError, StoppedError, UsageError
from runner.open_folder import OpenFolder
from runner.own_folder import begun_name, forget_begun, has_locked, remove, write_file

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

_LOOK_EVERY_S = 0.1


def cache_folder() -> Path:
    """The runner's cache: $RUNNER_CACHE, else the user's cache directory of this platform. Made where it is missing."""
    wanted = os.environ.get("RUNNER_CACHE")
    if wanted:
        try:
            folder = Path(wanted).expanduser().absolute()
        except RuntimeError:
            raise UsageError(f"RUNNER_CACHE is {wanted}, and there is no such user here. Name a folder.") from None
    else:
        from platformdirs import user_cache_dir  # noqa: PLC0415 - a path that is given needs no search

        folder = Path(user_cache_dir("convergence-matrix", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"The cache folder {folder} can't be made: {error.strerror}. Name another in RUNNER_CACHE."
        ) from error
    return folder


def in_home(text: str) -> Path:
    """A path that may begin with `~`; as it stands where nobody knows that home."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - a path's own raises RuntimeError there


def begun(folder: Path) -> Path:
    """A new path for what will be moved into place in a folder once it is whole; what dead runners began there goes.

    Raises OSError where the folder can't be looked into.
    """
    forget_begun(folder)
    return folder / begun_name()


@contextlib.contextmanager
def passing_folder() -> Iterator[Path]:
    """A new empty folder of this user alone, in the cache; where its runner is killed it goes with the next one."""
    place = cache_folder() / "passing"
    place.mkdir(exist_ok=True)
    folder = begun(place)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


def sweep_cache() -> None:
    """Remove what dead runners were about to put into the cache, where no engine looks after it."""
    folder = cache_folder()
    with contextlib.suppress(OSError):
        for place in (folder, *folder.glob("passing"), *folder.glob("index"), *folder.glob("index/*/")):
            forget_begun(place)


@contextlib.contextmanager
def locked(path: Path, *, alone: bool = True, stopping: threading.Event | None = None) -> Iterator[bool]:
    """Lock a file against other runners, `alone` or together with others; yields whether it is locked.

    Another's lock is waited for until `stopping` is set, which raises StoppedError; without that nothing is waited for.
    """
    with path.open("a", encoding="ascii") as file:
        while not (mine := has_locked(file, path, alone=alone)) and stopping is not None:
            if stopping.wait(_LOOK_EVERY_S):
                raise StoppedError
        yield mine


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        forget_begun(path.parent)
        with OpenFolder(path.parent, links=True) as folder:
            write_file(path.name, folder, content)
    except OSError as error:
        raise disk_trouble(path, error, len(content)) from error


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file that begins with the digest of its content."""
    write_whole(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_sealed(path: Path) -> bytes | None:
    """The content of a sealed file, None where it is missing or damaged: it is made again then."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest().encode() == digest else None


def disk_trouble(path: Path, error: OSError, needed_bytes: int) -> MachineError:
    """The error for when a file can't be written."""
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return disk_full(path, needed_bytes)
    return MachineError(
        f"{path} can't be written: {error.strerror}. Is {path.parent} yours? RUNNER_CACHE moves the cache."
    )


def disk_full(path: Path, needed_bytes: int) -> MachineError:
    """The error for when something does not fit, with figures."""
    folder = next(parent for parent in [path, *path.parents] if parent.is_dir())
    free = shutil.disk_usage(folder).free
    return MachineError(
        f"The disk of {folder} is full: {needed_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free. Free"
        " some, or move the cache with RUNNER_CACHE."
    )
