"""Jobs under every engine, as real containers and real processes: their world, how they end, and that limits hold.

What one engine alone promises is in `test_docker_run.py` and `test_venv_run.py`.
"""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tiny_lock import LIMITS, containers_of, ended, job_of, processes_of
from waiting import PATIENCE_S, until

from runner.engines.docker.container import LAYOUT
from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.protocol import Cut, Mount
from runner.engines.world import host_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.engines.protocol import Ending, Engine, Image, Job, JobFolder
    from runner.engines.world import Layout


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An engine with an image, where its jobs see the parts of their world, and what it adds to that."""

    engine: Engine
    image: Image
    layout: Callable[[JobFolder], Layout]
    added: frozenset[str]
    """The variables that only this engine sets."""
    left: Callable[[str], Sequence[object]]
    """The containers or processes that are there of a job."""
    another: Callable[[], Engine]
    """A second engine of this kind, which a test may stop."""

    def run(self, job: Job) -> Ending:
        return self.engine.run(self.image, job)


@pytest.fixture(scope="module", params=[pytest.param("docker", marks=pytest.mark.docker), "venv"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return cast("Stage", request.getfixturevalue(f"{request.param}_stage"))


@pytest.fixture(scope="module")
def docker_stage(docker_engine: DockerEngine, docker_image: Image) -> Stage:
    return Stage(
        engine=docker_engine,
        image=docker_image,
        layout=lambda _: LAYOUT,
        added=frozenset({"HOSTNAME"}),
        left=containers_of,
        another=lambda: DockerEngine.connect("offline"),
    )


@pytest.fixture(scope="module")
def venv_stage(venv_engine: Callable[[], Engine], venv_image: Image) -> Stage:
    return Stage(
        engine=venv_engine(),
        image=venv_image,
        layout=lambda folder: host_layout(folder, Path(venv_image.reference)),
        added=frozenset({"RUNNER_OWNER", "RUNNER_TRIAL"}),
        left=processes_of,
        another=venv_engine,
    )


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, stage: Stage) -> Iterator[None]:
    """After each test no container and no process of its job stays."""
    yield
    until(lambda: not stage.left(f"test-{tmp_path.name}"), "the end of all that the job had")


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
    script: str, expected: tuple[int | None, int | None, Cut | None], stage: Stage, tmp_path: Path
) -> None:
    assert ended(stage.run(job_of(script, tmp_path))) == expected


def test_a_script_that_behaves_finds_what_it_needs(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("2\n3\n")
    (tmp_path / "cached.txt").write_text("cached")
    mounts = (
        Mount(source=tmp_path / "numbers.txt", target="data/numbers.txt"),
        Mount(source=tmp_path / "cached.txt", target="~/.keras/datasets/cached.txt"),
    )
    job = job_of("good_citizen.py", tmp_path, mounts=mounts, argv=("good_citizen.py", "--epochs", "two words"))
    ending = stage.run(job)
    log = job.folder.log.read_text()
    assert ended(ending) == (0, None, None), log
    assert "fork [4, 9]\nspawn [4, 9]\n['--epochs', 'two words']\n" in log
    assert (job.folder.work / "model.h5").read_bytes() == b"weights"
    assert (job.folder.home / ".cache" / "tool").is_dir()
    assert not ending.log_truncated
    assert ending.duration_s > 0
    assert ending.peak_memory_bytes is not None
    assert 2_000_000 < ending.peak_memory_bytes < LIMITS.memory_bytes


def test_the_world_of_a_job_is_its_own_and_nothing_of_the_users(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the user")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    umask = os.umask(0o077)
    request.addfinalizer(lambda: os.umask(umask))
    job = job_of("show_world.py", tmp_path, env={"TF_CPP_MIN_LOG_LEVEL": "2"}, argv=("show_world.py", "1"))
    layout = stage.layout(job.folder)
    assert ended(stage.run(job)) == (0, None, None), job.folder.log.read_text()
    world = json.loads(job.folder.log.read_text())
    found = {name: text for name, text in world["env"].items() if name not in stage.added}
    assert stage.added <= world["env"].keys()
    assert found.pop("PATH").split(":")[0] == f"{layout.environment}/bin"
    for name in ("PYTHONPATH", "RUNNER_CHANNEL", "RUNNER_PROBE", "LC_CTYPE"):  # the probe's own; CPython sets the last
        found.pop(name, None)
    assert found.pop("TMPDIR", "/tmp") == world["tempdir"]
    assert world["tmp"] == layout.tmp
    assert not os.path.lexists(world["tempdir"]) or world["tempdir"] == "/tmp"  # a short name, so that sockets fit in
    assert world["socket"].startswith(world["tempdir"])
    assert found == {
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": layout.home,
        "LANG": "C.UTF-8",
        "LOGNAME": "runner",
        "MPLBACKEND": "Agg",
        "RUNNER_METRICS": layout.metrics,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TZ": "UTC",
        "USER": "runner",
    }
    assert world["cwd"] == world["path0"] == layout.work
    assert world["argv"] == ["show_world.py", "1"]
    assert world["main"] == "__main__"
    assert world["tiny"] == 42
    assert (world["cpus"], world["umask"], world["core"]) == ([0], 0o022, 0)


def test_a_script_that_ignores_sigterm_is_killed_when_its_time_is_up(stage: Stage, tmp_path: Path) -> None:
    job = job_of("ignore_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=3, grace_s=1.5))
    assert ended(stage.run(job)) == (None, signal.SIGKILL, Cut.TIMEOUT)
    assert job.folder.log.read_text() == "started\nasked to end\n"


def test_a_script_may_leave_in_order_when_its_time_is_up(stage: Stage, tmp_path: Path) -> None:
    ending = stage.run(job_of("leave_on_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=3, grace_s=20)))
    assert ended(ending) == (7, None, Cut.TIMEOUT)


def test_a_memory_bomb_ends_at_its_limit(stage: Stage, tmp_path: Path) -> None:
    job = job_of("eat_memory.py", tmp_path, limits=replace(LIMITS, memory_bytes=128 * 1024**2))
    assert ended(stage.run(job)) == (None, signal.SIGKILL, Cut.MEMORY)


@pytest.mark.parametrize("script", ["fill_disk.py", "many_files.py"])
def test_an_endless_writer_is_stopped_at_the_limit_of_its_disk(script: str, stage: Stage, tmp_path: Path) -> None:
    job = job_of(script, tmp_path, limits=replace(LIMITS, disk_bytes=8 * 1024**2))
    assert stage.run(job).cut is Cut.DISK
    assert sum(file.stat().st_size for file in job.folder.work.iterdir()) < 16 * 1024**2


def test_endless_output_is_kept_short_and_ends_with_the_time(stage: Stage, tmp_path: Path) -> None:
    job = job_of("endless_output.py", tmp_path, limits=replace(LIMITS, timeout_s=3, log_bytes=100_000))
    ending = stage.run(job)
    log = job.folder.log.read_bytes()
    assert ending.cut is Cut.TIMEOUT
    assert ending.log_truncated
    assert log.startswith(b"the first line\n")
    assert b"bytes left out" in log
    assert len(log) < 101_000


def test_many_children_are_killed_with_their_parent(stage: Stage, tmp_path: Path) -> None:
    limits = replace(LIMITS, timeout_s=2, memory_bytes=8 * 1024**3)
    assert stage.run(job_of("fork_gently.py", tmp_path, limits=limits)).cut is Cut.TIMEOUT


def test_the_log_can_be_followed_and_stopping_ends_the_job(stage: Stage, tmp_path: Path) -> None:
    own = stage.another()
    job = job_of("ignore_sigterm.py", tmp_path)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(own.run, stage.image, job)
        until(lambda: job.folder.log.exists() and job.folder.log.read_text() == "started\n", "its first line")
        own.stop_all()
        assert running.result(PATIENCE_S).cut is Cut.INTERRUPTED
    own.close()
