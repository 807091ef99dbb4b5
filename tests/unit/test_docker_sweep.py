"""What a dead runner left in a Docker engine, and which disks of this machine go with it."""

from __future__ import annotations

from typing import Any

import pytest

from runner import sized_disk
from runner.engines.docker.container import LAYOUT, OWNER
from runner.engines.docker.docker_engine import DockerEngine


class Left:
    """A container that a runner left, and the engine that has nothing else."""

    def __init__(self, done: list[str], kind: str, status: str) -> None:
        self.done, self.status = done, status
        self.labels = {OWNER: "dead"}
        self.attrs = {"Mounts": [{"Type": kind, "Destination": LAYOUT.work, "Source": "/m/.runner/jobs/k1/work"}]}
        self.containers = self

    def list(self, **_: object) -> list[Left]:
        return [self]

    def remove(self, **_: object) -> None:
        self.done.append("removed")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("bind", "running", ["unmounted /m/.runner/jobs/k1", "removed"]),
        ("bind", "exited", ["unmounted /m/.runner/jobs/k1", "removed"]),
        ("bind", "removing", ["removed"]),
        ("bind", "dead", ["removed"]),
        ("volume", "running", ["removed"]),
    ],
)
def test_the_disk_of_a_killed_job_goes_before_its_container_and_no_other_disk_does(
    kind: str, status: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container gone, another runner may have the same trial in the same place."""
    done: list[str] = []
    monkeypatch.setattr(sized_disk, "unmount_below", lambda folder: done.append(f"unmounted {folder.as_posix()}"))
    left: Any = Left(done, kind, status)
    nothing: Any = None
    engine = DockerEngine(left, nothing, nothing, base="offline")
    assert engine._remove(lambda labels: labels[OWNER] == "dead") == 1
    assert done == expected
