"""The interface of an engine, which makes images from locks and runs jobs in them. `docker` and `venv` implement it.

The values here are all that passes between the engines and the rest; nothing above knows which engine it talks to.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from runner.errors import EngineLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from runner.engines.gpu import Gpu
    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import Wheelhouse


_AS, _UNDER = " as ", " under "


class EngineKind(enum.Enum):
    """The two engines; part of a trial's key."""

    DOCKER = "docker"
    VENV = "venv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A lock made runnable. `reference` is an image's tag or the folder of an environment."""

    engine: EngineKind
    reference: str
    lock_digest: str
    base_identity: str
    """All that the lock does not pin: the base image's digest or content hash, or the interpreter's exact build."""
    python_full: str
    """Such as "3.7.16"."""
    address: str = ""
    """The registry's name and digest of what was pushed, for other engines to pull; empty where nothing was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredImage:
    """An image that an engine keeps, as `clean` shows it."""

    reference: str
    lock_name: str
    size_bytes: int
    last_used: datetime
    """UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """The place where an engine keeps its images, and the free space there."""

    path: Path
    free_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A file or folder of the host that the job sees read-only.

    `target` is relative to the working directory, or starts with `~/` (the job's HOME).
    """

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The resources that a job may use. Exceeding one of them ends the job, and its ending says which one it was."""

    memory_bytes: int
    disk_bytes: int
    """Of everything that the job writes: working directory, HOME and /tmp together."""
    processes: int
    timeout_s: float
    log_bytes: int = 16 * 1024**2
    channel_bytes: int = 64 * 1024**2
    grace_s: float = 5.0
    """Between SIGTERM and SIGKILL when the time is up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """The processors and the GPUs that one job at a time has."""

    cpus: tuple[int, ...] = ()
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFolder:
    """The folder of one job on the host, prepared by the caller: `work/` holds the script, `channel` is an empty file.

    The engine gives `home/` and `tmp/` to the job beside `work/`, and writes `log` (output and errors, as they came;
    head and tail are kept where it is longer than the limit).
    """

    root: Path

    @property
    def work(self) -> Path:
        """The job's working directory."""
        return self.root / "work"

    @property
    def home(self) -> Path:
        """The job's HOME."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """The job's /tmp (TMPDIR under `venv`)."""
        return self.root / "tmp"

    @property
    def channel(self) -> Path:
        """The file that the probe appends JSON lines to."""
        return self.root / "channel"

    @property
    def metrics(self) -> Path:
        """The file named in $RUNNER_METRICS, where a script without Keras writes its metrics."""
        return self.root / "metrics"

    @property
    def preludes(self) -> Path:
        """The sources that the probe runs before the script, read-only to the job; missing without any."""
        return self.root / "preludes"

    @property
    def log(self) -> Path:
        """The job's standard output and error."""
        return self.root / "log"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One execution: `argv` is what Python is started with where it starts: the script and its arguments."""

    key: str
    folder: JobFolder
    argv: tuple[str, ...]
    env: Mapping[str, str]
    limits: Limits
    cpus: tuple[int, ...]
    """The processors of the slot that the job runs in."""
    gpus: tuple[Gpu, ...] = ()
    """Its GPUs; it sees no others."""
    start: str = ""
    """The folder that it starts in, relative to the working directory."""
    mounts: tuple[Mount, ...] = ()
    network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


class Cut(enum.Enum):
    """The limit that ended a job."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    DISK = "disk"
    CHANNEL = "channel"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """The end of a job as the engine saw it; this takes precedence over what the job reports."""

    exit_code: int | None
    """None where a signal ended it."""
    signal: int | None
    cut: Cut | None
    duration_s: float
    peak_memory_bytes: int | None
    log_truncated: bool = False
    processor: str = ""
    """The model of the processors that it ran on; empty where nobody can tell."""


class JobLostError(EngineLostError):
    """Whoever watched over a job was ended, and the job with it: by the machine, or by the job itself.

    `ending` is the job's, for where it happens every time.
    """

    def __init__(self, message: str, ending: Ending) -> None:
        self.ending = ending
        super().__init__(message)


def under_runtime(identity: str, runtime: str) -> str:
    """The identity of a base whose containers run under this runtime of the engine; empty: the usual one."""
    return f"{identity}{_UNDER}{runtime}" if runtime else identity


def runtime_of(identity: str) -> str:
    """The runtime that an identity names; empty: the usual one."""
    return identity.partition(_UNDER)[2]


def emulating(identity: str, platform: str) -> str:
    """The identity of a base whose containers emulate this platform; empty: it is the engine's own."""
    return f"{identity}{_AS}{platform}" if platform else identity


def emulated_of(identity: str) -> str:
    """The emulated platform that an identity names; empty: none."""
    return identity.partition(_UNDER)[0].partition(_AS)[2]


class Engine(Protocol):
    """Makes images and runs jobs. All methods may be called from several threads at once."""

    kind: EngineKind
    base: str
    """The source of base images, `registry` or `offline`; empty where there are none."""

    @property
    def platform(self) -> str:
        """The platform that images are made for: `linux/amd64`."""
        ...

    @property
    def emulated(self) -> str:
        """That platform where it is not the machine's own; else empty."""
        ...

    def describe(self) -> str:
        """What this engine is, in one line."""
        ...

    def check(self) -> None:
        """Find out, in a few seconds, whether images can be made. Raises MachineError, with the reason, where not."""
        ...

    def pythons(self, image: str = "") -> tuple[str, ...]:
        """The CPython minor releases that this engine can provide, newest first, such as ("3.13", …, "3.6").

        On a base image of this name (fetched if need be) the one that it has; an engine without images takes no heed.
        Raises MachineError where the image can't be had, UsageError where it has none.
        """
        ...

    def base_identity(self, python: str, image: str = "") -> str:
        """The identity of all that the lock does not pin, for one CPython minor release; quick once made."""
        ...

    def known_identity(self, python: str, image: str = "") -> str | None:
        """`base_identity` where it is known without making or fetching; of a named image the engine is asked, once."""
        ...

    def toolchain(self, python: str, image: str = "") -> Toolchain:
        """The means to resolve and build for one CPython minor release."""
        ...

    def make(
        self, lock: Lock, wheelhouse: Wheelhouse, say: Callable[[str], None], *, labels: Mapping[str, str]
    ) -> Image:
        """Make a lock runnable, or find it made; `say` gets lines of progress, `labels` name what it is made for.

        Raises MachineError or BuildFailedError.
        """
        ...

    def push(self, image: Image, registry: str) -> Image:
        """The image with an address in a registry, where other engines can pull it; as it is where this is no image.

        Raises MachineError where the registry does not take it.
        """
        ...

    def pull(self, lock: Lock, address: str, say: Callable[[str], None]) -> Image | None:
        """The image of a lock out of a registry; None where this engine has no such images.

        Raises MachineError where it can't be had, or is of another lock or base image.
        """
        ...

    def recipe(self, lock: Lock, catalog: Catalog) -> str:
        """Instructions for making the image of a lock without this tool.

        Raises UsageError where the engine makes no images.
        """
        ...

    def room(self) -> Room | None:
        """The place where images are kept; None where this machine cannot see it."""
        ...

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where it is made already."""
        ...

    def disk(self, folder: JobFolder, limit_bytes: int) -> AbstractContextManager[object]:
        """Give a job's folders, which are empty, a disk that is no larger, where that can be; it goes in the end."""
        ...

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that jobs can be given. Raises MachineError, with what is missing, where there are none."""
        ...

    def use(self, image: Image) -> bool:
        """Note that an image is about to be used, so that nobody takes it for forgotten; false where it is gone."""
        ...

    def run(self, image: Image, job: Job) -> Ending:
        """Run one job to its end. Raises EngineLostError where the engine, not the job, failed."""
        ...

    def images(self) -> tuple[StoredImage, ...]:
        """Every image of this tool that the engine keeps."""
        ...

    def remove_image(self, reference: str) -> bool:
        """Remove an image; false where a job runs in it."""
        ...

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command of a shell in a job's world, and all its environment variables."""
        ...

    def stop_all(self) -> None:
        """End every job of this process now (Ctrl-C); their `run` calls return with `Cut.INTERRUPTED`."""
        ...

    def sweep(self) -> int:
        """Remove what killed runners left behind on this engine (never jobs of a living one); how many there were."""
        ...

    def forget_kept(self) -> None:
        """Drop what is kept only to make the next image sooner."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
