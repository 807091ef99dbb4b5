"""The commands that look: `show` and `open` lead from an outcome to its evidence, `plan` says what it would take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, WITHOUT_ENGINE, FakeEngine, world_of, write_matrix
from outcomes_records import crash
from rich.cells import cell_len

from runner.cli.app import run_command_line
from runner.cli.inspect import plan_lines
from runner.engines.protocol import EngineKind
from runner.environments.lock import Environment, Layer, LockedPackage
from runner.environments.lockfile import finished
from runner.environments.wheelhouse import LockSizes
from runner.errors import BuildFailedError
from runner.matrix.cell_id import CellId
from runner.matrix.model import Cell
from runner.session.plan import CellPlan, EnvironmentPlan, Plan
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


if TYPE_CHECKING:
    Command = Callable[..., int]


@pytest.fixture
def engine() -> FakeEngine:
    fake = FakeEngine()
    fake.losses = lambda job, seed: (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    return fake


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    write_matrix(folder, MATRIX + "expect: [{script: b.py, outcome: fails (nan)}]\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNNER_CONFIG", str(tmp_path / "config.toml"))
    return folder


@pytest.fixture
def command(engine: FakeEngine) -> Command:
    return lambda *words: run_command_line(words, world_of(engine))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_show_tells_all_of_a_cell(
    command: Command,
    engine: FakeEngine,
    here: Path,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command("run")
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", str(width))
    assert run_command_line(["show", "six=1.15.0,script=b.py"], WITHOUT_ENGINE) == 0
    out = capsys.readouterr().out
    words = " ".join(out.split())
    assert out.startswith("six=1.15.0,script=b.py\n✗ fails (nan)\n")
    for part in [
        "0: nan, by the rule `non-finite` loss ended at NaN",
        "3: nan, by the rule `non-finite`",
        "loss: first 1, final NaN, best 1, scale S 1; 1 values judged",
        "not finite from epoch 2",
        "Against the baseline: worse: succeeds less often: 0 of ",
        "Expected: fails (nan); met.",
        "Judged by: loss < 0.0001.",
        "CPython 3.11.7 under venv",
        "Lock six-1.15.0 (",
        "as of 2021-05-31",
    ]:
        assert part in words, part
    lines = out.splitlines()
    assert "  $ convergence-matrix matrix.yaml --only six=1.15.0,script=b.py" in lines
    assert any(line.startswith("  $ uv pip install ") and "locks/six-1.15.0.txt" in line for line in lines)
    assert max(cell_len(line) for line in lines if not line.startswith("  $ ")) <= width
    assert "\x1b" not in out


def test_show_tells_an_exception_with_its_stage_and_line_and_nothing_that_moves_the_cursor(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run", "--seeds", "1")
    traceback = "Traceback:\n" + "  in a frame\n" * 30 + "ValueError"
    with Store(here / ".runner" / "records.sqlite") as store:
        stored = store.get(store.keys())
        store.drop(stored)
        for record in stored.values():
            store.put(record.model_copy(update=crash("\x1b[2Jshapes\u202e differ", traceback=traceback)))
    capsys.readouterr()
    command("show", "six=1.15.0,script=b.py", "--seeds", "1")
    out = capsys.readouterr().out
    assert "  ValueError: shapes\N{REPLACEMENT CHARACTER} differ\n" in out
    assert "  in the stage training\n  script.py, line 12: x\n" in out
    assert "lines of the traceback left out; `logs` has them all" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_show_tells_why_nothing_could_run(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("install", "no wheel of six")}
    command("run")
    capsys.readouterr()
    assert command("show", "six=1.15.0,script=a.py") == 0
    out = capsys.readouterr().out
    assert "⊘ blocked (install-failed)" in out
    assert "  no wheel of six\n" in out


def test_show_takes_one_cell_and_gives_json_too(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    capsys.readouterr()
    assert command("show", "six=1.15.0") == 2
    assert "means 2 cells; name one of them" in capsys.readouterr().err
    assert command("show", "six=1.15.0,script=a.py", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["trials"][0]["basis"]) == ("converges", "target")


def test_open_opens_the_site_that_publish_wrote(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert command("open") == 2
    assert "reports/site/index.html is not there yet: `convergence-matrix publish matrix.yaml` writes it" in (
        capsys.readouterr().err
    )
    page = here / "reports" / "site" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>")
    assert command("open") == 0
    assert opened == [page.as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _address: False)
    assert command("open", "matrix.yaml") == 4
    assert "it opens from disk, in any browser" in capsys.readouterr().err
    assert command("open", "other.yaml") == 2


def test_a_plan_says_what_only_a_gpu_needs() -> None:
    environment = Environment(pins=(("torch", "2.6.0"),))
    names = ("torch", "nvidia-cudnn-cu12", "numpy")
    packages = [LockedPackage(name=name, version="1", layer=Layer.BASE, hashes=()) for name in names]
    for kept, told in ((packages, True), (packages[::2], False)):
        lock = finished(environment=environment, python="3.11", as_of=None, exemptions=(), packages=kept)
        one = EnvironmentPlan(
            name=environment.name,
            lock=lock,
            image=None,
            sizes=LockSizes(downloads={"a": 10**9}, layers={}),
            cells=(CellPlan(cell=Cell(id=CellId(()), pins=(), script="a.py"), finished=0, wanted=1),),
        )
        plan = Plan(engine=EngineKind.VENV, environments=(one,), became=(), room=None)
        assert plan.for_gpus == (("torch-2.6.0",) if told else ())
        assert any("for GPUs" in line and "(torch-2.6.0)" in line for line in plan_lines(plan)) is told


def test_a_plan_says_of_how_many_files_the_size_is_not_known() -> None:
    environment = Environment(pins=(("torch", "2.6.0"),))
    lock = finished(environment=environment, python="3.11", as_of=None, exemptions=(), packages=[])
    for downloads, layers, told in (
        ({}, {}, "Disk: 2 files to download of a size that only the index knows."),
        ({"c": 10**6}, {"b": 4 * 10**6}, "Disk: about 1.0 MB to download, 4.0 MB to install, 2 files to download"),
    ):
        one = EnvironmentPlan(
            name=environment.name,
            lock=lock,
            image=None,
            sizes=LockSizes(downloads=downloads, layers=layers, unknown=frozenset({"a", "b"})),
            cells=(CellPlan(cell=Cell(id=CellId(()), pins=(), script="a.py"), finished=0, wanted=1),),
        )
        plan = Plan(engine=EngineKind.VENV, environments=(one,), became=(), room=None)
        assert list(plan_lines(plan))[-1].startswith(told)
