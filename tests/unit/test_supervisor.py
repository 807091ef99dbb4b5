"""The supervisor of a job, run by itself as the venv engine runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil

from runner.engines.venv import supervisor


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
    assert report["duration_s"] < 50


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
