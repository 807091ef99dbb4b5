"""The folders of trials; and the files that a trial wrote, found and opened as if an attacker had laid them there.

Regular files only, no link of any kind is followed, and whoever reads bounds number and size.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runner.engines.protocol import JobFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.trials.trial import Trial


DEEPEST = 64
"""Folders nested deeper are not looked into."""
MAX_FILES = 1000
"""So many artifacts of one trial are kept, of so many bytes together."""
MAX_BYTES = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """The folders of trials beside the matrix: `jobs/` (gone when a trial ends), `logs/` and `artifacts/` (kept)."""

    root: Path

    def job(self, trial: Trial) -> JobFolder:
        """The folder of a trial while it runs."""
        return JobFolder(root=self.root / "jobs" / trial.key)

    def log(self, key: str) -> Path:
        """The log that a finished trial left."""
        return self.root / "logs" / f"{key}.log"

    def artifacts(self, key: str) -> Path:
        """The folder of the artifacts that a finished trial left."""
        return self.root / "artifacts" / key


def collect(work: Path, patterns: Sequence[str], target: Path) -> tuple[str, ...]:
    """Copy the files below `work` that match a pattern to `target`; their paths relative to `work`, sorted.

    A pattern matches the whole relative path; `*` also matches `/`.
    """
    if not patterns:
        return ()
    shutil.rmtree(target, ignore_errors=True)
    taken: list[str] = []
    room = MAX_BYTES
    with opened_folder(work) as root:
        for path in files_below(root):
            if len(taken) >= MAX_FILES or room <= 0:
                break
            if any(fnmatchcase(path, pattern) for pattern in patterns):
                copied = _copy(root, path, target / path, room)
                if copied is not None:
                    room -= copied
                    taken.append(path)
    return tuple(sorted(taken))


def remove(folder: Path) -> None:
    """Delete a job's folder, whatever permissions the job left in it."""
    for inner, names, _ in os.walk(folder):
        for name in names:
            path = Path(inner, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """The descriptor of a folder, while it is looked into. Raises OSError where it is not one."""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield root
    finally:
        os.close(root)


def files_below(folder: int, prefix: str = "") -> Iterator[str]:
    """The regular files below an open folder, by their paths relative to it, sorted folder by folder."""
    for name in sorted(os.listdir(folder)):
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                yield prefix + name
            elif stat.S_ISDIR(mode) and prefix.count("/") < DEEPEST:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    yield from files_below(inner, f"{prefix}{name}/")
                finally:
                    os.close(inner)
        except OSError:
            continue  # it vanished, or its permissions were taken away: not there for us


def opened(root: int, path: str) -> IO[bytes] | None:
    """A file below an open folder, to be read; None where it is not a regular one that has this name alone."""
    *folders, name = path.split("/")
    inner: list[int] = []
    try:
        for folder in folders:
            inner.append(
                os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=inner[-1] if inner else root)
            )
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=inner[-1] if inner else root)
    except OSError:
        return None
    finally:
        for descriptor in inner:
            os.close(descriptor)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        return None
    return os.fdopen(file, "rb")


def _copy(root: int, path: str, target: Path, room: int) -> int | None:
    source = opened(root, path)
    if source is None:
        return None
    with source:
        size = os.fstat(source.fileno()).st_size
        if size > room:
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        return size
