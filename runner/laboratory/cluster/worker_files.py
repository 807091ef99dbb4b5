"""The files that a worker needs of home: data that lies under the same path there, or was sent; wheels that it lacks.

What is sent comes piece by piece, is checked by its hash, and lies in the worker's cache then, once a machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.cache import cache_folder
from runner.environments.file_store import present
from runner.errors import MachineError, UsageError
from runner.own_folder import remove
from runner.sized_disk import unmount_below
from runner.trials.store import Store
from runner.trials.trial import data_digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.engines.protocol import Mount
    from runner.environments.lock import Lock
    from runner.trials.trial import Setting

_COMES_S = 7 * 24 * 3600
"""Nothing takes so long to come."""


class DataMissingError(MachineError):
    """The data of a trial is not on this machine: home is to send it."""


def local_mounts(setting: Setting, run: str) -> tuple[Mount, ...]:
    """The data of a trial on this machine: under home's own paths where the same lies there, else what was sent.

    Looked for once in a run. Raises DataMissingError where it is not here; what was sent and is not what it should be
    any more is removed.
    """
    return _mounts_here(setting.mounts, setting.data_digest, run) if setting.mounts else ()


@functools.lru_cache(maxsize=64)
def _mounts_here(mounts: tuple[Mount, ...], digest: str, run: str) -> tuple[Mount, ...]:  # noqa: ARG001 - once in each
    if _is(mounts, digest):
        return mounts
    folder = cache_folder() / "data" / digest
    sent = _sent(mounts, folder)
    if _is(sent, digest):
        return sent
    remove(folder)  # else home would find it there, and send nothing
    raise DataMissingError("the data of the trial is not here")


def _is(mounts: tuple[Mount, ...], digest: str) -> bool:
    """Whether data is what it should be; its files are read once a machine while they stay as they are."""
    try:
        if not all(mount.source.exists() for mount in mounts):
            return False
        with Store(cache_folder() / "data" / "hashes.sqlite") as store:
            return data_digest_of(mounts, store) == digest
    except (UsageError, OSError):  # a folder of home's user, which is closed to the worker's
        return False


def _sent(mounts: tuple[Mount, ...], folder: Path) -> tuple[Mount, ...]:
    """Data that was sent: by number, since what it is called at home is not part of its digest."""
    return tuple(replace(mount, source=folder / str(number)) for number, mount in enumerate(mounts))


async def keep_data(mounts: tuple[Mount, ...], digest: str, token: str) -> bool:
    """Have data that came as files below a folder of the cache; false where it is not what it should be.

    It is read on a thread beside the worker's own, which answers others meanwhile.
    """
    return await asyncio.to_thread(_keep_data, mounts, digest, token)


def _keep_data(mounts: tuple[Mount, ...], digest: str, token: str) -> bool:
    came, target = cache_folder() / "coming" / token, cache_folder() / "data" / digest
    for mount in _sent(mounts, came):
        if not mount.source.exists():  # a folder without files: each file came
            mount.source.mkdir(parents=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # it came twice, and the other one is there
        came.rename(target)
    remove(came)
    is_right = _is(_sent(mounts, target), digest)  # read where it stays, and not again there
    if not is_right:
        remove(target)
    return is_right


def has_data(digest: str) -> bool:
    """True where data was sent before."""
    return (cache_folder() / "data" / digest).exists()


def take_piece(path: str, offset: int, piece: bytes) -> None:
    """Take a piece of a file that comes below the cache's `coming`."""
    file = cache_folder() / "coming" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        stream.write(piece)


async def keep_file(path: str, sha256: str) -> bool:
    """Have a file that came among those of the index; false where it is not what it should be."""
    return await asyncio.to_thread(_keep_file, path, sha256)


def _keep_file(path: str, sha256: str) -> bool:
    came = cache_folder() / "coming" / path
    with came.open("rb") as stream:
        is_right = hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    if is_right:
        target = cache_folder() / "files" / sha256 / came.name
        target.parent.mkdir(parents=True, exist_ok=True)
        came.rename(target)
    remove(came.parent)
    return is_right


def sweep_folders(mine: Path) -> None:
    """Remove what killed workers left beside a worker's folder: Dask itself can't where the disk of a job is mounted.

    Dask locks a file beside the folder of each worker that lives, unless it was told to lock none.
    """
    if not _lock_of(mine).exists():
        return
    for folder in mine.parent.glob("*/convergence-matrix-*"):
        if not _lock_of(folder.parent).exists():
            unmount_below(folder)
            remove(folder)
            with contextlib.suppress(OSError):  # something else is in it
                folder.parent.rmdir()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.dirlock")


def sweep_coming() -> None:
    """Remove what began to come long ago: its home was killed."""
    with contextlib.suppress(OSError):
        for came in (cache_folder() / "coming").iterdir():
            if time.time() - came.stat().st_mtime > _COMES_S:
                remove(came)


def lacking(packages: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Of packages with the hashes of their files, the names of those that have no file here."""
    return [name for name, hashes in packages if not any(present(text.removeprefix("sha256:")) for text in hashes)]


def files_of(lock: Lock) -> list[tuple[str, tuple[str, ...]]]:
    """The packages of a lock with the hashes of their files, and the user's own project with that of its own."""
    own = lock.environment.own
    return [
        *((package.name, package.hashes) for package in lock.packages),
        *([(own.name, (f"sha256:{own.sha256}",))] if own else []),
    ]
