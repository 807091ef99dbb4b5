"""An engine without processes: it writes what a trial's probe and script would have written."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

from runner.engines.protocol import Ending, EngineKind, Image, Room, StoredImage
from runner.environments.lock import Environment, Layer, LockedPackage
from runner.environments.lockfile import finished, write
from runner.environments.target import this_platform
from runner.errors import BuildFailedError, EngineLostError, MachineError
from runner.laboratory.equipment import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Job, JobFolder
    from runner.environments.lock import Lock
    from runner.session.results import Results


if TYPE_CHECKING:
    Losses = Callable[[Job, int], Sequence[float]]


@dataclass
class FakeEngine:
    """`losses(job, seed)` says what a trial reports; it may raise what an engine raises."""

    losses: Losses = lambda _job, _seed: (1.0, 0.5, 1e-6)
    kind: EngineKind = EngineKind.VENV
    base: str = ""
    platform: str = field(default_factory=this_platform)
    emulated: str = ""
    ran: list[tuple[str, int]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    left_over: int = 0
    log: bytes = b"out\n"
    identity: str | None = "fake-base"
    bases: dict[str, str] = field(default_factory=dict)
    """The identities of base images that have names."""
    space: Room | None = None
    found: bool = True
    """Whether images are made already."""
    idle: frozenset[str] = frozenset()
    """Preludes that change nothing."""
    duration_s: float = 0.01
    """What a trial says that it took."""
    exits: Callable[[Job], int] = lambda _job: 0
    """The exit code of a trial; it fails after its training."""
    devices: tuple[Gpu, ...] = ()
    broken: dict[str, BuildFailedError] = field(default_factory=dict)
    """What can not be made, by the name of the lock."""

    def disk(self, folder: JobFolder, limit_bytes: int) -> AbstractContextManager[object]:
        return nullcontext()

    def run(self, image: Image, job: Job) -> Ending:
        seed = int(job.env["RUNNER_SEED"])
        self.ran.append((job.labels["cell"], seed))
        start = {
            "event": "start",
            "t": 0.0,
            "probe": "1",
            "python": "3.11.7",
            "implementation": "CPython",
            "executable": "p",
            "argv": [],
            "pid": 1,
            "time": 1.0,
        }
        lines = [json.dumps(start), json.dumps({"event": "stage", "t": 0.1, "stage": "training", "phase": "fit-1"})]
        preludes = [path.stem.split("-", 1)[1] for path in sorted(job.folder.preludes.glob("*.py"))]
        lines += [
            json.dumps({"event": "prelude", "t": 0.1, "name": name, "state": "applied", "note": ""})
            for name in preludes
            if name not in self.idle
        ]
        job.folder.channel.write_text("".join(f"{line}\n" for line in lines))
        losses = self.losses(job, seed)
        job.folder.metrics.write_text(
            "".join(json.dumps({"loss": loss, "epoch": epoch}) + "\n" for epoch, loss in enumerate(losses, 1))
        )
        job.folder.log.write_bytes(self.log)
        return Ending(
            exit_code=self.exits(job),
            signal=None,
            cut=None,
            duration_s=self.duration_s,
            peak_memory_bytes=10_000_000,
        )

    def use(self, image: Image) -> bool:
        return True

    def gpus(self) -> tuple[Gpu, ...]:
        if not self.devices:
            raise MachineError("`resources: gpus` needs an NVIDIA GPU.")
        return self.devices

    def describe(self) -> str:
        return f"{self.kind.value}: nothing is real"

    def check(self) -> None:
        pass

    def pythons(self, image: str = "") -> tuple[str, ...]:
        return ("3.11",)

    def base_identity(self, python: str, image: str = "") -> str:
        return str(self.known_identity(python, image))

    def known_identity(self, python: str, image: str = "") -> str | None:
        return self.bases.get(image, self.identity)

    def find(self, lock: Lock) -> Image | None:
        if not self.found:
            return None
        if lock.environment.name in self.broken:
            raise self.broken[lock.environment.name]
        return Image(
            engine=self.kind,
            reference=f"image-of-{lock.environment.name}",
            lock_digest=lock.digest,
            base_identity=self.base_identity(*lock.ground),
            python_full="3.11.7",
        )

    def images(self) -> tuple[StoredImage, ...]:
        return (
            StoredImage(
                reference="image", lock_name="six-1", size_bytes=1000, last_used=datetime(2026, 1, 1, tzinfo=UTC)
            ),
        )

    def room(self) -> Room | None:
        return self.space

    def remove_image(self, reference: str) -> bool:
        self.removed.append(reference)
        return True

    def recipe(self, lock: Lock, catalog: object) -> str:
        return f"FROM base-of-{lock.environment.name}\n"

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        return ("sh",), {"SHELL_OF": image.reference, "WORK": str(job.folder.work)}

    def stop_all(self) -> None:
        self.stopped.set()

    def sweep(self) -> int:
        return self.left_over

    def forget_kept(self) -> None:
        pass

    def close(self) -> None:
        pass


NO_INDEX = SimpleNamespace(connection=SimpleNamespace(close=lambda: None))
"""A package index that nothing is asked of."""


def world_of(engine: FakeEngine, catalog: object = None) -> World:
    """A world in which every choice of engine gives this one."""
    return World(engine=lambda *_choice, **_base: (engine, ""), catalog=lambda *_which: catalog or NO_INDEX)  # type: ignore[arg-type,return-value]


def _refused(*_choice: object, **_base: object) -> tuple[FakeEngine, str]:
    raise AssertionError("an engine was asked")


WITHOUT_ENGINE = World(engine=_refused)  # type: ignore[arg-type]
"""A world in which no engine may be asked for."""


def lost(_job: Job, _seed: int) -> Sequence[float]:
    raise EngineLostError("The engine stopped answering. Start it again, then the same command.")


MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  script: [a.py, b.py]
experiment:
  timeout: 10s
criterion: loss < 1e-4
"""


def write_matrix(folder: Path, text: str = MATRIX, versions: Sequence[str] = ("1.15.0", "1.16.0")) -> Path:
    """A matrix with its scripts and locks in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.py", "b.py"):
        (folder / name).write_text(f"print({name!r})\n")
    for version in versions:
        environment = Environment(pins=(("six", version),))
        packages = [LockedPackage(name="six", version=version, layer=Layer.BASE, hashes=(f"sha256:{'0' * 64}",))]
        lock = finished(
            environment=environment,
            python="3.11",
            as_of=datetime(2021, 6, 1, tzinfo=UTC),
            exemptions=(),
            packages=packages,
        )
        write(lock, folder / "locks")
    (folder / "matrix.yaml").write_text(text)
    return folder / "matrix.yaml"


def came_to(results: Results) -> list[tuple[object, ...]]:
    """What each cell came to, without what differs from run to run."""
    return [(one.id, one.outcome, one.reason, one.flags, one.converged, one.counted) for one in results.outcomes]
