"""A trial may make the system calls that programs need, and none of those that kernels were broken with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tiny_lock import ended, job_of

if TYPE_CHECKING:
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine
    from runner.engines.protocol import Image

pytestmark = pytest.mark.docker
ALLOWED = {"unix": "done", "inet": "done", "inet6": "done", "netlink": "done", "pool": [1, 2], "clone3": "ENOSYS"}


def test_what_breaks_kernels_is_refused_from_inside(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("break_walls.py", tmp_path)
    assert ended(docker_engine.run(docker_image, job)) == (0, None, None), job.folder.log.read_text()
    found = json.loads(job.folder.log.read_text())
    assert {name: found.pop(name) for name in ALLOWED} == ALLOWED
    assert len(found) > 30
    assert {name: said for name, said in found.items() if said not in {"EPERM", "ENOSYS"}} == {}
