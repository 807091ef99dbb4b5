"""The promises of the docker engine alone: its containers are prisons, and those of dead runners are swept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tiny_lock import LIMITS, containers_of, containers_with, ended, job_of
from waiting import until

import docker
from runner.engines.docker.container import OWNER, ContainerJob
from runner.engines.protocol import Cut, Image, Mount
from runner.runner_mark import this_runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[None]:
    """After each test: no container of its job stays."""
    yield
    until(lambda: not containers_of(f"test-{tmp_path.name}"), "the end of the job's container")


def test_the_container_is_a_prison(docker_engine: DockerEngine, docker_image: Image, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data")
    job = job_of("show_prison.py", tmp_path, mounts=(Mount(source=tmp_path / "data.txt", target="data.txt"),))
    assert ended(docker_engine.run(docker_image, job)) == (0, None, None), job.folder.log.read_text()
    seen = json.loads(job.folder.log.read_text())
    assert seen.pop("uid") != 0
    assert seen.pop("probe") in {"OSError 30", "PermissionError 13"}
    assert seen == {
        "interfaces": ["lo"],
        "connect": "OSError 101",
        "root": "OSError 30",
        "environment": "OSError 30",
        "beside the channel": "OSError 30",
        "remove the channel": "OSError 30",
        "replace the channel": "OSError 18",
        "data": "OSError 30",
        "channel": "done",
        "capabilities": 0,
        "no new privileges": "1",
        "seccomp": "2",
        "hostname": "trial",
        "finds itself": "done",
    }
    assert (tmp_path / "data.txt").read_text() == "data"


def test_the_network_is_there_where_the_job_asks_for_it(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("show_prison.py", tmp_path, network=True)
    docker_engine.run(docker_image, job)
    assert json.loads(job.folder.log.read_text())["interfaces"] == ["lo", "eth0"]


def test_a_child_that_the_kernel_killed_for_memory_ends_the_job_at_its_limit(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("lose_child_to_memory.py", tmp_path, limits=replace(LIMITS, memory_bytes=64 * 1024**2))
    assert ended(docker_engine.run(docker_image, job)) == (9, None, Cut.MEMORY)


def test_an_end_that_the_engine_heard_of_before_its_memory_ran_out_is_still_of_memory(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = ContainerJob._inspect
    monkeypatch.setattr(ContainerJob, "_inspect", lambda self: {**seen(self), "OOMKilled": False})
    job = job_of("eat_memory.py", tmp_path, limits=replace(LIMITS, memory_bytes=64 * 1024**2))
    assert ended(docker_engine.run(docker_image, job)) == (None, signal.SIGKILL, Cut.MEMORY)


def test_files_that_are_hidden_count_for_the_disk(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("hide_files.py", tmp_path, limits=replace(LIMITS, disk_bytes=8 * 1024**2))
    assert docker_engine.run(docker_image, job).cut is Cut.DISK
    assert sum(file.stat().st_size for file in job.folder.work.iterdir()) < 16 * 1024**2


def test_a_fork_bomb_is_contained_and_ends_with_the_time(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("fork_without_end.py", tmp_path, limits=replace(LIMITS, processes=100, timeout_s=1.5, grace_s=0.1))
    ending = docker_engine.run(docker_image, job)
    assert ending.cut is Cut.TIMEOUT
    assert ending.duration_s < 60


def test_links_that_lead_out_of_the_container_are_not_followed(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "large").write_bytes(b"x" * 16 * 1024**2)
    job = job_of("plant_links.py", tmp_path, argv=("plant_links.py", str(victim)))
    job = replace(job, limits=replace(LIMITS, disk_bytes=4 * 1024**2))
    assert ended(docker_engine.run(docker_image, job)) == (0, None, None)
    assert (job.folder.work / "root").is_symlink()


def test_sweeping_removes_the_containers_of_dead_runners_only(docker_engine: DockerEngine, docker_image: Image) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from runner.runner_mark import this_runner; print(this_runner())"],
        capture_output=True,
        text=True,
        check=True,
    )
    dead, living, elsewhere = said.stdout.strip(), this_runner(), f"elsewhere:{this_runner().partition(':')[2]}"
    client = docker.from_env()
    made = [
        client.containers.run(
            docker_image.reference, ["sleep", "60"], detach=True, network_mode="none", labels={OWNER: owner}
        )
        for owner in (dead, living, elsewhere)
    ]
    try:
        assert docker_engine.sweep() >= 1  # runners that were killed before left theirs, too
        assert containers_with(f"{OWNER}={dead}") == []
        left = {*containers_with(f"{OWNER}={living}"), *containers_with(f"{OWNER}={elsewhere}")}
        assert left == {each.id for each in made[1:]}
    finally:
        for each in made[1:]:
            each.remove(force=True)
        client.close()


def test_a_shell_sees_what_a_job_sees(docker_engine: DockerEngine, docker_image: Image, tmp_path: Path) -> None:
    job = job_of("show_prison.py", tmp_path)
    command, variables = docker_engine.shell_command(docker_image, job)
    typed = "id -u; pwd; echo $HOME; python show_prison.py; touch /planted\n"
    done = subprocess.run(command, env=variables, input=typed, capture_output=True, text=True, check=False)
    uid, place, home, prison = done.stdout.splitlines()
    assert (uid != "0", place, home) == (True, "/work", "/home/runner"), done.stderr
    assert json.loads(prison)["interfaces"] == ["lo"]
    assert "Read-only file system" in done.stderr
