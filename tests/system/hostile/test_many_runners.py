"""Many commands at once on one folder: each works, or is refused with a reason; no trial runs twice, none is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import command
import pytest
from many_runners import FakeEngine, world_of, write_matrix

from runner.cli.app import run_command_line
from runner.trials import execution

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = Path(__file__).with_name("many_runners.py")
REFUSED = re.compile(r"Another run of this matrix is at work \(process (\d+|unknown)\)|A run is at work in .*other/")


def started(folder: Path, line: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), str(folder / "trials"), *line.split()]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROGRAM.parents[3]), "RUNNER_CONFIG": "/nonexistent"}


def together(folder: Path, lines: Sequence[str]) -> list[str]:
    """Start all commands at once; those that were refused. Fails where one ends in anything else than its work."""
    running = [(line, started(folder, line)) for line in lines]
    ended = [(line, process, process.communicate(timeout=300)) for line, process in running]
    for line, process, (_, said) in ended:
        assert "Traceback" not in said, f"{line}: {said}"
        assert process.returncode in {0, 1} or (process.returncode == 2 and REFUSED.search(said)), f"{line}: {said}"
    return [line for line, process, _ in ended if process.returncode == 2]


def ran(folder: Path) -> Counter[str]:
    """How often each trial ran."""
    return Counter(line.rpartition(" ")[0] for line in (folder / "trials").read_text().splitlines())


def outcomes(folder: Path) -> list[dict[str, Any]]:
    done = started(folder, "table --format json")
    out, said = done.communicate(timeout=300)
    assert done.returncode == 0, said
    found: list[dict[str, Any]] = json.loads(out)
    return [{name: row[name] for name in ("six", "script", "outcome", "seeds")} for row in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "here").parent


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[dict[str, Any]]:
    alone = write_matrix(tmp_path / "alone").parent
    together(alone, ["run"])
    return outcomes(alone)


@pytest.mark.slow
def test_ten_runners_do_each_trial_once(folder: Path, undisturbed: list[dict[str, Any]]) -> None:
    refused = together(folder, ["run"] * 10)
    assert len(refused) < 10
    assert outcomes(folder) == undisturbed
    assert set(ran(folder).values()) == {1}


@pytest.mark.slow
def test_whatever_else_is_done_meanwhile_is_refused_or_shares_the_work(
    folder: Path, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    other = write_matrix(tmp_path / "other").parent
    together(other, ["run"])
    (folder / "trials").touch()
    lines = ["run", "publish", "lock --upgrade", "table", "run", "clean", f"merge {other}", "plan", "publish", "judge"]
    together(folder, lines)
    together(folder, ["run", "publish", "clean --records", "run", f"merge {other}", "table", "publish"])
    together(folder, ["run"])
    assert outcomes(folder) == undisturbed
    together(folder, ["publish"] * 4)
    report = json.loads((folder / "reports" / "site" / "results.json").read_text())
    assert [cell["outcome"] for cell in report["cells"]] == [row["outcome"] for row in undisturbed]
    site = folder / "reports" / "site"
    assert not list(site.rglob(".begun-*"))
    assert not list((folder / ".runner").rglob(".begun-*"))


def test_a_store_in_which_a_run_is_at_work_is_not_merged(folder: Path, tmp_path: Path) -> None:
    from runner.laboratory.equipment import Claim
    from runner.trials.job_files import Workplace

    other = write_matrix(tmp_path / "other").parent
    together(other, ["run"])
    with Claim(Workplace.beside(other)).held():
        assert together(folder, [f"merge {other}"]) == [f"merge {other}"]
    assert together(folder, [f"merge {other}"]) == []


@pytest.mark.parametrize("year", [1971, 2199])
def test_a_clock_that_goes_back_or_forth_runs_nothing_again(
    year: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the clock is made up: the machine's own is everybody's."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(year, 1, 1, tzinfo=UTC)

    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNNER_CONFIG", "/nonexistent")
    engine = FakeEngine(losses=lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1)))
    with monkeypatch.context() as patch:
        patch.setattr(execution, "datetime", Clock)
        assert run_command_line(["run"], world_of(engine)) == 0
    ran_then = len(engine.ran)
    assert run_command_line(["run"], world_of(engine)) == 0
    assert len(engine.ran) == ran_then
    assert run_command_line(["run", "--again"], world_of(engine)) == 0
    assert len(engine.ran) == 2 * ran_then
    assert run_command_line(["table", "--recorded"], world_of(engine)) == 0


SHARED = """\
axes:
  six: [1.16.0]
  python: ["3.7"]
experiment: {script: train.py, timeout: 2m}
criterion: loss < 1
seeds: 1
"""
TRAINS = """\
import json, os, time
time.sleep(3)
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"epoch": 1, "loss": 0.5}) + "\\n")
"""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_runners_on_one_cache_make_an_environment_once_and_nobody_cleans_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    folders = [tmp_path / name for name in ("one", "two", "three", "cleaner")]
    for folder in folders:
        folder.mkdir()
        (folder / "matrix.yaml").write_text(SHARED)
        (folder / "train.py").write_text(TRAINS)
    *users, cleaner = folders
    running = [command.started(folder, "run", "--engine", "venv") for folder in users]
    cleaned = []
    while any(process.poll() is None for process in running):
        cleaned.append(command.runner(cleaner, "clean", "--older-than", "0", "--engine", "venv"))
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert [done.returncode for done in cleaned] == [0] * len(cleaned)
    assert any("in use, kept" in done.stdout for done in cleaned)
    assert not any("Traceback" in done.stderr for done in cleaned)
