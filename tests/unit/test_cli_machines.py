"""What CI obeys: exit codes, JUnit, the summary and annotations of GitHub, jobs, parts and their joining."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, WITHOUT_ENGINE, FakeEngine, world_of, write_matrix
from junitparser import JUnitXml

from runner.cli.app import run_command_line
from runner.matrix.matrix_file import Matrix
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.engines.protocol import Job


if TYPE_CHECKING:
    Command = Callable[[str], int]


def losses(job: Job, seed: int) -> tuple[float, ...]:
    return (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(losses=lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1)))


@pytest.fixture
def here(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ACTIONS", "STEP_SUMMARY", "WORKSPACE", "SERVER_URL", "REPOSITORY", "SHA"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    return here


def keep_results(folder: Path, engine: FakeEngine) -> None:
    with open_session(Matrix.load(folder / "matrix.yaml"), world=world_of(engine)) as session:
        (folder / "results.json").write_text(session.results().result.model_dump_json())


def test_junit_is_written_by_run_and_by_table(command: Command, engine: FakeEngine, here: Path) -> None:
    engine.losses = losses
    assert command("run --junit out/junit.xml") == 0
    found = JUnitXml.fromfile(str(here / "out" / "junit.xml"))
    assert (found.tests, found.failures) == (4, 2)
    assert command("table --junit again.xml") == 0
    assert JUnitXml.fromfile(str(here / "again.xml")).tests == 4


def test_fail_on_exits_with_1_and_says_where(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = losses
    (here / "matrix.yaml").write_text(MATRIX + "baseline: {six: 1.15.0, script: a.py}\n")
    assert command("run --fail-on flaky --fail-on crash") == 0
    capsys.readouterr()
    assert command("table --fail-on worse --fail-on flaky --format json") == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 4
    assert "worse than the baseline: six=1.16.0,script=b.py fails (nan)" in captured.err
    assert command("run --fail-on slow") == 2


def test_an_earlier_result_is_compared_with_and_worse_than_before_fails(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "matrix.yaml").write_text(MATRIX.replace("1e-4", "1e-4\nseeds: 6"))
    command("run")
    keep_results(here, engine)
    capsys.readouterr()
    assert command("run --baseline results.json --fail-on worse") == 0
    assert ": 4 equivalent.\n" in capsys.readouterr().err
    (here / "b.py").write_text("print('another')\n")
    engine.losses = losses
    assert command("run --baseline results.json") == 0
    assert command("run --baseline results.json --fail-on worse") == 1
    err = capsys.readouterr().err
    assert ": 2 equivalent, 2 worse.\n" in err
    assert (
        "  worse: six=1.15.0,script=b.py: fails (nan), was converges; 0 of 6 trials succeed, were 6 of 6 (p = " in err
    )
    assert "worse than before: six=1.16.0,script=b.py" in err


def test_an_earlier_result_that_is_not_there_is_told_before_anything_runs(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run --baseline nothing.json") == 2
    assert "nothing.json can't be read" in capsys.readouterr().err
    assert engine.ran == []


def test_the_summary_of_a_github_step_gets_the_report_after_what_is_there(
    command: Command, engine: FakeEngine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "summary.md").write_text("before\n")
    for name, value in {
        "STEP_SUMMARY": str(here / "summary.md"),
        "WORKSPACE": str(here.parent),
        "SERVER_URL": "https://github.example",
        "REPOSITORY": "o/r",
        "SHA": "abc",
    }.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    command("run")
    found = (here / "summary.md").read_text()
    assert found.startswith("before\n# here\n\nAll 4 cells converge.\n\n4 of 4 cells converge.\n")


def test_annotations_are_for_github_or_who_asks_and_never_on_standard_output(
    command: Command,
    engine: FakeEngine,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(here.parent))
    monkeypatch.setattr(
        "runner.reports.annotations.workflow_commands", lambda _report, folder: f"::error file={folder}/a.py::x\n"
    )
    for line, github, told in [
        ("table", "", False),
        ("table", "true", True),
        ("table --annotations", "", True),
        ("table --no-annotations", "true", False),
    ]:
        monkeypatch.setenv("GITHUB_ACTIONS", github)
        command(line)
        captured = capsys.readouterr()
        assert ("::error file=here/a.py::x\n" in captured.err) == told, line
        assert "::error" not in captured.out


def test_the_jobs_of_a_workflow_are_one_line_of_json(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("plan --github-matrix") == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert [job["only"] for job in json.loads(out)["include"]] == ["six=1.15.0", "six=1.16.0"]
    assert command("plan --github-matrix --shards 2") == 0
    assert [job["shard"] for job in json.loads(capsys.readouterr().out)["include"]] == ["1/2", "2/2"]


def test_the_parts_of_several_machines_are_joined(
    command: Command, engine: FakeEngine, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        other = write_matrix(tmp_path / f"part-{number}")
        assert command(f"run {other} --shard {number}/2") == 0
    capsys.readouterr()
    assert command(f"merge {tmp_path / 'part-1'} {tmp_path / 'part-2' / '.runner'}") == 0
    assert capsys.readouterr().out.startswith("16 records added, 0 were there already, 0 differed: ")
    engine.ran.clear()
    assert command("run --only= --shard=") == 0
    assert engine.ran == []
    assert "4 cells, 16 trials stored." in capsys.readouterr().out
    assert command("merge nowhere") == 2
    assert command("run --shard 0/2") == 2


def test_what_other_machines_ran_is_shown_without_an_engine(
    command: Command,
    engine: FakeEngine,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command("run")
    keep_results(here, engine)
    capsys.readouterr()
    line = "table --recorded --junit junit.xml --baseline results.json --fail-on worse"
    assert run_command_line(line.split(), WITHOUT_ENGINE) == 0
    assert JUnitXml.fromfile(str(here / "junit.xml")).tests == 4
    assert capsys.readouterr().err.endswith(": 4 equivalent.\n")


def test_what_looks_worse_than_before_gets_the_trials_that_it_takes_to_be_sure(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    keep_results(here, engine)
    for name in ("a.py", "b.py"):
        (here / name).write_text("print('another')\n")
    engine.losses = lambda _job, seed: (1.0 + seed, float("nan"))
    engine.ran.clear()
    assert command("run") == 1
    assert len(engine.ran) == 16  # no cell succeeds: there is nothing to compare within the matrix
    capsys.readouterr()
    assert command("run --baseline results.json --fail-on worse") == 1
    assert len(engine.ran) == 20
    err = capsys.readouterr().err
    assert "fails (nan), was converges; 0 of 5 trials succeed, were 4 of 4 (p = 0.0079, 0.032 among 4 cells)" in err
    assert command("table --baseline results.json --fail-on worse") == 1
    assert command("run --baseline results.json --fail-on worse") == 1
    capsys.readouterr()
    command("run --baseline results.json --fail-on worse --seeds 4")
    assert len(engine.ran) == 20
    err = capsys.readouterr().err
    assert "not sure yet: 1 more trial of this cell would make it" in err
    assert "worse than before" not in err


def test_a_part_gets_as_many_trials_as_all_parts_together_are_corrected_for(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    keep_results(here, engine)
    for name in ("a.py", "b.py"):
        (here / name).write_text("print('another')\n")
    engine.losses = lambda _job, seed: (1.0 + seed, float("nan"))
    engine.ran.clear()
    for part in (1, 2):
        command(f"run --shard {part}/2 --baseline results.json")
    assert len(engine.ran) == 20
    assert command("run --baseline results.json --fail-on worse") == 1
    assert len(engine.ran) == 20
