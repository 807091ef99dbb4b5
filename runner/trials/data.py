"""What `data:` maps into a trial: mounts for the engine, and one digest over the contents for the trial's key."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.protocol import Mount
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.matrix.model import DataMapping
    from runner.trials.store import Store


def mounts_of(data: Sequence[DataMapping], folder: Path) -> tuple[Mount, ...]:
    """The mounts of a matrix's `data:`, relative sources taken from the matrix's folder."""
    return tuple(Mount(source=(folder / mapping.source).resolve(), target=mapping.target) for mapping in data)


def digest_of(mounts: Sequence[Mount], store: Store) -> str:
    """SHA-256 over the targets and the contents of all files; a file is read again only when its size or time changed.

    Raises UsageError where a file can't be read.
    """
    digest = hashlib.sha256()
    for mount in mounts:
        for file in _files(mount.source):
            digest.update(
                f"{mount.target} {file.relative_to(mount.source).as_posix()} {_sha256(file, store)}\n".encode()
            )
    return digest.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
        return
    seen: set[str] = set()
    for folder, folders, names in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(folders)  # a link that leads back up is walked once
        seen.add(real)
        yield from (file for name in sorted(names) if (file := Path(folder, name)).is_file())


def _sha256(file: Path, store: Store) -> str:
    try:
        stat = file.stat()
        known = store.known_hash(str(file), stat.st_size, stat.st_mtime_ns)
        if known:
            return known
        with file.open("rb") as stream:
            fresh = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"The data file {file} can't be read: {error.strerror}.") from error
    store.keep_hash(str(file), stat.st_size, stat.st_mtime_ns, fresh)
    return fresh
