"""What is left when a runner under the venv engine, or the supervisor of a job, is killed with SIGKILL: nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from tiny_lock import SCRIPTS, THIS_PYTHON, job_of, processes_of, tiny_lock, tiny_wheelhouse
from waiting import PATIENCE_S, until

from runner.engines.orphans import OWNER, TRIAL, end_orphans
from runner.engines.venv import venv_job
from runner.engines.venv.venv_engine import VenvEngine
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from runner.engines.protocol import Image

RUNNER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from tiny_lock import job_of
from runner.engines.venv.venv_job import run
run(job_of("daemonise_and_wait.py", Path({root!r})), Path({environment!r}), threading.Event())
"""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    wheelhouse = tiny_wheelhouse(tmp_path)
    return VenvEngine().make(tiny_lock(wheelhouse, THIS_PYTHON), wheelhouse, lambda _: None, labels={})


def start_runner(image: Image, root: Path) -> subprocess.Popen[bytes]:
    code = RUNNER.format(tests=str(SCRIPTS.parent), root=str(root), environment=image.reference)
    runner = subprocess.Popen([sys.executable, "-c", code])
    until((root / "job" / "work" / "daemon").exists, "the daemon")
    return runner


def test_a_killed_runner_leaves_no_process(image: Image, tmp_path: Path) -> None:
    runner = start_runner(image, tmp_path)
    assert len(processes_of(f"test-{tmp_path.name}")) == 2
    runner.kill()
    runner.wait()
    until(lambda: not processes_of(f"test-{tmp_path.name}"), "the end of all processes")


def test_what_outlives_runner_and_supervisor_is_swept_by_the_next_runner(image: Image, tmp_path: Path) -> None:
    runner = start_runner(image, tmp_path)
    (supervisor,) = psutil.Process(runner.pid).children()
    psutil.Process(runner.pid).suspend()  # so that it does not clean up itself
    supervisor.kill()
    runner.kill()
    runner.wait()
    daemon = psutil.Process(int((tmp_path / "job" / "work" / "daemon").read_text()))
    assert daemon.is_running()
    assert VenvEngine().sweep() >= 1
    assert not processes_of(f"test-{tmp_path.name}")


def test_jobs_of_a_living_runner_are_not_swept(image: Image, tmp_path: Path) -> None:
    runner = start_runner(image, tmp_path)
    try:
        end_orphans()
        assert len(processes_of(f"test-{tmp_path.name}")) == 2
    finally:
        runner.kill()
        runner.wait()
    until(lambda: not processes_of(f"test-{tmp_path.name}"), "the end of all processes")


MANY = """
import os, sys, time
from runner.engines.orphans import OWNER
for number in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "600"], os.environ if number % 2 else {OWNER: "elsewhere:1:1.0"})
print("made", flush=True)
time.sleep(600)
"""


def test_what_a_fork_bomb_of_a_dead_runner_left_is_ended_in_time_that_grows_with_it_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from runner.runner_mark import this_runner; print(this_runner())"],
        capture_output=True,
        text=True,
        check=True,
    )
    marks = {TRIAL: "many", OWNER: done.stdout.strip()}
    command = [sys.executable, "-c", MANY, "400"]
    with subprocess.Popen(command, env={**os.environ, **marks}, stdout=-1, start_new_session=True) as bomb:
        try:
            assert bomb.stdout
            assert bomb.stdout.readline() == b"made\n"
            family = psutil.Process(bomb.pid).children()
            begun = time.process_time()
            assert end_orphans() >= len(family) + 1 == 401
            took_s = time.process_time() - begun
            bomb.wait()
            assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bomb.pid, signal.SIGKILL)
    assert took_s < 1  # 0.1 s; 3 s where each of them is looked for below each


def test_a_process_that_is_no_trial_is_not_swept() -> None:
    with subprocess.Popen(["sleep", "60"], env={OWNER: "elsewhere:1:1.0"}) as other:
        end_orphans()
        assert other.poll() is None
        other.kill()


def test_a_job_whose_supervisor_is_lost_is_ended_and_the_engine_is_to_blame(image: Image, tmp_path: Path) -> None:
    job = job_of("daemonise_and_wait.py", tmp_path)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(VenvEngine().run, image, job)
        until((job.folder.work / "daemon").exists, "the daemon")
        (supervisor,) = [
            process for process in psutil.Process().children() if str(venv_job.SUPERVISOR) in process.cmdline()
        ]
        supervisor.kill()
        with pytest.raises(EngineLostError, match=f"The supervisor of {job.key} failed: it was killed"):
            running.result(PATIENCE_S)
    assert not processes_of(job.key)


def test_an_environment_that_was_removed_meanwhile_is_said_to_be(image: Image, tmp_path: Path) -> None:
    engine = VenvEngine()
    assert engine.remove_image(image.reference)
    with pytest.raises(MachineError, match="was removed meanwhile"):
        engine.run(image, job_of("abort.py", tmp_path))
