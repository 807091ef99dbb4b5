"""The same result whichever command asks: engine, base images and seeds of the last run, unless told otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, FakeEngine, lost, world_of

from runner.cli.app import run_command_line
from runner.engines.protocol import EngineKind
from runner.errors import BuildFailedError
from runner.laboratory.equipment import World

if TYPE_CHECKING:
    from pathlib import Path


class Machine:
    """Two engines that come to different results, and what was asked for."""

    def __init__(self) -> None:
        good = FakeEngine(losses=lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1)), kind=EngineKind.DOCKER)
        bad = FakeEngine(losses=lambda _job, seed: (1.0 + seed, float("nan")))
        good.base = "offline"
        self.engines = {"docker": good, "venv": bad}
        self.auto = "docker"
        self.asked: list[tuple[str, str, object]] = []

    def open(self, choice: str, *, base: str, before: object, runtime: str, platform: str) -> tuple[FakeEngine, str]:
        self.asked.append((choice, base, before))
        return self.engines[self.auto if choice == "auto" else choice], ""

    def does(self, line: str) -> int:
        self.asked.clear()
        return run_command_line(line.split(), World(engine=self.open, catalog=world_of(FakeEngine()).catalog))


def outcomes(machine: Machine, capsys: pytest.CaptureFixture[str], line: str) -> list[tuple[str, int]]:
    capsys.readouterr()
    machine.does(f"{line} --format json")
    rows = json.loads(capsys.readouterr().out)
    return [(row["outcome"], row["seeds"]) for row in rows]


def test_table_takes_engine_and_seeds_of_the_last_run_and_asks_no_engine(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    machine.does("run --engine docker")
    machine.does("run --engine venv --seeds 1")
    assert outcomes(machine, capsys, "table") == [("fails (nan)", 1)] * 4
    assert machine.asked == []
    assert outcomes(machine, capsys, "table --engine docker") == [("converges", 4)] * 4
    assert outcomes(machine, capsys, "table --seeds 4")[0] == ("undecided", 1)
    machine.does("run --engine docker")
    assert outcomes(machine, capsys, "table") == [("converges", 4)] * 4
    assert machine.asked == []


def test_another_runtime_than_that_of_the_last_run_is_another_engine(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    machine.engines["docker"].identity = "sha256:0 under runsc"
    machine.does("run --engine docker")
    for runtime, asked in (("", 0), ("runsc", 0), ("kata", 1)):
        monkeypatch.setenv("RUNNER_RUNTIME", runtime)
        outcomes(machine, capsys, "table --engine docker")
        assert len(machine.asked) == asked, runtime
    assert "CPython 3.11.7 under docker, runtime runsc" in shown(machine, capsys, "show six=1.15.0,script=a.py")
    machine.does("run --engine venv")
    machine.asked.clear()
    outcomes(machine, capsys, "table")
    assert len(machine.asked) == 1  # a runtime was named, and the last run had no containers


def shown(machine: Machine, capsys: pytest.CaptureFixture[str], line: str) -> str:
    capsys.readouterr()
    machine.does(line)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "line", ["judge", "show six=1.15.0,script=a.py", "publish --to out", "table", "logs six=1.15.0,script=a.py"]
)
def test_every_command_that_looks_asks_an_engine_only_where_another_one_is_named(
    here: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    machine.does("run --seeds 1")
    before = capsys.readouterr()
    assert machine.does(line) == 0
    assert machine.does(f"{line} --engine docker --base offline") == 0
    assert machine.asked == []
    machine.does(f"{line} --engine venv")
    assert machine.asked == [("venv", "auto", ("docker", "offline"))]
    assert before.out


def test_a_run_begins_with_the_way_that_the_last_one_found_and_not_with_one_that_was_named(here: Path) -> None:
    machine = Machine()
    machine.does("run --seeds 1")
    machine.does("run --seeds 1")
    assert machine.asked == [("auto", "auto", ("docker", "offline"))]
    machine.does("run --engine venv --seeds 1")
    machine.does("run --seeds 1")
    assert machine.asked == [("auto", "auto", None)]


def test_another_matrix_beside_it_has_a_last_run_of_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    (here / "other.yaml").write_text(MATRIX)
    machine.does("run matrix.yaml --engine docker")
    machine.does("run other.yaml --engine venv --seeds 1")
    assert outcomes(machine, capsys, "table matrix.yaml") == [("converges", 4)] * 4
    assert outcomes(machine, capsys, "table other.yaml") == [("fails (nan)", 1)] * 4


def test_what_could_not_be_made_is_told_by_the_table_as_by_the_run_and_tried_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    engine = machine.engines["venv"]
    engine.identity = None
    engine.broken = {f"six-{version}": BuildFailedError("install", "no CPython") for version in ("1.15.0", "1.16.0")}
    found = outcomes(machine, capsys, "run --engine venv")
    assert found == [("blocked (install-failed)", 0)] * 4
    assert outcomes(machine, capsys, "table") == found
    engine.identity, engine.broken = "now", {}
    assert outcomes(machine, capsys, "run --engine venv") == [("fails (nan)", 4)] * 4


@pytest.mark.parametrize(("passing", "found"), [(True, "fails (nan)"), (False, "blocked (install-failed)")])
def test_only_what_the_machine_or_its_user_stood_in_the_way_of_is_tried_again(
    passing: bool, found: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    engine = machine.engines["venv"]
    refused = BuildFailedError("install", "not allowed", passing=passing)
    engine.broken = {f"six-{version}": refused for version in ("1.15.0", "1.16.0")}
    assert {outcome for outcome, _ in outcomes(machine, capsys, "run --engine venv")} == {"blocked (install-failed)"}
    engine.broken = {}
    assert {outcome for outcome, _ in outcomes(machine, capsys, "run --engine venv")} == {found}


def test_again_runs_the_stored_trials_of_the_named_cells_once_more_and_theirs_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    engine = machine.engines["docker"]
    machine.does("run")
    engine.ran.clear()
    engine.losses = lambda _job, seed: (1.0 + seed, float("nan"))
    assert machine.does("run --again six=1.15.0,script=a.py") == 1  # no cell of these is good
    assert {cell for cell, _ in engine.ran} == {"six=1.15.0,script=a.py"}
    assert sorted(seed for _, seed in engine.ran)[:4] == [0, 1, 2, 3]
    assert [one for one, _ in outcomes(machine, capsys, "table")] == ["fails (nan)"] + ["converges"] * 3
    engine.ran.clear()
    assert machine.does("run matrix.yaml --again six=1.16.0 script=a.py") == 1
    assert {cell for cell, _ in engine.ran} == {
        "six=1.15.0,script=a.py",
        "six=1.16.0,script=a.py",
        "six=1.16.0,script=b.py",
    }
    engine.ran.clear()
    assert machine.does("run --again --only script=b.py") == 1
    assert {cell for cell, _ in engine.ran} == {"six=1.15.0,script=b.py", "six=1.16.0,script=b.py"}


def test_the_old_trials_count_until_the_new_ones_are_there(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)
    machine = Machine()
    machine.does("run")
    machine.engines["docker"].losses = lost
    assert machine.does("run --again") == 4
    assert outcomes(machine, capsys, "table") == [("converges", 4)] * 4


def test_what_could_not_be_made_is_made_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    engine = machine.engines["docker"]
    engine.broken = {"six-1.15.0": BuildFailedError("install", "the mirror was away")}
    machine.does("run")
    engine.broken = {}
    machine.does("run")
    assert outcomes(machine, capsys, "table")[0][0] == "blocked (install-failed)"
    machine.does("run --again six=1.15.0")
    assert outcomes(machine, capsys, "table") == [("converges", 4)] * 4


def test_a_cell_without_again_is_told_what_to_say(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Machine().does("run six=1.15.0") == 2
    assert "--only six=1.15.0" in capsys.readouterr().err


def test_cells_that_never_ran_are_told_as_such(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    machine.does("run --only six=1.15.0")
    capsys.readouterr()
    assert machine.does("table --format json") == 0
    captured = capsys.readouterr()
    assert [row["outcome"] for row in json.loads(captured.out)] == ["converges", "converges", "not run", "not run"]
