"""The values that travel between home and the workers of a cluster: what is asked, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner import errors
from runner.errors import BuildFailedError, MachineError, StoppedError
from runner.laboratory.cluster.worker_files import DataMissingError
from runner.scripts.script import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Image
    from runner.errors import RunnerError
    from runner.scripts.script import Script
    from runner.trials.record import Record
    from runner.trials.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What every bench of one run is opened with."""

    run: str
    engine: str
    base: str
    runtime: str = ""
    platform: str = ""
    undated: Callable[[str], bool] | None = None
    indexes: tuple[str, ...] = ()
    registry: str = ""
    """The registry that images are pushed to by their first makers; empty: none."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a worker is and has."""

    host: str
    machine: str
    """What workers share that share a cache."""
    engine: str
    base: str
    platform: str
    emulated: str
    described: str
    pythons: tuple[str, ...]
    identities: Mapping[str, str]
    """What a lock does not pin, by CPython and named base image, where it is known without making anything."""
    processors: int
    memory_bytes: int
    free_bytes: int
    """Of the disk that its cache lies on."""
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A trial with all that it needs, the files of its script included."""

    trial: Trial
    processors: int
    gpus: int = 0
    trials_per_gpu: int = 1
    address: str = ""
    """The registry's name and digest of its environment's image; empty where nobody pushed that."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A trial that ran: its record and log; its artifacts, by path and size, wait on the worker to be fetched."""

    record: Record
    log: bytes
    artifacts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """An environment that was made, or was there; and how long that took."""

    image: Image
    took_s: float


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error of the runner, as a value."""

    kind: str
    message: str
    stage: str = ""
    passing: bool = False

    @classmethod
    def of(cls, error: RunnerError) -> Refusal:
        """An error that is to travel."""
        stage, passing = (error.stage, error.passing) if isinstance(error, BuildFailedError) else ("", False)
        return cls(kind=type(error).__name__, message=str(error), stage=stage, passing=passing)

    def error(self, worker: str) -> RunnerError:
        """The error as home raises it; one of a machine says which."""
        if self.kind == StoppedError.__name__:
            return StoppedError()
        if self.kind == DataMissingError.__name__:
            return DataMissingError(self.message)
        if self.kind == BuildFailedError.__name__:
            return BuildFailedError(self.stage, self.message, passing=self.passing)
        kind = getattr(errors, self.kind, MachineError)
        return kind(f"On worker {worker}: {self.message}")


def bundled(script: Script) -> Script:
    """The script with the content of every file in it, so that it can be copied where its folder is not."""
    files = tuple(
        file if file.rewritten is not None else replace(file, rewritten=content_of(script, file))
        for file in script.files
    )
    return replace(script, files=files)
