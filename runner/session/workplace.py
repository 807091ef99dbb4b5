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


@contextmanager
def claim(root: Path) -> Iterator[None]:
    """Hold the workplace for one run; the kernel gives it back when the process dies, however it dies.

    Raises UsageError where another run holds it, MachineError where it can't be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / "claim").open("a+", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{root} can't be written ({error.strerror}). Records are kept there; make it writable."
        ) from error
    with stream:
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
        yield


def clear_jobs(root: Path) -> None:
    """Remove the folders of jobs that a killed run left; only for the holder of the claim."""
    jobs = root / "jobs"
    if jobs.is_dir():
        for folder in jobs.iterdir():
            remove(folder)
