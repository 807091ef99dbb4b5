"""The supervisor of a job, run by itself as the venv engine runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from waiting import PATIENCE_S

from runner.engines.venv import supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


COMMAND = [sys.executable, "-I", "-S", supervisor.__file__]


def launched(*lines: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(COMMAND, input=b"".join(lines), capture_output=True, timeout=PATIENCE_S, check=True)


def spec(*argv: str, folder: str = "/", **more: object) -> bytes:
    cpu = min(os.sched_getaffinity(0))
    given = {"argv": argv, "folder": folder, "cpus": [cpu], "file_bytes": 4096, "processes": 9}
    given |= {"linux": True, "read_only": []}
    given |= {"env": {"TMPDIR": "/nowhere/tmp"}, "short_tmp": "/nowhere/short", **more}
    return json.dumps(given).encode() + b"\n"


@pytest.mark.parametrize("linux", [True, False])
def test_the_end_of_its_input_ends_the_job(linux: bool) -> None:
    report = json.loads(launched(spec("/bin/sleep", "60", linux=linux)).stdout)
    assert os.WTERMSIG(report["status"]) == 9
    assert report["duration_s"] < 50


@pytest.mark.parametrize("led_to", ["long", "gone"])
def test_the_folder_of_temporary_files_has_a_short_name_as_long_as_the_job_runs(tmp_path: Path, led_to: str) -> None:
    folder, link = tmp_path / "long", tmp_path / "short"
    folder.mkdir()
    link.symlink_to(tmp_path / led_to)  # left by a supervisor that was killed
    job = spec("/bin/sh", "-c", "echo $TMPDIR > $TMPDIR/told", env={"TMPDIR": str(folder)}, short_tmp=str(link))
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(job)
        assert json.loads(process.stdout.readline())["status"] == 0
    assert (folder / "told").read_text() == f"{link}\n"
    assert not link.is_symlink()


@pytest.mark.parametrize("linux", [True, False])
def test_orders_that_come_with_the_job_are_obeyed(linux: bool) -> None:
    report = json.loads(launched(spec("/bin/sleep", "60", linux=linux), b"T").stdout)
    assert os.WTERMSIG(report["status"]) in {9, 15}


def test_a_program_that_can_not_be_executed_is_reported_and_is_no_exit_code() -> None:
    assert "No such file" in json.loads(launched(spec("/no/such/python")).stdout)["error"]
    assert "No such file" in json.loads(launched(spec("/bin/true", folder="/no/such/folder")).stdout)["error"]


def test_a_runner_that_says_nothing_is_taken_for_gone() -> None:
    assert json.loads(launched().stdout) == {"error": "the runner ended before it said what to run"}


@pytest.mark.parametrize("linux", [True, False])
def test_descendants_are_found_over_generations(linux: bool) -> None:
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", grandchild], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = supervisor.descendants(os.getpid(), linux)
        assert found.index(process.pid) < found.index(psutil.Process(process.pid).children()[0].pid)


def test_ps_tells_the_same_processes_as_the_kernel() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        told = supervisor.told_by_ps()
        process.kill()
    assert told[process.pid] == (os.getpid(), os.getuid(), 1)
    assert told[os.getpid()][0] == os.getppid()


def test_read_only_paths_can_not_be_written_and_the_jobs_own_folder_in_them_can(
    tmp_path: Path, not_run: Callable[[str], None]
) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        not_run("this machine allows no mount of its own")
    root, file = tmp_path / "data/jobs/one", tmp_path / "file.csv"
    root.mkdir(parents=True)
    file.touch()
    lines = [f"echo x > {tmp_path}/data/new", f"echo x >> {file}", f"echo x > {root}/new && echo x > {tmp_path}/other"]
    command = "; ".join(f"({line})" for line in lines)
    paths = [str(tmp_path / "data"), str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(spec("/bin/sh", "-c", command, read_only=paths, root=str(root)))
        assert json.loads(process.stdout.readline())["status"] == 0
        assert process.stderr.read().count(b"Read-only file system") == 2
    assert file.read_text() == ""
    assert (tmp_path / "other").read_text() == (root / "new").read_text() == "x\n"
    assert not (tmp_path / "data/new").exists()
