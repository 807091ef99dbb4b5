"""`check` and the column of `plan`, with a history beside the script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from histories_made import MODULE, cls, function

from runner.cli.app import run_command_line
from runner.history.folding import Look, folded, write_history

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[[str], int]

SCRIPT = "import six\nimport os\n\nsix.gone(1)\nsix.Kept()\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from packaging.version import Version

    folder = tmp_path / "here"
    write_matrix(folder)
    for name in ("train.py", "a.py"):
        (folder / name).write_text(SCRIPT)
    looks = [
        Look(release=Version(release), companions={"python": "3.9"}, facts={"six": MODULE, **facts})
        for release, facts in {
            "1.15.0": {"six.gone": function("x"), "six.Kept": cls(["size", "1"])},
            "1.16.0": {"six.Kept": cls(["size", "2"])},
        }.items()
    ]
    (folder / "history").mkdir()
    write_history(folder / "history" / "six.gz", folded("six", ["six"], looks))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNNER_CONFIG", str(tmp_path / "config.toml"))
    return folder


@pytest.fixture
def command() -> Command:
    return lambda line: run_command_line(line.split(), world_of(FakeEngine()))


@pytest.mark.usefixtures("here")
def test_a_script_is_checked_line_by_line_and_a_break_is_exit_code_1(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("check train.py --from six==1.15.0 --to six==1.16.0") == 1
    out = capsys.readouterr().out
    assert "train.py:4:5: breaks six.gone is not there since six 1.16.0" in out
    assert "Checked against six 1.16.0." in out
    assert command("check train.py --to six==1.15.0") == 0
    assert "Nothing is known that changes." in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_findings_come_as_json_sarif_and_annotations(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("check train.py --to six==1.16.0 --format json") == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["kind"], found["path"], found["line"], found["since"]) == ("breaks", "six.gone", 4, "1.16.0")
    assert command("check train.py --to six==1.16.0 --format sarif") == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"
    assert command("check train.py --to six==1.16.0 --format github") == 1
    assert capsys.readouterr().out.startswith("::error file=train.py,line=4,col=5")


@pytest.mark.usefixtures("here")
def test_what_has_no_history_is_told_once(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("check train.py --to six==1.0") == 0
    assert capsys.readouterr().out.count("six: its uses are not checked") == 1


def test_python_2_and_a_wrong_release_are_one_message(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("check train.py --to six") == 2
    assert "write it like tensorflow==2.16" in capsys.readouterr().err
    (here / "train.py").write_text("print 'x'\n")
    assert command("check train.py --to six==1.16.0") == 2
    assert "train.py:1: this can't be checked: it is not Python 3" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_matrix_is_checked_for_every_cell_and_plan_counts_the_breaks(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("check matrix.yaml --format json") == 1
    cells = {one["cell"]: [each["path"] for each in one["findings"]] for one in json.loads(capsys.readouterr().out)}
    assert {name: found for name, found in cells.items() if found} == {
        "six=1.16.0,script=a.py": ["six.gone", "six.Kept"]
    }
    assert command("check matrix.yaml") == 1
    assert "a.py:4:5: breaks six.gone" in capsys.readouterr().out
    assert command("plan --format json") == 0
    rows = {row["cell"]: row["breaks"] for row in json.loads(capsys.readouterr().out)}
    assert rows["six=1.15.0,script=a.py"] == 0
    assert rows["six=1.16.0,script=a.py"] == 1


def test_a_release_that_another_one_stands_for_is_named(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from packaging.version import Version

    facts = {"six": MODULE, "six.Kept": cls(["size", "1"])}
    look = Look(release=Version("1.14"), companions={"python": "3.9"}, facts=facts)
    write_history(here / "history" / "six.gz", folded("six", ["six"], [look]))
    assert command("check train.py --to six==1.15.0") == 0
    assert "Checked against six 1.15.0 (by its 1.14)." in capsys.readouterr().out
    assert command("check train.py --to six==1.15.0 --format json") == 0
    assert json.loads(capsys.readouterr().out)["by another release"] == {"six 1.15.0": "1.14"}
    assert command("check matrix.yaml") == 0
    assert "six 1.15.0 is checked by its 1.14" in capsys.readouterr().out
    assert command("check matrix.yaml --format json") == 0
    told = {one["cell"]: one["by another release"] for one in json.loads(capsys.readouterr().out)}
    assert told["six=1.16.0,script=a.py"] == {"six 1.16.0": "1.14"}


def test_the_side_before_of_a_matrix_has_what_the_named_release_was_looked_at_with(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from packaging.version import Version

    look = Look(release=Version("1.0"), companions={"six": "1.15.0", "python": "3.9"}, facts={"box": MODULE})
    write_history(here / "history" / "box.gz", folded("box", ["box"], [look]))
    assert command("check matrix.yaml --from box==1.0 --format json") == 1
    cells = {one["cell"]: one["findings"] for one in json.loads(capsys.readouterr().out)}
    assert ("changes", "six.Kept") in {(one["kind"], one["path"]) for one in cells["six=1.16.0,script=a.py"]}


def test_a_script_of_a_matrix_that_can_not_be_checked_is_told_beside_the_findings_of_the_others(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "b.py").write_text("print 'x'\n")
    assert command("check matrix.yaml --format github") == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("file=")[2].partition(",")[0] for line in said] == ["a.py", "a.py", "b.py"]
    assert said[-1].startswith("::warning file=b.py,line=1,title=not checked::This can't be checked: it is not Python")
    assert command("check matrix.yaml --format sarif") == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("This can't be checked: it is not Python 3")
    assert command("check matrix.yaml --format json") == 1
    told = {one["cell"]: one["refused"] for one in json.loads(capsys.readouterr().out)}
    assert told["six=1.15.0,script=b.py"].startswith("b.py:1: it is not Python 3")
    assert told["six=1.15.0,script=a.py"] == ""


def test_a_matrix_of_which_no_script_can_be_checked_is_not_fine(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py"):
        (here / name).write_text("print 'x'\n")
    assert command("check matrix.yaml --format github") == 2
    assert "No cell of matrix.yaml can be checked: a.py:1: it is not Python 3" in capsys.readouterr().err
