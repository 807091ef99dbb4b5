"""Jobs in real containers: their world, how they end, that their limits hold, and that nothing is left of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tiny_lock import LIMITS, job_of

import docker
from runner.engines.docker.container import OWNER, TRIAL
from runner.engines.ownership import this_runner
from runner.engines.protocol import Cut, Ending, Image, Mount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[None]:
    """After each test: no container of its job is there."""
    yield
    assert containers(f"{TRIAL}=test-{tmp_path.name}") == []


def containers(label: str) -> list[str]:
    client = docker.from_env()
    try:
        return [each.id for each in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)]
    finally:
        client.close()


def ended(ending: Ending) -> tuple[int | None, int | None, Cut | None]:
    return ending.exit_code, ending.signal, ending.cut


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit_with_3.py", (3, None, None)),
        ("kill_itself.py", (None, signal.SIGKILL, None)),
        ("abort.py", (None, signal.SIGABRT, None)),
        ("segfault.py", (None, signal.SIGSEGV, None)),
    ],
)
def test_exit_codes_and_signals_are_told_apart(
    script: str,
    expected: tuple[int | None, int | None, Cut | None],
    docker_engine: DockerEngine,
    docker_image: Image,
    tmp_path: Path,
) -> None:
    assert ended(docker_engine.run(docker_image, job_of(script, tmp_path))) == expected


def test_a_script_that_behaves_finds_what_it_needs(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    (tmp_path / "numbers.txt").write_text("2\n3\n")
    (tmp_path / "cached.txt").write_text("cached")
    mounts = (
        Mount(source=tmp_path / "numbers.txt", target="data/numbers.txt"),
        Mount(source=tmp_path / "cached.txt", target="~/.keras/datasets/cached.txt"),
    )
    job = job_of("good_citizen.py", tmp_path, mounts=mounts, argv=("good_citizen.py", "--epochs", "two words"))
    ending = docker_engine.run(docker_image, job)
    log = job.folder.log.read_text()
    assert ended(ending) == (0, None, None), log
    assert "fork [4, 9]\nspawn [4, 9]\n['--epochs', 'two words']\n" in log
    assert (job.folder.work / "model.h5").read_bytes() == b"weights"
    assert (job.folder.home / ".cache" / "tool").is_dir()
    assert not ending.log_truncated
    assert 0 < ending.duration_s < 30
    assert ending.peak_memory_bytes is not None
    assert 2_000_000 < ending.peak_memory_bytes < LIMITS.memory_bytes


def test_the_world_of_a_job_is_its_own_and_nothing_of_the_users(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the user")
    job = job_of("show_world.py", tmp_path, env={"TF_CPP_MIN_LOG_LEVEL": "2"}, argv=("show_world.py", "1"))
    assert ended(docker_engine.run(docker_image, job)) == (0, None, None), job.folder.log.read_text()
    world = json.loads(job.folder.log.read_text())
    assert world["env"].pop("PATH").split(":")[0] == "/env/bin"
    for name in ("PYTHONPATH", "RUNNER_CHANNEL", "RUNNER_PROBE", "LC_CTYPE"):  # the probe's own; CPython sets the last
        world["env"].pop(name, None)
    assert world["env"] == {
        "HOME": "/home/runner",
        "HOSTNAME": "trial",
        "LANG": "C.UTF-8",
        "LOGNAME": "runner",
        "RUNNER_METRICS": "/runner/metrics",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TZ": "UTC",
        "USER": "runner",
    }
    assert world["cwd"] == world["path0"] == "/work"
    assert world["argv"] == ["show_world.py", "1"]
    assert world["main"] == "__main__"
    assert world["tempdir"] == "/tmp"
    assert (world["cpus"], world["umask"], world["core"]) == ([0], 0o022, 0)


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
    }
    assert (tmp_path / "data.txt").read_text() == "data"


def test_the_network_is_there_where_the_job_asks_for_it(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("show_prison.py", tmp_path, network=True)
    docker_engine.run(docker_image, job)
    assert json.loads(job.folder.log.read_text())["interfaces"] == ["lo", "eth0"]


def test_a_script_that_ignores_sigterm_is_killed_when_its_time_is_up(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("ignore_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, grace_s=0.5))
    ending = docker_engine.run(docker_image, job)
    assert ended(ending) == (None, signal.SIGKILL, Cut.TIMEOUT)
    assert 1.9 < ending.duration_s < 5
    assert job.folder.log.read_text() == "started\n"


def test_a_script_may_leave_in_order_when_its_time_is_up(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("leave_on_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, grace_s=20))
    ending = docker_engine.run(docker_image, job)
    assert ended(ending) == (7, None, Cut.TIMEOUT)
    assert ending.duration_s < 10


@pytest.mark.parametrize(
    ("script", "expected"),
    [("eat_memory.py", (None, signal.SIGKILL, Cut.MEMORY)), ("lose_child_to_memory.py", (9, None, Cut.MEMORY))],
)
def test_a_memory_bomb_ends_at_its_limit(
    script: str,
    expected: tuple[int | None, int | None, Cut | None],
    docker_engine: DockerEngine,
    docker_image: Image,
    tmp_path: Path,
) -> None:
    job = job_of(script, tmp_path, limits=replace(LIMITS, memory_bytes=64 * 1024**2))
    assert ended(docker_engine.run(docker_image, job)) == expected


@pytest.mark.parametrize("script", ["fill_disk.py", "many_files.py", "hide_files.py"])
def test_an_endless_writer_is_stopped_at_the_limit_of_its_disk(
    script: str, docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of(script, tmp_path, limits=replace(LIMITS, disk_bytes=8 * 1024**2))
    assert docker_engine.run(docker_image, job).cut is Cut.DISK
    assert sum(file.stat().st_size for file in job.folder.work.iterdir()) < 16 * 1024**2


def test_endless_output_is_kept_short_and_ends_with_the_time(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("endless_output.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, log_bytes=100_000))
    ending = docker_engine.run(docker_image, job)
    log = job.folder.log.read_bytes()
    assert ending.cut is Cut.TIMEOUT
    assert ending.log_truncated
    assert log.startswith(b"the first line\n")
    assert b"bytes left out" in log
    assert len(log) < 101_000


def test_a_fork_bomb_is_contained_and_ends_with_the_time(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("fork_without_end.py", tmp_path, limits=replace(LIMITS, processes=100, timeout_s=1.5, grace_s=0.1))
    ending = docker_engine.run(docker_image, job)
    assert ending.cut is Cut.TIMEOUT
    assert ending.duration_s < 15


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


def test_the_log_can_be_followed_and_stopping_ends_the_job(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    own = type(docker_engine).connect("offline")
    job = job_of("ignore_sigterm.py", tmp_path)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(own.run, docker_image, job)
        deadline = time.monotonic() + 20
        while not (job.folder.log.exists() and job.folder.log.read_text() == "started\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        own.stop_all()
        assert running.result(timeout=20).cut is Cut.INTERRUPTED
    own.close()


def test_sweeping_removes_the_containers_of_dead_runners_only(docker_engine: DockerEngine, docker_image: Image) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from runner.engines.ownership import this_runner; print(this_runner())"],
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
        assert docker_engine.sweep() == 1
        assert containers(f"{OWNER}={dead}") == []
        left = {*containers(f"{OWNER}={living}"), *containers(f"{OWNER}={elsewhere}")}
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
