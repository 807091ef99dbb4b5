"""Files that are copied to an engine elsewhere, as far as no engine is needed: what a failure in the middle leaves."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import requests.exceptions

from runner.engines.docker import container
from runner.engines.docker.container import LAYOUT
from runner.engines.docker.copied_files import CopiedFiles
from runner.engines.protocol import Job, JobFolder, Limits
from runner.engines.world import world_of
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FarEngine:
    """An engine, its client and its API in one, that takes what is copied to it, or fails `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.api = self.containers = self
        self.made: list[str] = []
        self.filled: list[str] = []
        self.sizes: dict[str, int] = {}
        self.gone: list[list[str]] = []

    def create_volume(self, **_: object) -> dict[str, str]:
        self.made.append(f"volume-{len(self.made)}-{self.failures}")
        return {"Name": self.made[-1]}

    def remove_volume(self, name: str, **_: object) -> None:
        self.made.remove(name)

    def create(self, _image: str, command: list[str], *, mounts: list[Any], **_: object) -> SimpleNamespace:
        seen = [
            {"Destination": mount["Target"], "Name": mount["Source"] or f"own{mount['Target']}"} for mount in mounts
        ]

        def put_archive(_path: str, data: Any) -> None:
            if self.failures:
                self.failures -= 1
                raise requests.exceptions.ConnectionError("connection broken")
            assert b"".join(data)
            self.filled += [one["Name"] for one in seen]

        return SimpleNamespace(
            put_archive=put_archive, id="c", attrs={"Mounts": seen}, remove=lambda **_: self.gone.append(command)
        )

    def _url(self, path: str) -> str:
        return path

    def _get(self, path: str, **_: object) -> str:
        return path

    def _result(self, _path: str, _json: bool) -> dict[str, Any]:
        return {"Volumes": [{"Name": name, "UsageData": {"Size": size}} for name, size in self.sizes.items()]}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = JobFolder(root=tmp_path / "job")
    folder.work.mkdir(parents=True)
    limits = Limits(memory_bytes=2**29, disk_bytes=2**20, processes=64, timeout_s=60)
    return Job(key="k1", folder=folder, argv=("a.py",), env={}, limits=limits, cpus=())


def files_of(engine: Any) -> CopiedFiles:
    return CopiedFiles(engine, {"owner": "me"})


def test_what_was_half_sent_is_sent_again_and_no_job_sees_the_half(job: Job) -> None:
    engine = FarEngine(failures=1)
    files, world = files_of(engine), world_of(job, LAYOUT)
    files.prepare(job, world)
    with pytest.raises(EngineLostError), files.given("image", world, {}):
        pass
    assert engine.made == [], "the volume that lacks the probe is gone"
    with files.given("image", world, {}) as mounts:
        sources = {mount["Target"]: mount["Source"] for mount in mounts}
    assert sources[LAYOUT.probe] in engine.filled
    files.close()
    assert engine.made == []


def test_jobs_with_the_same_preludes_share_their_volume(job: Job, tmp_path: Path) -> None:
    engine = FarEngine()
    files, seen = files_of(engine), []
    for number, text in enumerate(("one", "one", "two")):
        each = replace(job, folder=JobFolder(root=tmp_path / str(number)))
        each.folder.preludes.mkdir(parents=True)
        (each.folder.preludes / "a.py").write_text(text)
        (each.folder.preludes / "__pycache__").mkdir()
        (each.folder.preludes / "__pycache__" / "a.pyc").write_text(str(number))
        world = world_of(each, LAYOUT)
        files.prepare(each, world)
        with files.given("image", world, {}) as mounts:
            seen.append(next(mount["Source"] for mount in mounts if mount["Target"] == LAYOUT.preludes))
    assert seen[0] == seen[1] != seen[2]
    assert len(engine.made) == 3, "that of the probe is the third"


def test_a_shell_goes_before_its_volumes_do(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may never have begun, or still run: an engine keeps a volume that a container has."""
    monkeypatch.setattr(container, "docker_command", lambda: "docker")
    engine: Any = FarEngine()
    image: Any = SimpleNamespace(reference="image")
    with ExitStack() as until_close:
        container.shell_command(engine, image, job, files=files_of(engine), owner="me", until_close=until_close)
        engine.gone.clear()
    assert engine.gone == [["bash"], ["-"]]


def test_what_a_job_says_is_no_part_of_its_disk(job: Job) -> None:
    engine = FarEngine()
    engine.sizes = {"work": 10, "home": 200, "tmp": 3000, "record": 40_000, "data": 500_000}
    mounts = [
        {"Type": "volume", "Name": name, "Destination": target, "RW": name != "data"}
        for name, target in (
            ("work", LAYOUT.work),
            ("home", LAYOUT.home),
            ("tmp", LAYOUT.tmp),
            ("record", str(Path(LAYOUT.channel).parent)),
            ("data", "/runner/given/0"),
        )
    ]
    left: Any = SimpleNamespace(attrs={"Mounts": mounts})
    assert files_of(engine).written_bytes(left, job, (), enough=0, last=True) == 3210


def test_a_container_that_somebody_removed_is_lost_and_tried_again(job: Job) -> None:
    def gone(_path: str) -> None:
        raise docker.errors.NotFound("No such container")

    left: Any = SimpleNamespace(get_archive=gone)
    with pytest.raises(EngineLostError, match="Somebody outside of this run removed"):
        files_of(FarEngine()).look(left, job)


@pytest.mark.parametrize(
    ("sent", "error", "said"),
    [
        (lambda: iter([b"no archive" * 100]), EngineLostError, "no whole archive of /folder"),
        (lambda: broken(requests.exceptions.ConnectionError("reset")), EngineLostError, "stopped answering"),
        (lambda: broken(OSError(errno.ENOSPC, "No space left on device")), MachineError, "disk of .* is full"),
    ],
)
def test_what_uv_left_and_does_not_come_home_whole_is_a_message(
    sent: Callable[[], Iterator[bytes]], error: type[MachineError], said: str, tmp_path: Path
) -> None:
    left: Any = SimpleNamespace(get_archive=lambda _path: (sent_closing(sent()), {}))
    with pytest.raises(error, match=said):
        files_of(FarEngine()).bring_folders(left, [(tmp_path, "/folder")])


def broken(error: Exception) -> Iterator[bytes]:
    yield b"x"
    raise error


def sent_closing(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """As the SDK's, one that can be closed."""
    yield from chunks
