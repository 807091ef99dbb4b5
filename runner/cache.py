"""Where everything that can be made again is kept on this machine, and small files that know when they are damaged."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from runner.errors import MachineError


def cache_folder() -> Path:
    """The runner's cache: $RUNNER_CACHE, else the user's cache directory of this platform. Made where it is missing."""
    wanted = os.environ.get("RUNNER_CACHE")
    if wanted:
        folder = Path(wanted).expanduser().absolute()
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


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as part:
            part.write(content)
        Path(part.name).chmod(0o644)
        Path(part.name).replace(path)
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
    """What a user hears when a file can't be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full(path, needed_bytes)
    return MachineError(
        f"{path} can't be written: {error.strerror}. Is {path.parent} yours? RUNNER_CACHE moves the cache."
    )


def disk_full(path: Path, needed_bytes: int) -> MachineError:
    """What a user hears when something does not fit, with figures."""
    folder = next(parent for parent in [path, *path.parents] if parent.is_dir())
    free = shutil.disk_usage(folder).free
    return MachineError(
        f"The disk of {folder} is full: {needed_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free. Free"
        " some, or move the cache with RUNNER_CACHE."
    )
