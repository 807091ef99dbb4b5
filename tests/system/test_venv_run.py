"""The promises of the venv engine alone: what its processes see, hold and leave without a container around them."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_lock import LIMITS, ended, job_of, processes_of

from runner.engines.protocol import Cut
from runner.engines.venv import venv_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engines.protocol import Image
    from runner.engines.venv.venv_engine import VenvEngine


def test_installed_packages_come_with_bytecode(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = job_of("show_world.py", tmp_path)
    venv_engine().run(venv_image, job)
    world = json.loads(job.folder.log.read_text())
    assert world["tiny"] == 42
    assert Path(world["cached"]).is_file()


def test_a_job_has_no_open_files_of_the_runners(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = job_of("show_world.py", tmp_path)
    venv_engine().run(venv_image, job)
    world = json.loads(job.folder.log.read_text())
    assert world["env"]["RUNNER_TRIAL"] == job.key
    assert str(os.getpid()) in world["env"]["RUNNER_OWNER"].split(":")
    assert set(world["fds"]) <= {"0", "1", "2", "3", "1000"}  # 3 is the listing itself, 1000 the probe's


@pytest.fixture(params=["Linux", "macOS"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is on Linux, and with what Linux alone has left unused: `ps`, psutil and the marks of processes serve."""
    monkeypatch.setattr(venv_job, "LINUX", request.param == "Linux")


@pytest.mark.usefixtures("kernel")
def test_a_memory_bomb_ends_soon_after_its_limit(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = job_of("eat_memory.py", tmp_path, limits=replace(LIMITS, memory_bytes=128 * 1024**2))
    ending = venv_engine().run(venv_image, job)
    assert ended(ending) == (None, signal.SIGKILL, Cut.MEMORY)
    assert ending.peak_memory_bytes is not None
    assert 128 * 1024**2 < ending.peak_memory_bytes < 4 * 1024**3


def test_a_fork_bomb_is_ended_and_the_log_says_why(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = job_of("fork_without_end.py", tmp_path, limits=replace(LIMITS, processes=100, memory_bytes=8 * 1024**3))
    ending = venv_engine().run(venv_image, job)
    assert ended(ending) == (None, signal.SIGKILL, None)
    assert "[ended by the runner: more than 100 processes]" in job.folder.log.read_text()
    assert not processes_of(f"test-{tmp_path.name}")


@pytest.mark.usefixtures("kernel")
def test_a_daemon_does_not_outlive_its_job(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = job_of("daemonise.py", tmp_path)
    assert ended(venv_engine().run(venv_image, job)) == (0, None, None)
    assert (job.folder.work / "daemon").exists()
    assert not processes_of(f"test-{tmp_path.name}")
    assert job.folder.log.read_text() == "the daemon runs\n"
