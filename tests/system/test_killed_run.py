"""A run that is killed, or interrupted, at any point: no finished trial is repeated, nothing stays behind."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from typing import TYPE_CHECKING

import psutil
import pytest
from command import runner, started, table
from waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
MATRIX = """\
axes:
  six: [1.16.0]
  python: ["3.7"]
experiment: {script: slow.py, timeout: 2m}
criterion: loss < 1
seeds: 2
"""
SCRIPT = """\
import json, os, time
seed = int(os.environ["PYTHONHASHSEED"])
time.sleep(8 * seed)  # the first seed is over at once, the second is what gets killed
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"epoch": 1, "loss": 0.1 + seed}) + "\\n")
    metrics.write(json.dumps({"epoch": 2, "loss": 0.01 + seed / 1000}) + "\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    (tmp_path / "slow.py").write_text(SCRIPT)
    return tmp_path


def containers(folder: Path) -> list[str]:
    """The containers of a folder's trials; another run on this engine may have its own."""
    import docker

    client = docker.from_env()
    try:
        found = client.containers.list(all=True, ignore_removed=True, filters={"label": "convergence-matrix.trial"})
        inside = (one for one in found if any(str(folder) in mount["Source"] for mount in one.attrs["Mounts"]))
        return [str(container.id) for container in inside]
    finally:
        client.close()


def processes(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def stored(folder: Path) -> list[int]:
    """The seeds of the trials that are in the store."""
    path = folder / ".runner" / "records.sqlite"
    if not path.is_file():
        return []
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as store:
        try:
            return sorted(seed for (seed,) in store.execute("SELECT json_extract(record, '$.seed') FROM records"))
        except sqlite3.OperationalError:  # its tables are not made yet
            return []


def stop_in_the_second_trial(folder: Path, engine: str, how: signal.Signals) -> tuple[int, str]:
    """Start the matrix, send a signal when the first trial is stored and the second at work; exit code and output."""
    with started(folder, "matrix.yaml", "--engine", engine, "-j", "1") as process:
        try:
            until(lambda: stored(folder) == [0], "the first record")
            until(
                lambda: containers(folder) if engine == "docker" else processes(folder / ".runner" / "jobs"), "the job"
            )
        finally:
            process.send_signal(how)
        _, output = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_after_sigkill_the_next_run_goes_on_and_leaves_nothing(folder: Path, engine: str) -> None:
    code, _ = stop_in_the_second_trial(folder, engine, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert stored(folder) == [0]

    done = runner(folder, "matrix.yaml", "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert "1 finished trial stored" in done.stderr
    assert "seed 0: started" not in done.stderr
    assert stored(folder) == [0, 1]
    if engine == "docker":
        assert "left over" in done.stderr
        assert containers(folder) == []
    assert processes(folder) == []
    (row,) = table(folder, engine)
    assert (row["outcome"], row["seeds"]) == ("converges", 2)


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_stops_the_jobs_keeps_what_is_finished_and_says_how_to_go_on(folder: Path, engine: str) -> None:
    code, output = stop_in_the_second_trial(folder, engine, signal.SIGINT)
    assert code == 130
    assert "Interrupted. What is finished is kept; the same command goes on from there." in output
    assert "Traceback" not in output
    if engine == "docker":
        assert containers(folder) == []
    assert processes(folder) == []
    assert runner(folder, "table", "--engine", engine).returncode == 1  # undecided: one of two seeds is there


def test_output_into_a_closed_pipe_is_no_error(folder: Path) -> None:
    process = started(folder, "schema")
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert errors == ""


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_progress_is_told_while_the_run_goes_on(folder: Path) -> None:
    with started(folder, "matrix.yaml", "--engine", "venv", "-j", "1") as process:
        assert process.stderr is not None
        assert process.stderr.readline()
        assert process.poll() is None  # nothing is held back until the end
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
