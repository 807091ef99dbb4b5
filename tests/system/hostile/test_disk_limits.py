"""What a trial hides on its disk counts as what it shows: the limit is the kernel's where it can be, else a watch's."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tiny_lock import LIMITS, job_of

from runner.engines.protocol import Cut, JobFolder
from runner.sized_disk import used_bytes, why_watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine
    from runner.engines.protocol import Image

pytestmark = pytest.mark.docker
LIMIT_BYTES = 24 * 1024**2
HIDING = ("hold_mapped.py", "hold_in_socket.py", "hold_without_main_thread.py", "hide_files.py")
SHOWING = ("fill_disk.py", "many_files.py")


@pytest.mark.parametrize("script", [*HIDING, *SHOWING])
def test_a_disk_of_its_own_holds_no_more_than_it_may(
    docker_engine: DockerEngine, docker_image: Image, script: str, tmp_path: Path, not_run: Callable[[str], None]
) -> None:
    if reason := why_watched():
        not_run(reason)
    root = tmp_path / "job"
    root.mkdir()
    with docker_engine.disk(JobFolder(root=root), LIMIT_BYTES):
        assert used_bytes(root) is not None
        job = job_of(script, tmp_path, limits=replace(LIMITS, disk_bytes=LIMIT_BYTES))
        assert docker_engine.run(docker_image, job).cut is Cut.DISK
        room = os.statvfs(root / "disk")
        assert room.f_blocks * room.f_frsize < LIMIT_BYTES + 24 * 1024**2  # no more could ever have been held
    assert used_bytes(root) is None
    assert list(root.glob("*.img")) == []


@pytest.mark.parametrize("script", [one for one in HIDING if one != "hold_in_socket.py"])
def test_where_there_is_none_the_watch_sees_what_is_mapped_or_held_by_a_thread(
    docker_engine: DockerEngine, docker_image: Image, script: str, tmp_path: Path
) -> None:
    job = job_of(script, tmp_path, limits=replace(LIMITS, disk_bytes=LIMIT_BYTES))
    assert docker_engine.run(docker_image, job).cut is Cut.DISK
