"""What a job of the venv engine is given, and the marks by which its processes are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runner.engines.ownership import is_dead, this_runner
from runner.engines.protocol import Job, JobFolder, Limits, Mount
from runner.engines.venv import supervisor, venv_job
from runner.engines.venv.venv_engine import VenvEngine

ENVIRONMENT = Path("/cache/environments/0-0")


def job(root: Path, *, env: dict[str, str] | None = None, mounts: tuple[Mount, ...] = ()) -> Job:
    (root / "work").mkdir(exist_ok=True)
    limits = Limits(memory_bytes=1, disk_bytes=1, processes=1, timeout_s=1)
    return Job(
        key="k", folder=JobFolder(root=root), argv=("train.py",), env=env or {}, limits=limits, cpus=(0,), mounts=mounts
    )


def test_a_job_is_told_where_its_folders_its_channel_and_the_probe_are(tmp_path: Path) -> None:
    variables = venv_job.environment_variables(job(tmp_path), ENVIRONMENT, "host:1:2.0")
    assert variables == {
        "HOME": f"{tmp_path}/home",
        "LANG": "C.UTF-8",
        "LOGNAME": "runner",
        "PATH": f"{ENVIRONMENT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(Path(supervisor.__file__).parents[2] / "probe"),
        "RUNNER_CHANNEL": f"{tmp_path}/channel",
        "RUNNER_METRICS": f"{tmp_path}/metrics",
        "RUNNER_OWNER": "host:1:2.0",
        "RUNNER_PROBE": "1",
        "RUNNER_TRIAL": "k",
        "TMPDIR": f"{tmp_path}/tmp",
        "TZ": "UTC",
        "USER": "runner",
    }


def test_a_cell_may_choose_time_zone_and_module_path_but_neither_home_nor_channel(tmp_path: Path) -> None:
    wanted = {"TZ": "Asia/Tokyo", "PYTHONPATH": "lib", "HOME": "/root", "RUNNER_CHANNEL": "/dev/null"}
    variables = venv_job.environment_variables(job(tmp_path, env=wanted), ENVIRONMENT, "")
    assert variables["TZ"] == "Asia/Tokyo"
    assert variables["PYTHONPATH"] == f"{venv_job.PROBE}:lib"
    assert variables["HOME"] == f"{tmp_path}/home"
    assert variables["RUNNER_CHANNEL"] == f"{tmp_path}/channel"


def test_data_is_mapped_into_the_working_directory_and_into_home(tmp_path: Path) -> None:
    source = tmp_path / "iris.csv"
    source.write_text("1,2\n")
    mounts = (Mount(source=source, target="data/iris.csv"), Mount(source=source, target="~/.keras/datasets/iris.csv"))
    venv_job.lay_out(job(tmp_path, mounts=mounts))
    venv_job.lay_out(job(tmp_path, mounts=mounts))  # a second attempt finds the first one's links
    assert (tmp_path / "work/data/iris.csv").read_text() == "1,2\n"
    assert (tmp_path / "home/.keras/datasets/iris.csv").read_text() == "1,2\n"
    assert (tmp_path / "tmp").is_dir()


def test_this_runner_is_alive_and_its_mark_is_not_another_process() -> None:
    mark = this_runner()
    machine, pid, started = mark.split(":")
    assert not is_dead(mark)
    assert pid == str(os.getpid())
    assert is_dead(f"{machine}:{pid}:{int(started) - 1}"), "another process had this pid before"


def test_a_runner_that_has_ended_is_dead() -> None:
    say = "from runner.engines.ownership import this_runner; print(this_runner(), flush=True); input()"
    command = [sys.executable, "-c", say]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        mark = process.stdout.readline().strip()
        assert not is_dead(mark)
        process.communicate("\n")
    assert is_dead(mark)


@pytest.mark.parametrize("mark", ["", "elsewhere:1:1.0", "a:b:c", "HERE:x:y"])
def test_a_runner_elsewhere_or_unreadable_is_never_called_dead(mark: str) -> None:
    assert not is_dead(mark.replace("HERE", this_runner().partition(":")[0]))


def launched(*lines: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", supervisor.__file__]
    return subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=20, check=True)


def spec(*argv: str, folder: str = "/") -> bytes:
    cpu = min(os.sched_getaffinity(0))
    return (
        json.dumps(
            {"argv": argv, "env": {}, "folder": folder, "cpus": [cpu], "file_bytes": 4096, "processes": 9}
        ).encode()
        + b"\n"
    )


def test_the_end_of_its_input_ends_the_job() -> None:
    report = json.loads(launched(spec("/bin/sleep", "60")).stdout)
    assert os.WTERMSIG(report["status"]) == 9
    assert report["duration_s"] < 10


def test_orders_that_come_with_the_job_are_obeyed() -> None:
    report = json.loads(launched(spec("/bin/sleep", "60"), b"T").stdout)
    assert os.WTERMSIG(report["status"]) in {9, 15}


def test_a_program_that_can_not_be_executed_is_reported_and_is_no_exit_code() -> None:
    assert "No such file" in json.loads(launched(spec("/no/such/python")).stdout)["error"]
    assert "No such file" in json.loads(launched(spec("/bin/true", folder="/no/such/folder")).stdout)["error"]


def test_a_runner_that_says_nothing_is_taken_for_gone() -> None:
    assert json.loads(launched().stdout) == {"error": "the runner ended before it said what to run"}


def test_descendants_are_found_over_generations() -> None:
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", grandchild], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = supervisor.descendants(os.getpid())
        assert found.index(process.pid) < found.index(psutil.Process(process.pid).children()[0].pid)


def test_uvs_own_cpythons_are_offered_only_where_downloads_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    monkeypatch.setattr("runner.engines.venv.venv_engine.find_interpreters", tuple)
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    assert VenvEngine().pythons() == ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    assert VenvEngine().pythons() == ()
