"""The commands `explain` and `bisect` over a fake engine: plan, account, JSON, the report's page, every wrong use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from test_explain_investigation import TEXT, VERSIONS, FakeCatalog, good, stuck, values

from runner.cli.app import run_command_line
from runner.outcomes.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


if TYPE_CHECKING:
    Command = Callable[[str], int]

PAIR = "--good script=a.py --bad script=b.py --only six=1.0.0"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine(losses=lambda job, seed: stuck(seed) if values(job)["script"] == "b.py" else good(seed))
    monkeypatch.setattr("runner.reports.pages.bundle", lambda: b"// a library")
    return fake


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_matrix(tmp_path / "here", TEXT, VERSIONS)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("RUNNER_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "here"


@pytest.fixture
def command(engine: FakeEngine) -> Command:
    return lambda line: run_command_line(line.split(), world_of(engine, FakeCatalog()))


def test_the_plan_comes_first_and_a_dry_run_is_nothing_else(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"explain {PAIR} --dry-run") == 0
    out = capsys.readouterr().out
    assert "Good: six=1.0.0,script=a.py" in out
    assert "Is it real: at most 2 decisions, 20 trials" in out
    assert engine.ran == []


def test_an_account_is_printed_kept_and_published(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"explain {PAIR}") == 0
    said = capsys.readouterr()
    assert "Is it real: at most" in said.err, "the plan"
    assert "script (a.py → b.py) alone makes the difference" in said.out
    assert command(f"explain {PAIR} --format json") == 0
    account = Account.model_validate_json(capsys.readouterr().out)
    assert account.real
    assert account.trials == 0
    assert (
        account.command
        == "convergence-matrix explain matrix.yaml --good script=a.py --bad script=b.py --only six=1.0.0"
    )
    assert command("publish --only six=1.0.0") == 0
    site = here / "reports" / "site"
    assert account.sentences[0] in json.loads((site / "results.json").read_text())["accounts"][0]["sentences"]
    assert "alone makes the difference" in (site / "why.html").read_text()
    assert 'href="why.html"' in (site / "index.html").read_text()
    assert "## Why" in (site / "report.md").read_text()


def test_the_page_shows_hostile_texts_as_texts(command: Command, engine: FakeEngine, here: Path) -> None:
    command(f"explain {PAIR}")
    path = next((here / ".runner" / "accounts").glob("*.json"))
    account = Account.model_validate_json(path.read_text())
    planted = "<script>alert(1)</script>"
    path.write_text(account.model_copy(update={"sentences": (planted,), "telling": planted}).model_dump_json())
    assert command("publish --only six=1.0.0") == 0
    page = (here / "reports" / "site" / "why.html").read_text()
    assert planted not in page
    assert "&lt;script&gt;" in page


def test_an_account_that_can_not_be_read_is_named_with_what_to_do(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(f"explain {PAIR}")
    path = next((here / ".runner" / "accounts").glob("*.json"))
    path.write_text("{")
    assert command("publish --only six=1.0.0") == 2
    said = capsys.readouterr().err
    assert path.name in said
    assert "delete it" in said
    assert "Traceback" not in said


def test_bisect_tells_every_flip_as_text_and_as_data(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = lambda job, seed: stuck(seed) if values(job)["six"] in VERSIONS[9:] else good(seed)
    assert command("bisect --axis six --only script=a.py --format json") == 0
    walk = json.loads(capsys.readouterr().out)
    assert "breaks at six 1.8.0 → 1.9.0" in walk["sentence"]
    assert command("bisect --axis six --only script=a.py") == 0
    assert "six=1.9.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("explain --good script=a.py", "Name both cells"),
        ("explain --good script=a.py --bad script=b.py", "say more of them"),
        ("explain --good script --bad script=b.py", "is not an axis and a value"),
        ("explain", "Run the matrix first"),
        (f"explain {PAIR} --budget soon", "--budget: "),
        ("bisect --axis script --only six=1.0.0", "no order to bisect"),
        ("bisect --axis six", "Which cell?"),
        ("bisect --axis six --only six=1.0.0,script=a.py", "Name the two ends"),
        ("bisect --axis seven --only script=a.py", "No cell has an axis seven"),
    ],
)
def test_wrong_use_gets_one_message_and_exit_code_2(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert command(line) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert engine.ran == []
