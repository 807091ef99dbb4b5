"""The ways to fail: one class for each, with the exit code that the command line documents.

A message says what happened, what usually causes it and what to do. The command line catches `RunnerError`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class RunnerError(Exception):
    """The base of all that the runner tells a user; `return_code` is the exit code of the command."""

    return_code: ClassVar[int] = 4


class ExpectationFailed(RunnerError):  # noqa: N818 - an outcome that differs is a finding, not an error
    """A finding: an expectation of the matrix did not hold, nothing was executed, or nothing is good."""

    return_code = 1


class UsageError(RunnerError):
    """The command line or the user's configuration is wrong."""

    return_code = 2


class NoEngineError(RunnerError):
    """The engine that the user insists on does not answer."""

    return_code = 3


class MachineError(RunnerError):
    """The machine failed: disk full, index, registry or engine lost. Trying again later may help."""

    return_code = 4


class StoppedError(RunnerError):
    """The user stopped the run: what was under way is no result, and is not kept."""

    return_code = 130

    def __init__(self) -> None:
        super().__init__("Interrupted. What is finished is kept; the same command goes on from there.")


class EngineLostError(MachineError):
    """The engine stopped answering in the middle of its work; what it was asked may be asked again."""


class CrowdedError(EngineLostError):
    """The machine can start no more processes or threads for now: what it was asked may be asked again."""

    @classmethod
    def behind(cls, error: Exception) -> CrowdedError | None:
        """The error of a crowded machine where one of the system, or of Python, means that; else None."""
        refused = isinstance(error, OSError) and error.errno in {errno.EAGAIN, errno.ENOMEM}
        if not refused and str(error) != "can't start new thread":
            return None
        return cls(
            f"No more processes or threads can be started for now ({error}). End what has so many (a fork bomb?), or"
            " allow more: `ulimit -u`, pids.max of the control group, kernel.pid_max."
        )


class EngineFullError(MachineError):
    """The disk of the engine is full: it can be asked to start or to keep nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One thing that is wrong in a file that the user wrote; `line` and `column` count from 1."""

    file: Path
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class MatrixError(UsageError):
    """The matrix file is wrong; carries every mistake that was found, in the order of the file."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (str(m.file), m.line, m.column)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class BuildFailedError(RunnerError):
    """An environment resolved but could not be installed or made an image: a result of its cells, not of the run.

    `stage` is "install" or "image-build"; the message is the builder's own last words. `passing` where the machine or
    its user stood in the way (a permission, a compiler, a CPython, the network): the next run tries again.
    """

    def __init__(self, stage: str, message: str, *, passing: bool = False) -> None:
        self.stage, self.passing = stage, passing
        super().__init__(message)
