"""The command line over a fake engine: what a user types, what he reads, what exit code he gets."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, FakeEngine, lost

from runner.cli.app import run_command_line
from runner.cli.parameters import options
from runner.errors import BuildFailedError, NoEngineError
from runner.laboratory.equipment import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[[str], int]


def test_a_first_word_that_is_no_command_means_run(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("matrix.yaml") == 0
    out = capsys.readouterr().out
    assert out.count("converges") == 4
    assert "4 cells, 8 trials ran now, 8 trials stored." in out
    assert command("--only six=1.16.0") == 0
    assert "2 cells, 4 trials stored." in capsys.readouterr().out


def test_a_command_hardly_looks_for_cycles_while_it_imports_what_it_needs() -> None:
    """By Python's own threshold it looks more than a hundred times, which takes a sixth of the time."""
    code = (
        "import atexit, gc, sys; from runner.__main__ import main; sys.argv[1:] = ['--version']\n"
        "def looks(): return sum(one['collections'] for one in gc.get_stats())\n"
        "begun = looks(); atexit.register(lambda: print(looks() - begun)); main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) <= 5


def test_judge_says_of_every_trial_why_it_is_labelled_so(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    command("matrix.yaml --seeds 1")
    capsys.readouterr()
    (here / "matrix.yaml").write_text(MATRIX.replace("1e-4", "1e-9"))
    assert command("judge --seeds 1 --only six=1.16.0,script=b.py --format json") == 1
    [verdict] = json.loads(capsys.readouterr().out)
    assert verdict["cell"] == "six=1.16.0,script=b.py"
    assert (verdict["label"], verdict["basis"], verdict["y0"], verdict["final"]) == (
        "missed",
        "target-missed",
        "1",
        "1e-06",
    )
    assert verdict["reason"]
    assert command("judge --seeds 1") == 1
    out = capsys.readouterr().out
    assert out.count("target-missed") == 4
    assert "No cell is good: 4 failed." in out
    assert "4 cells, 4 trials stored." in out


def test_failures_are_told_by_their_reason(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("install", "no wheel of six")}
    command("matrix.yaml")
    out = capsys.readouterr().out
    assert "  2 cells   install-failed: exit code 1: no wheel of six (install)" in out
    assert "           1.15.0 a.py; 1.15.0 b.py" in out


def test_a_mistyped_command_is_told_the_nearest_one(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("plna") == 2
    assert capsys.readouterr().err == "'plna' is neither a command nor a matrix file. Did you mean `plan`?\n"


def test_a_matrix_that_is_not_there_is_named(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run other.yaml") == 2
    assert "other.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["run --nonsense", "run matrix.yaml extra", "--seeds 0", "--engine podman", "logs", "table --format xml"]
)
def test_wrong_usage_is_one_message_and_exit_code_2(
    command: Command, engine: FakeEngine, here: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(line) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("Error: ")


def test_a_wrong_matrix_names_every_mistake_and_exits_with_2(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "matrix.yaml").write_text(MATRIX.replace("criterion: loss < 1e-4", "critereon: loss < 1e-4\nseeds: none"))
    assert command("matrix.yaml") == 2
    err = capsys.readouterr().err
    assert "matrix.yaml:6:1: " in err
    assert "criterion" in err
    assert "matrix.yaml:7:8: " in err


def test_a_missed_expectation_exits_with_1(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "matrix.yaml").write_text(MATRIX + "expect:\n  - {six: 1.16.0, outcome: fails}\n")
    assert command("run") == 1
    assert "expected fails (line 8), got converges: six=1.16.0,script=a.py" in capsys.readouterr().out


def test_misses_are_told_beside_json_too(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "matrix.yaml").write_text(MATRIX + "expect:\n  - {six: 1.16.0, outcome: fails}\n")
    assert command("run --format json") == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 4
    assert "expected fails (line 8), got converges: six=1.16.0,script=b.py" in captured.err


def test_a_long_reason_gives_way_and_no_column_does(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("install", "because " * 50)}
    command("run")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("1.15.0"))
    assert line.split()[:4] == ["1.15.0", "a.py", "blocked", "(install-failed)"]
    assert line.rstrip().endswith("…")


def test_scripts_of_the_same_name_are_told_apart_by_their_paths(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        (here / name).mkdir()
        (here / name / "train.py").write_text("")
    (here / "matrix.yaml").write_text(MATRIX.replace("[a.py, b.py]", "[x/train.py, y/train.py]"))
    command("run")
    out = capsys.readouterr().out
    assert "x/train.py" in out
    assert "y/train.py" in out


def test_a_script_in_place_of_a_matrix_is_pointed_to_init(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("a.py") == 2
    assert "`init a.py` writes a matrix for it" in capsys.readouterr().err


def test_no_engine_exits_with_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def none(*_choice: object, **_base: object) -> tuple[FakeEngine, str]:
        raise NoEngineError("No Docker engine answers. Start it, or use --engine venv.")

    assert run_command_line(["run", "--engine", "docker"], World(engine=none)) == 3
    assert capsys.readouterr().err == "No Docker engine answers. Start it, or use --engine venv.\n"


def test_an_engine_that_is_lost_exits_with_4(
    command: Command,
    engine: FakeEngine,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)
    engine.losses = lost
    assert command("run") == 4
    assert "The engine stopped answering." in capsys.readouterr().err


def test_an_interrupt_exits_with_130_and_says_how_to_go_on(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_job: object, _seed: int) -> tuple[float, ...]:
        raise KeyboardInterrupt

    engine.losses = interrupt
    assert command("run") == 130
    assert engine.stopped.is_set()
    assert "the same command goes on from there" in capsys.readouterr().err


def test_without_arguments_the_help_is_shown(command: Command, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("") == 0
    assert "Exit codes: 0 all as expected" in " ".join(capsys.readouterr().out.split())


def test_every_table_comes_as_json_too(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, key in [
        ("run --format json", "outcome"),
        ("table --format json", "final_loss"),
        ("plan --format json", "environment"),
        ("run --dry-run --format json", "to run"),
        ("lock --format json", "lock"),
        ("lock --check --format json", "lock"),
        ("build --format json", "image"),
        ("clean --dry-run --format json", "size"),
    ]:
        assert command(line) == 0, line
        assert key in json.loads(capsys.readouterr().out)[0], line


def test_the_table_comes_as_csv_and_markdown(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    capsys.readouterr()
    assert command("table --format csv") == 0
    assert capsys.readouterr().out.startswith("six,script,outcome,")
    assert command("table --format markdown") == 0
    assert capsys.readouterr().out.startswith("| six | script | outcome |")


def test_a_dry_run_does_nothing(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run --dry-run") == 0
    assert engine.ran == []
    assert "8 trials to run at least" in " ".join(capsys.readouterr().out.split())


def test_a_pipe_gets_plain_lines_without_colour(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "six=1.15.0,script=a.py seed 0: converged (loss 1e-06)" in captured.err


def test_a_pipe_that_knows_ascii_only_gets_the_same_facts(
    command: Command, engine: FakeEngine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.losses = lambda job, _seed: (1.0, float("nan") if "1.15.0" in job.labels["cell"] else 1e-6)
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", pipe)
    assert command("run") == 0
    pipe.flush()
    out = pipe.buffer.getvalue().decode("ascii")
    assert "The loss ends in NaN on six 1.15.0; it converges on 1.16.0." in " ".join(out.split())
    assert "six 1.15.0 -> 1.16.0: fails (nan) -> converges" in out


def test_logs_prints_what_the_trials_of_one_cell_wrote(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("run")
    capsys.readouterr()
    assert command("logs six=1.15.0,script=a.py --seed 1") == 0
    out = capsys.readouterr().out
    assert out.startswith("--- six=1.15.0,script=a.py seed 1, venv, ")
    assert out.endswith("\nout\n")
    assert command("logs six=1.15.0") == 2
    assert "means 2 cells; name one of them" in capsys.readouterr().err
    assert command("logs six=1.15.0,script=a.py --seed 9") == 2


def test_a_plan_of_many_cells_has_a_line_an_environment(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = ", ".join(f"N={number}" for number in range(60))
    (here / "matrix.yaml").write_text(MATRIX.replace("axes:", f"axes:\n  env: [{variables}]"))
    assert command("plan") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["six-1.15.0", "six-1.16.0"]
    assert lines[1].split()[-3:] == ["120", "0", "240+"]
    assert lines[-1].startswith("240 cells under venv: 0 trials finished")


def test_the_configuration_file_gives_defaults_and_is_checked(
    command: Command, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str, str]] = []

    def open_engine(
        choice: str, *, base: str, before: object, runtime: str, platform: str = ""
    ) -> tuple[FakeEngine, str]:
        asked.append((choice, base, runtime))
        return FakeEngine(), ""

    def command(line: str) -> int:
        return run_command_line(line.split(), World(engine=open_engine))

    config = tmp_path / "config.toml"
    config.write_text('engine = "docker"\nbase = "offline"\nruntime = "runsc"\n')
    command("plan")
    monkeypatch.setenv("RUNNER_ENGINE", "venv")
    monkeypatch.setenv("RUNNER_RUNTIME", "kata")
    command("plan")
    command("plan --engine auto --base registry")
    assert asked == [("docker", "offline", "runsc"), ("venv", "offline", "kata"), ("auto", "registry", "kata")]
    for wrong, message in [
        ("runtime = 3", "runtime is no text"),
        ("engin = 1", "there is no setting 'engin'"),
        ('engine = "vm"', "it can be auto, docker, venv"),
        ("=", "config.toml: "),
    ]:
        config.write_text(wrong)
        assert command("plan") == 2
        assert message in capsys.readouterr().err


def test_schema_prints_the_committed_json_schema(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("schema") == 0
    assert "axes" in json.loads(capsys.readouterr().out)["properties"]


def test_the_registry_of_a_cluster_is_configured_or_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('registry = "10.0.0.1:5000/cm"\n')
    monkeypatch.setenv("RUNNER_CONFIG", str(config))
    assert options(None, None).registry == "10.0.0.1:5000/cm"
    monkeypatch.setenv("RUNNER_REGISTRY", "other/cm")
    assert options(None, None).registry == "other/cm"
