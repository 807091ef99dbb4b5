"""Fixes over a fake engine: the order of candidates, where each is run, and that no more is said than what was seen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of
from fix_world import TEXT, adding, engine, late, matrix, mended, source
from six_releases import FakeCatalog, good, stuck, values

from runner.cli.app import run_command_line
from runner.errors import UsageError
from runner.explain.candidates import Ill, candidates_for
from runner.explain.experimenter import Budget
from runner.explain.fix import mend
from runner.explain.investigation import explain
from runner.explain.sides import sides_for, sides_of
from runner.matrix.matrix_file import Matrix
from runner.outcomes.account import Account
from runner.outcomes.tried_fix import FixKind, FixStanding
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Job

__all__ = ["adding", "engine", "matrix"]


def test_the_narrowest_that_mends_wins_and_wider_ones_are_not_run(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("MEND = 1", "MORE = 2"), ("NOTHING = 0",), ("MEND = 2",)])
    account = mended(engine, matrix)
    assert [(one.says, one.standing) for one in account.fixes if one.kind is FixKind.EDIT] == [
        ("MEND = 2", FixStanding.WORKS),
        ("NOTHING = 0", FixStanding.NO_EFFECT),
        ("MEND = 1; MORE = 2", FixStanding.UNTRIED),
    ]
    best = account.fixes[0]
    assert [(one.role, one.values["six"], one.before, one.after) for one in best.cells] == [
        ("bad", "1.15.0", "fails (missed)", "converges"),
        ("good", "1.0.0", "converges", "converges"),
        ("other", "1.5.0", "", "converges"),
    ]
    assert best.sentence.startswith(
        "This one-line change (MEND = 2) makes six 1.15.0 converge (4 of 4); it leaves six 1.0.0"
    )
    assert any("MEND = 1; MORE = 2" in sentence for sentence in account.advice)


def test_one_that_breaks_the_good_cell_is_not_said_to_work(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("MEND = 1",)])
    engine.losses = lambda job, seed: good(seed) if late(job) == ("MEND" in source(job)) else stuck(seed)
    account = mended(engine, matrix)
    (one,) = [one for one in account.fixes if one.kind is FixKind.EDIT]
    assert one.standing is FixStanding.BREAKS_GOOD
    assert [cell.after for cell in one.cells] == ["converges", "fails (missed)"]
    assert "in six 1.0.0 it fails (missed)" in one.sentence


def test_what_a_fix_breaks_elsewhere_is_told_and_what_was_bad_before_is_left_as_it_was(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([("MEND = 1",)])
    text = TEXT.replace("1.5.0", "1.5.0, 1.14.0")
    matrix.write_text(text)

    def losses(job: Job, seed: int) -> Sequence[float]:
        edited, version = "MEND" in source(job), values(job)["six"]
        if version == "1.14.0":
            return stuck(seed)
        return stuck(seed) if (version == "1.5.0" and edited) or (late(job) and not edited) else good(seed)

    engine.losses = losses
    account = mended(engine, matrix)
    best = account.fixes[0]
    assert best.works
    assert [(one.values["six"], one.before, one.after) for one in best.cells if one.role == "other"] == [
        ("1.5.0", "converges", "fails (missed)"),
        ("1.14.0", "fails (missed)", "fails (missed)"),
    ]
    assert "it leaves six 1.0.0 and six 1.14.0 as they were" in best.sentence
    assert "in six 1.5.0 it fails (missed)" in best.sentence


def test_one_source_for_all_cells_takes_no_change_that_loses_one_and_adds_what_mends_the_next(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([("LOSES = 1",), ("MEND = 1",), ("ALSO = 1",)])
    matrix.write_text(TEXT.replace("1.5.0", "1.5.0, 1.8.0"))

    def losses(job: Job, seed: int) -> Sequence[float]:
        text, version = source(job), values(job)["six"]
        if version == "1.15.0":
            return good(seed) if "LOSES" in text or "MEND" in text else stuck(seed)
        if version == "1.8.0":
            return good(seed) if "ALSO" in text else stuck(seed)
        return stuck(seed) if version == "1.5.0" and "LOSES" in text else good(seed)

    engine.losses = losses
    account = mended(engine, matrix, everywhere=True)
    best = account.fixes[0]
    assert (best.says, best.lines) == ("MEND = 1; ALSO = 1", 2)
    assert {one.values["six"]: one.works for one in best.cells} == dict.fromkeys(
        ["1.0.0", "1.5.0", "1.8.0", "1.15.0"], True
    )
    assert FixStanding.BREAKS_OTHER in {one.standing for one in account.fixes}


def test_an_edit_that_only_shows_the_next_failure_is_gone_on_with(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("FIRST = 1",), ("SECOND = 1",)])
    engine.exits = lambda job: 0 if not late(job) or "SECOND" in source(job) else 3 if "FIRST" in source(job) else 1
    engine.losses = lambda job, seed: good(seed) if not late(job) or "FIRST" in source(job) else stuck(seed)
    account = mended(engine, matrix)
    best = account.fixes[0]
    assert (best.says, best.lines, best.standing) == ("FIRST = 1; SECOND = 1", 2, FixStanding.WORKS)
    assert best.diff.count("+FIRST = 1") == best.diff.count("+SECOND = 1") == best.diff.count("@@ -1") == 1


def test_another_release_is_tried_last_and_what_the_account_ran_is_not_run_again(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([])
    account = mended(engine, matrix)
    assert [(one.kind, one.release, one.standing) for one in account.fixes] == [
        (FixKind.RELEASE, {"six": "1.10.0"}, FixStanding.WORKS)
    ]
    ran = len(engine.ran)
    assert account.trials == ran
    again = mended(engine, matrix)
    assert (len(engine.ran), again.trials) == (ran, 0)
    assert again.advice == account.advice


def test_a_later_release_that_has_it_mended_is_found(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([])
    matrix.write_text(TEXT.replace("1.15.0", "1.11.0"))
    engine.losses = lambda job, seed: stuck(seed) if values(job)["six"] == "1.11.0" else good(seed)
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        found = explain(session.laboratory, session.matrix, *sides_of(session.cells, "six=1.0.0", "six=1.11.0"))
        account = found.account("explain")
        ill = Ill(experimenter=found.experimenter, account=account, good=found.good, bad=found.bad, pair=found.pair)
        assert [one.at for one in candidates_for(ill)] == [(("six", "1.15.0"),), (("six", "1.10.0"),)]
        fixes = mend(found, account, session.all_cells).fixes
    assert [(one.release, one.standing) for one in fixes] == [
        ({"six": "1.15.0"}, FixStanding.WORKS),
        ({"six": "1.10.0"}, FixStanding.UNTRIED),
    ]


def test_the_budget_counts_trials_of_fixes_too(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("NOTHING = 0",), ("MEND = 2",)])
    whole = mended(engine, matrix)
    engine.ran.clear()
    (matrix.parent / "a.py").write_text("print('another')\n")
    most = whole.trials - 6
    account = mended(engine, matrix, budget=Budget(trials=most))
    assert len(engine.ran) == account.trials <= most
    (matrix.parent / "a.py").write_text("print('a third')\n")
    short = mended(engine, matrix, budget=Budget(trials=25))
    assert [one.standing for one in short.fixes[:2]] == [FixStanding.NO_EFFECT, FixStanding.UNTRIED]
    assert short.advice[-1] == "Not run, since the budget ended first: MEND = 2; six 1.10.0."


def test_what_is_left_bad_is_not_explained_beyond_the_budget(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("MEND = 1",)])
    matrix.write_text(TEXT.replace("1.5.0", "1.5.0, 1.8.0"))

    def losses(job: Job, seed: int) -> Sequence[float]:
        return stuck(seed) if values(job)["six"] == "1.8.0" or (late(job) and "MEND" not in source(job)) else good(seed)

    engine.losses = losses
    most = mended(engine, matrix).trials
    engine.ran.clear()
    (matrix.parent / "a.py").write_text("print('another')\n")
    account = mended(engine, matrix, everywhere=True, budget=Budget(trials=most))
    assert len(engine.ran) == account.trials <= most
    assert account.fixes[0].works


def test_the_matrix_itself_never_sees_a_trial_of_a_fix(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("MEND = 1",)])
    mended(engine, matrix)
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        told = {outcome.id.get("six"): outcome.label for outcome in session.results().outcomes}
    assert (told["1.0.0"], told["1.15.0"]) == ("converges", "fails (missed)")


def test_nothing_is_tried_where_no_difference_was_shown(engine: FakeEngine, matrix: Path, adding) -> None:
    adding([("MEND = 1",)])
    engine.losses = lambda _job, seed: good(seed)
    assert (mended(engine, matrix).fixes, mended(engine, matrix).advice) == ((), ())


def test_the_patch_is_written_beside_the_matrix_and_the_script_only_when_asked(
    engine: FakeEngine, matrix: Path, adding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adding([("MEND = 1",)])
    folder = matrix.parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNNER_CONFIG", str(folder / "config.toml"))
    before = (folder / "a.py").read_text()

    def command(line: str) -> int:
        return run_command_line(line.split(), world_of(engine, FakeCatalog()))

    question = "explain --good six=1.0.0 --bad six=1.15.0"
    assert command(f"{question} --write") == 2
    assert command(f"{question} --fix") == 0
    said = capsys.readouterr()
    assert "What to do" in said.out
    assert "+MEND = 1" in said.out
    assert (folder / "a.py").read_text() == before
    subprocess.run(["git", "apply", "--check", "fix.patch"], cwd=folder, check=True)
    subprocess.run(["patch", "--dry-run", "-p1", "-i", "fix.patch"], cwd=folder, check=True, capture_output=True)
    (folder / "a.py").chmod(0o755)
    assert command(f"{question} --fix --write --format json") == 0
    assert Account.model_validate_json(capsys.readouterr().out).fixes[0].works
    assert "MEND = 1" in (folder / "a.py").read_text()
    assert (folder / "a.py").stat().st_mode & 0o777 == 0o755


def test_the_newest_cell_is_held_against_the_closest_good_one(engine: FakeEngine, matrix: Path) -> None:
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        with pytest.raises(UsageError, match="Run the matrix first"):
            sides_for(session.results(), "six=1.15.0")
        session.run()
        good_one, bad = sides_for(session.results(), "six=1.15.0")
        assert (good_one.get("six"), bad.get("six")) == ("1.0.0", "1.15.0")
