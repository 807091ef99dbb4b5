"""The folder `.runner` beside the matrix: claimed by one run at a time, cleared of what a killed run left."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.errors import MachineError, UsageError
from runner.trials.execution import remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO


class Claim:
    """The hold of one process on a workplace; whoever holds it already may take it again."""

    def __init__(self, root: Path) -> None:
        """Hold nothing yet."""
        self._root = root
        self._holders = 0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the workplace; true for the first holder. The kernel gives it back when the process dies, however.

        Raises UsageError where another run holds it, MachineError where it can't be written.
        """
        self._holders += 1
        try:
            if self._holders > 1:
                yield False
                return
            with _opened(self._root) as stream:
                _lock(stream)
                yield True
        finally:
            self._holders -= 1

    def clear_jobs(self) -> None:
        """Remove the folders of jobs that a killed run left; only for the holder."""
        jobs = self._root / "jobs"
        if jobs.is_dir():
            for folder in jobs.iterdir():
                remove(folder)


def _opened(root: Path) -> TextIO:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return (root / "claim").open("a+", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{root} can't be written ({error.strerror}). Records are kept there; make it writable."
        ) from error


def _lock(stream: TextIO) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        raise UsageError(
            f"Another run of this matrix is at work (process {owner}). Wait for it, or stop it first."
        ) from error
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
