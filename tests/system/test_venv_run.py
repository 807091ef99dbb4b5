"""Jobs under the venv engine, as real processes: their world, how they end, and that their limits hold."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tiny_lock import LIMITS, THIS_PYTHON, job_of, tiny_lock, tiny_wheelhouse

from runner.engines.ownership import TRIAL
from runner.engines.protocol import Cut, Ending, Image, Mount
from runner.engines.venv.venv_engine import VenvEngine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenvEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield VenvEngine()


@pytest.fixture(scope="module")
def image(engine: VenvEngine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    wheelhouse = tiny_wheelhouse(tmp_path_factory.mktemp("wheels"))
    return engine.make(tiny_lock(wheelhouse, THIS_PYTHON), wheelhouse, lambda _: None, labels={})


def living(root: Path) -> list[psutil.Process]:
    """The processes that the job in `root` left behind."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TRIAL) == f"test-{root.name}" and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


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
    script: str, expected: tuple[int | None, int | None, Cut | None], engine: VenvEngine, image: Image, tmp_path: Path
) -> None:
    assert ended(engine.run(image, job_of(script, tmp_path))) == expected


def test_a_script_that_behaves_finds_what_it_needs(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("2\n3\n")
    (tmp_path / "cached.txt").write_text("cached")
    mounts = (
        Mount(source=tmp_path / "numbers.txt", target="data/numbers.txt"),
        Mount(source=tmp_path / "cached.txt", target="~/.keras/datasets/cached.txt"),
    )
    job = job_of("good_citizen.py", tmp_path, mounts=mounts, argv=("good_citizen.py", "--epochs", "two words"))
    ending = engine.run(image, job)
    log = job.folder.log.read_text()
    assert ended(ending) == (0, None, None), log
    assert "fork [4, 9]\nspawn [4, 9]\n['--epochs', 'two words']\n" in log
    assert (job.folder.work / "model.h5").read_bytes() == b"weights"
    assert not ending.log_truncated
    assert 0 < ending.duration_s < 30
    assert ending.peak_memory_bytes is not None
    assert 5_000_000 < ending.peak_memory_bytes < LIMITS.memory_bytes


def test_the_world_of_a_job_is_its_own_and_nothing_of_the_users(
    engine: VenvEngine,
    image: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the user")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    job = job_of("show_world.py", tmp_path, env={"TF_CPP_MIN_LOG_LEVEL": "2"}, argv=("show_world.py", "1"))
    umask = os.umask(0o077)
    request.addfinalizer(lambda: os.umask(umask))
    assert ended(engine.run(image, job)) == (0, None, None), job.folder.log.read_text()
    world = json.loads(job.folder.log.read_text())
    owner = world["env"].pop("RUNNER_OWNER")
    assert str(os.getpid()) in owner.split(":")
    for taken in ("PYTHONPATH", "RUNNER_CHANNEL", "RUNNER_PROBE"):  # the probe takes itself out of the script's sight
        world["env"].pop(taken, None)
    assert world["env"].pop("PATH").split(":")[0] == f"{image.reference}/bin"
    world["env"].pop("LC_CTYPE", None)  # CPython 3.7 and later set it themselves
    assert world["env"] == {
        "HOME": str(job.folder.home),
        "LANG": "C.UTF-8",
        "LOGNAME": "runner",
        "RUNNER_METRICS": str(job.folder.metrics),
        "RUNNER_TRIAL": job.key,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TMPDIR": str(job.folder.tmp),
        "TZ": "UTC",
        "USER": "runner",
    }
    assert world["cwd"] == world["path0"] == str(job.folder.work)
    assert world["argv"] == ["show_world.py", "1"]
    assert world["main"] == "__main__"
    assert world["tempdir"] == str(job.folder.tmp)
    assert (world["cpus"], world["umask"], world["core"]) == ([0], 0o022, 0)
    assert set(world["fds"]) <= {"0", "1", "2", "3", "1000"}  # 3 is the listing itself, 1000 the probe's


def test_installed_packages_come_with_bytecode(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("show_world.py", tmp_path)
    engine.run(image, job)
    world = json.loads(job.folder.log.read_text())
    assert world["tiny"] == 42
    assert Path(world["cached"]).is_file()


def test_a_script_that_ignores_sigterm_is_killed_when_its_time_is_up(
    engine: VenvEngine, image: Image, tmp_path: Path
) -> None:
    job = job_of("ignore_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, grace_s=0.5))
    ending = engine.run(image, job)
    assert ended(ending) == (None, signal.SIGKILL, Cut.TIMEOUT)
    assert 1.9 < ending.duration_s < 5
    assert job.folder.log.read_text() == "started\n"
    assert not living(tmp_path)


def test_a_script_may_leave_in_order_when_its_time_is_up(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("leave_on_sigterm.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, grace_s=20))
    ending = engine.run(image, job)
    assert ended(ending) == (7, None, Cut.TIMEOUT)
    assert ending.duration_s < 10


def test_a_memory_bomb_ends_soon_after_its_limit(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("eat_memory.py", tmp_path, limits=replace(LIMITS, memory_bytes=128 * 1024**2))
    ending = engine.run(image, job)
    assert ended(ending) == (None, signal.SIGKILL, Cut.MEMORY)
    assert ending.peak_memory_bytes is not None
    assert 128 * 1024**2 < ending.peak_memory_bytes < 4 * 1024**3


@pytest.mark.parametrize("script", ["fill_disk.py", "many_files.py"])
def test_an_endless_writer_is_stopped_at_the_limit_of_its_disk(
    script: str, engine: VenvEngine, image: Image, tmp_path: Path
) -> None:
    job = job_of(script, tmp_path, limits=replace(LIMITS, disk_bytes=8 * 1024**2))
    assert engine.run(image, job).cut is Cut.DISK
    written = sum(file.stat().st_size for file in job.folder.work.iterdir())
    assert written < 16 * 1024**2


def test_endless_output_is_kept_short_and_ends_with_the_time(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("endless_output.py", tmp_path, limits=replace(LIMITS, timeout_s=1.5, log_bytes=100_000))
    ending = engine.run(image, job)
    log = job.folder.log.read_bytes()
    assert ending.cut is Cut.TIMEOUT
    assert ending.log_truncated
    assert log.startswith(b"the first line\n")
    assert b"bytes left out" in log
    assert len(log) < 101_000


def test_many_children_are_killed_with_their_parent(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("fork_gently.py", tmp_path, limits=replace(LIMITS, timeout_s=2, memory_bytes=8 * 1024**3))
    ending = engine.run(image, job)
    assert ending.cut is Cut.TIMEOUT
    assert not living(tmp_path)


def test_a_fork_bomb_is_ended_and_the_log_says_why(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("fork_without_end.py", tmp_path, limits=replace(LIMITS, processes=100, memory_bytes=8 * 1024**3))
    ending = engine.run(image, job)
    assert ended(ending) == (None, signal.SIGKILL, None)
    assert "[ended by the runner: more than 100 processes]" in job.folder.log.read_text()
    assert not living(tmp_path)


def test_a_daemon_does_not_outlive_its_job(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    job = job_of("daemonise.py", tmp_path)
    assert ended(engine.run(image, job)) == (0, None, None)
    assert not psutil.pid_exists(int((job.folder.work / "daemon").read_text()))
    assert job.folder.log.read_text() == "the daemon runs\n"


def test_the_log_can_be_followed_while_the_job_runs(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    own = VenvEngine()
    job = job_of("ignore_sigterm.py", tmp_path)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(own.run, image, job)
        deadline = time.monotonic() + 20
        while not (job.folder.log.exists() and job.folder.log.read_text() == "started\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        own.stop_all()
        assert running.result(timeout=20).cut is Cut.INTERRUPTED
    assert not living(tmp_path)
