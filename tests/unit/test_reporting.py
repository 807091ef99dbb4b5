"""What a matrix came to as a report: complete, self-contained, and the same when it is read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.errors import BuildFailedError, UsageError
from runner.matrix.matrix_file import Matrix
from runner.outcomes.assembly import LOG_BYTES, LOG_BYTES_OF_GOOD
from runner.outcomes.result_file import read_result
from runner.outcomes.series import MOST_POINTS, thinned
from runner.session.session import open_session
from runner.trials.job_files import excerpt

if TYPE_CHECKING:
    from pathlib import Path

    from runner.outcomes.result import Result


TEXT = """\
axes:
  six: [1.15.0, 1.16.0]
  script: [a.py, b.py]
experiment:
  args: [--epochs, "3"]
criterion: loss < 1e-4
expect: [{six: 1.15.0, script: a.py, outcome: converges}]
"""


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    engine = FakeEngine(log=b"\x1b[1mhello\x1b[0m\n")
    engine.broken = {"six-1.16.0": BuildFailedError("install", "no wheel of six")}
    engine.losses = lambda job, seed: (
        (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    )
    with open_session(Matrix.load(write_matrix(tmp_path / "here", TEXT)), world=world_of(engine)) as session:
        return session.run().result


def test_of_a_good_cell_less_of_the_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(log=b"x" * LOG_BYTES)
    engine.losses = lambda job, seed: (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6)
    with open_session(Matrix.load(write_matrix(tmp_path / "here", TEXT)), world=world_of(engine)) as session:
        cells = session.run().result.cells
    lengths = {cell.kind: len(cell.trials[0].log) for cell in cells}
    assert lengths["bad"] == LOG_BYTES
    assert LOG_BYTES_OF_GOOD < lengths["good"] < LOG_BYTES_OF_GOOD + 100


def test_a_report_has_the_evidence_of_every_cell(report: Result) -> None:
    assert [(axis.name, axis.values) for axis in report.axes] == [
        ("six", ("1.15.0", "1.16.0")),
        ("script", ("a.py", "b.py")),
    ]
    good, bad, blocked, _ = report.cells
    assert (str(good.outcome), good.kind, good.expected, good.as_expected) == ("converges", "good", "converges", True)
    assert good.trials[1].curves == {"loss": (1.0, 0.5, 2e-6)}
    assert (good.trials[0].log, good.trials[1].log) == ("\x1b[1mhello\x1b[0m\n", "")
    assert good.trials[1].log_bytes == len("\x1b[1mhello\x1b[0m\n")
    assert report.baseline == good.id
    assert bad.comparison is not None
    assert (str(bad.outcome), bad.comparison.label, bad.as_expected) == ("fails (nan)", "worse", False)
    assert [report.failures[i].label for i in bad.failures] == ["nan"]
    assert (str(bad.final), str(bad.trials[0].final), bad.trials[0].best) == ("nan", "nan", 1.0)
    assert (str(blocked.outcome), blocked.trials[0].message) == ("blocked (install-failed)", "no wheel of six")
    assert report.locks[good.lock].packages[0].version == "1.15.0"


def test_a_report_says_what_the_matrix_came_to_and_where_it_changes(report: Result) -> None:
    [sentence] = report.sentences
    assert sentence == (
        "With script b.py the loss ends in NaN on six 1.15.0; with every script it can't be installed on 1.16.0; "
        "with script a.py it converges on 1.15.0."
    )
    a, b, a_later, b_later = (cell.id for cell in report.cells)
    assert [(change.axis, change.before, change.after) for change in report.changes] == [
        ("six", a, a_later),
        ("six", b, b_later),
    ]


def test_a_report_says_how_to_run_a_cell_again_with_and_without_this_tool(report: Result) -> None:
    commands = report.cells[1].commands
    assert commands is not None
    assert commands.with_runner[0] == "convergence-matrix matrix.yaml --only six=1.15.0,script=b.py"
    assert "--require-hashes -r locks/six-1.15.0.txt" in commands.without_runner[1]
    assert "cell/bin/python b.py --epochs 3" in commands.without_runner[2]


def test_what_can_not_be_repeated_without_this_tool_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    text = TEXT.replace("  script:", "  prelude: [none, resource-variables]\n  script:")
    with open_session(Matrix.load(write_matrix(tmp_path / "here", text)), world=world_of(engine)) as session:
        cells = session.run().result.cells
    told = {cell.values["prelude"]: cell.commands.without_runner for cell in cells if cell.commands}
    (said,) = set(told["resource-variables"]) - set(told["none"])
    assert said.startswith("# only with the runner: the prelude resource-variables")


def test_a_report_read_back_is_the_same(report: Result, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(report.model_dump_json(exclude_defaults=True))
    again = read_result(path)
    assert again.model_dump_json() == report.model_dump_json()
    plain = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert plain["cells"][1]["trials"][0]["curves"]["loss"] == [1.0, "nan"]


def test_what_is_no_report_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(UsageError, match=r"results\.json can't be read: No such file"):
        read_result(path)
    path.write_text('{"schema_version": 9}')
    with pytest.raises(UsageError, match="is not a report that this version can read: schema_version"):
        read_result(path)


def test_a_long_series_keeps_its_ends_and_where_it_breaks() -> None:
    epochs = [{"loss": float("nan") if i >= 777 else 1.0} for i in range(1000)]
    kept = thinned(epochs)
    assert len(kept) <= MOST_POINTS
    assert {0, 777, 999} <= set(kept)
    assert thinned(epochs[:MOST_POINTS]) == list(range(MOST_POINTS))


def test_of_a_log_of_any_length_head_and_tail_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert not excerpt(path, LOG_BYTES)
    with path.open("wb") as stream:
        stream.write(b"first words\n")
        stream.truncate(200_000_000)
        stream.seek(0, 2)
        stream.write(b"\nlast words\n")
    found = excerpt(path, LOG_BYTES)
    assert found.startswith("first words")
    assert found.endswith("last words\n")
    assert "bytes left out" in found
    assert len(found) < LOG_BYTES + 100
