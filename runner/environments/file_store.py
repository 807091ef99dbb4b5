"""Files of the index on disk, kept by their SHA-256 and checked by each process before it uses them."""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import cache_folder, disk_full, disk_trouble, passing_folder
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.environments.index.connection import Connection
    from runner.environments.index.project import IndexFile


_LARGE_BYTES = 20 * 1000**2
_SAY_EVERY_BYTES = 50 * 1000**2
_SPARE_BYTES = 64 * 1000**2
_at_work: dict[str, threading.Lock] = {}


def stored(sha256: str) -> Path | None:
    """The file with a digest, None where it is not here; a damaged one is removed."""
    path = present(sha256)
    if path is None or sha256_of(path) == sha256:
        return path
    path.unlink()
    return None


def present(sha256: str) -> Path | None:
    """The file with a digest, where it seems to be here: it is neither read nor checked."""
    try:
        return next(_folder(sha256).iterdir(), None)
    except OSError:
        return None


def obtain(file: IndexFile, connection: Connection, say: Callable[[str], None]) -> Path:
    """The file of the index on disk, its hash checked; downloaded once, however many ask at the same time.

    Raises MachineError where the index fails, the disk is full, or the content is not what the hash promises.
    """
    with _at_work.setdefault(file.sha256, threading.Lock()):
        return stored(file.sha256) or _download(file, connection, say)


def keep(file: Path, sha256: str) -> Path:
    """Keep a file of the user's own among those of the index. Raises UsageError where it is not what it was."""
    target = _folder(sha256) / file.name
    try:
        with passing_folder() as folder:
            part = Path(shutil.copyfile(file, folder / file.name))
            if sha256_of(part) != sha256:
                raise UsageError(f"{file} changed while it was read. Start again.")
            target.parent.mkdir(parents=True, exist_ok=True)
            return part.replace(target)
    except OSError as error:
        raise disk_trouble(target, error, file.stat().st_size) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex; read once a process, and again where size, time or place show a change."""
    return _read_sha256(path, state_of(path))


def state_of(path: Path) -> tuple[int, ...]:
    """A value that differs once a file was changed or replaced; that it was linked elsewhere does not count."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@functools.cache
def _read_sha256(path: Path, _: tuple[int, ...]) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_space(needed_bytes: int) -> None:
    """Raise MachineError, with figures, where so much more does not fit beside the cache."""
    folder = cache_folder()
    if shutil.disk_usage(folder).free < needed_bytes + _SPARE_BYTES:
        raise disk_full(folder, needed_bytes + _SPARE_BYTES)


def _folder(sha256: str) -> Path:
    return cache_folder() / "files" / sha256


def _download(file: IndexFile, connection: Connection, say: Callable[[str], None]) -> Path:
    target = _folder(file.sha256) / file.filename
    try:
        with passing_folder() as folder:
            part = folder / file.filename
            connection.download(file.url, lambda chunks: _save(part, chunks, file, say))
            if sha256_of(part) != file.sha256:
                raise MachineError(
                    f"{file.filename} is not what its index promises: the SHA-256 differs. Run again; where it"
                    " stays so, a proxy or a mirror changes files."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            return part.replace(target)
    except OSError as error:
        raise disk_trouble(target, error, file.size_bytes or 0) from error


def _save(part: Path, chunks: Iterator[bytes], file: IndexFile, say: Callable[[str], None]) -> None:
    size = file.size_bytes or 0
    done = said = 0
    if size > _LARGE_BYTES:
        say(f"downloading {file.filename} ({size / 1e6:.0f} MB)")
    with part.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)
            done += len(chunk)
            if done - said >= _SAY_EVERY_BYTES:
                said = done
                say(f"downloading {file.filename}: {done / 1e6:.0f} of {size / 1e6:.0f} MB")
