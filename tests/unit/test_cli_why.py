"""The commands `explain` and `bisect` over a fake engine: plan, account, JSON, the report's page, every wrong use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from six_releases import TEXT, VERSIONS, FakeCatalog, good, stuck, values

from runner.cli.app import run_command_line
from runner.explain import fix as fixing
from runner.outcomes.account import Account
from runner.outcomes.tried_fix import FixKind
from runner.scripts.added_lines import added_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.engines.protocol import Job


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
def one_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the one edit that is tried be a line `MEND = 1`."""
    edits = lambda text, _path: [] if "MEND" in text else added_lines(text, ["MEND = 1"])  # noqa: E731
    monkeypatch.setattr(
        fixing, "edits_for", lambda ill: list(ill.edit(FixKind.EDIT, "MEND = 1", "a test says so", edits))
    )


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
        ("run --explain --budget soon", "--budget: "),
        ("run --budget 1h", "--budget bounds what --explain runs"),
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


def test_every_distinct_flip_is_explained_once_under_one_budget_and_its_cells_lead_to_its_account(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = TEXT.replace("six: [1.0.0, 1.15.0]", "six: [1.0.0, 1.5.0, 1.10.0, 1.15.0]")
    (here / "matrix.yaml").write_text(wide)
    engine.losses = lambda job, seed: stuck(seed) if values(job)["six"] in {"1.10.0", "1.15.0"} else good(seed)
    assert command("run") == 0
    capsys.readouterr()
    assert command("explain --all --every minor --dry-run") == 0
    assert capsys.readouterr().err.count("six 1.5.0 → 1.10.0") == 1
    assert command("explain --all --format json") == 0
    (account,) = [Account.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assert (account.good.values["six"], account.bad.values["six"]) == ("1.5.0", "1.10.0")
    assert {(one["six"], one["script"]) for one in account.cells} == {
        (six, script) for six in ("1.10.0", "1.15.0") for script in ("a.py", "b.py")
    }
    ran = len(engine.ran)
    assert command("explain --all") == 0
    assert len(engine.ran) == ran, "what was explained is not asked again"
    assert "Is it real?" not in capsys.readouterr().err
    assert command("explain --all --thorough") == 0
    assert "Is it real?" in capsys.readouterr().err, "but what a proven cause had left out is"
    assert command("publish") == 0
    result = json.loads((here / "reports/site/results.json").read_text())
    led = {(one["values"]["six"], tuple(one.get("accounts", ()))) for one in result["cells"]}
    assert ("1.15.0", (account.id,)) in led
    assert ("1.0.0", ()) in led


def test_a_budget_that_ends_leaves_flips_for_the_next_call_and_says_so(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = lambda job, seed: good(seed) if values(job) == {"six": "1.0.0", "script": "a.py"} else stuck(seed)
    engine.exits = lambda job: int(values(job)["script"] == "b.py")
    assert command("run --explain --budget 1h") == 0
    capsys.readouterr()
    assert command("explain --all --format json") == 0
    both = json.loads(capsys.readouterr().out)
    assert len(both) == 2, "one for each reason"
    for kept in (here / ".runner/accounts").iterdir():
        kept.unlink()
    assert command("run --again six=1.0.0,script=a.py") == 0
    ran = len(engine.ran)
    capsys.readouterr()
    assert command("explain --all --max-trials 1") == 0
    assert "The budget ended before 2 of 2 flips were explained." in capsys.readouterr().err
    assert len(engine.ran) == ran
    assert command("explain --good six=1.0.0,script=a.py --bad six=1.15.0,script=a.py --all") == 2


def test_every_flip_gets_its_fix_and_a_patch_of_its_own_under_one_budget(
    command: Command, engine: FakeEngine, here: Path, one_edit: None, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = here / "matrix.yaml"
    matrix.write_text(TEXT.replace("six: [1.0.0, 1.15.0]", "six: [1.0.0, 1.5.0, 1.15.0]"))

    def losses(job: Job, seed: int) -> Sequence[float]:
        bad = {"a.py": "1.5.0", "b.py": "1.15.0"}[values(job)["script"]]
        mended = "MEND" in (job.folder.work / values(job)["script"]).read_text()
        return stuck(seed) if values(job)["six"] == bad and not mended else good(seed)

    def breaks(job: Job) -> int:
        return int(values(job)["script"] == "b.py" and losses(job, 0) == stuck(0))

    engine.losses, engine.exits = losses, breaks
    assert command("run") == 0
    capsys.readouterr()
    assert command("explain --all --format json") == 0
    plain = [Account.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assert [one.fixes for one in plain] == [(), ()]
    assert command("explain --all --fix --format json") == 0
    told = [Account.model_validate(one) for one in json.loads(capsys.readouterr().out)]
    assert [one.id for one in told] == [one.id for one in plain], "those that lack a fix are asked for it"
    assert [one.fixes[0].says for one in told] == ["MEND = 1", "MEND = 1"]
    assert [one.fixes[0].cells[0].values["script"] for one in told] == [one.bad.values["script"] for one in told]
    assert sum(one.trials for one in told) == sum(len(one.fixes[0].cells) * 4 for one in told), (
        "the trials of each account are its own"
    )
    for one in told:
        assert (here / f"fix-{one.id}.patch").read_text() == one.fixes[0].diff
        assert f"fix-{one.id}.patch" not in (here / one.bad.values["script"]).read_text()
    ran = len(engine.ran)
    assert command("explain --all --fix") == 0
    assert len(engine.ran) == ran
    for options in ("--fix-all-cells", "--fix --write", "--fix-for newest"):
        assert command(f"explain --all {options}") == 2


def test_a_later_explain_without_fixes_keeps_those_that_were_run_for_the_same_script(
    command: Command, engine: FakeEngine, here: Path, one_edit: None, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = lambda job, seed: (
        stuck(seed)
        if values(job)["six"] == "1.15.0" and "MEND" not in (job.folder.work / values(job)["script"]).read_text()
        else good(seed)
    )
    question = "explain --good six=1.0.0,script=a.py --bad six=1.15.0,script=a.py --format json"

    def told(line: str) -> Account:
        capsys.readouterr()
        assert command(line) == 0
        return Account.model_validate_json(capsys.readouterr().out)

    fixed = told(f"{question} --fix")
    assert fixed.fixes[0].works
    again = told(question)
    assert (again.fixes, again.advice, again.sentences) == (fixed.fixes, fixed.advice, fixed.sentences)
    (kept,) = (here / ".runner/accounts").glob("*.json")
    assert Account.model_validate_json(kept.read_text()).fixes == fixed.fixes
    (here / "a.py").write_text("print('another script')\n")
    assert told(question).fixes == (), "these were run with another script"
    assert told(f"{question} --fix").fixes[0].works
    text = (here / "matrix.yaml").read_text()
    (here / "matrix.yaml").write_text(text.replace("loss < 1e-4", "loss < 1e-3"))
    assert told(question).fixes == (), "these were judged by another rule"


def test_where_nothing_is_good_there_is_nothing_to_explain(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.losses = lambda _job, seed: stuck(seed)
    command("run")
    assert command("explain --all") == 0
    assert "No recorded cell is good while another fails" in capsys.readouterr().err
