"""Brings back the files that `artifacts:` names from a working directory that the trial wrote, as if by an attacker.

Only regular files are taken, no link of any kind is followed, and number and size are bounded.
"""

from __future__ import annotations

import os
import shutil
import stat
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_FILES = 1000
MAX_BYTES = 1024**3


def collect(work: Path, patterns: Sequence[str], target: Path) -> tuple[str, ...]:
    """Copy the files below `work` that match a pattern to `target`; their paths relative to `work`, sorted.

    A pattern matches the whole relative path; `*` also matches `/`.
    """
    if not patterns:
        return ()
    shutil.rmtree(target, ignore_errors=True)
    taken: list[str] = []
    room = MAX_BYTES
    root = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for path in _files(root, ""):
            if len(taken) >= MAX_FILES or room <= 0:
                break
            if any(fnmatchcase(path, pattern) for pattern in patterns):
                copied = _copy(root, path, target / path, room)
                if copied is not None:
                    room -= copied
                    taken.append(path)
    finally:
        os.close(root)
    return tuple(sorted(taken))


def _files(folder: int, prefix: str) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                yield prefix + name
            elif stat.S_ISDIR(mode):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    yield from _files(inner, f"{prefix}{name}/")
                finally:
                    os.close(inner)
        except OSError:
            continue  # it vanished, or its permissions were taken away: not there for us


def _copy(root: int, path: str, target: Path, room: int) -> int | None:
    *folders, name = path.split("/")
    opened: list[int] = []
    try:
        for folder in folders:
            opened.append(
                os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1] if opened else root)
            )
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1] if opened else root)
    except OSError:
        return None
    finally:
        for descriptor in opened:
            os.close(descriptor)
    with os.fdopen(file, "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size > room:
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        return status.st_size
