"""The rules of `--fix` one by one: each test fails where its rule is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_engine import world_of
from fix_world import TEXT, adding, engine, late, matrix, mended, source
from packaging.version import Version
from six_releases import FakeCatalog, good, stuck, values

from runner.check.findings import Finding, FindingKind
from runner.explain import edit_candidates
from runner.explain.candidates import Ill, candidates_for
from runner.explain.investigation import explain
from runner.explain.sides import sides_of
from runner.matrix.matrix_file import Matrix
from runner.outcomes.tried_fix import FixKind, FixStanding
from runner.scripts.patching import texts_of
from runner.scripts.source import Edit
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest
    from fake_engine import FakeEngine

    from runner.engines.protocol import Job
    from runner.outcomes.account import Account

__all__ = ["adding", "engine", "matrix"]


def edits(account: Account) -> dict[str, FixStanding]:
    return {one.says: one.standing for one in account.fixes if one.kind is FixKind.EDIT}


def settling(level: float, seed: int) -> Sequence[float]:
    """A loss that flattens at a level: without a criterion it settles, wherever that is."""
    return (2.0, level + 0.1, level + 0.02 + seed / 1000, level + seed / 1000, level + seed / 1000)


def test_where_both_cells_settle_a_candidate_must_come_to_the_good_ones_side_of_the_level(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([("HALF = 1",), ("LUCK = 1",), ("MEND = 1",)])
    matrix.write_text(TEXT.replace("criterion: loss < 1e-4\n", ""))

    def losses(job: Job, seed: int) -> Sequence[float]:
        text = source(job)
        mends = not late(job) or "MEND" in text or ("LUCK" in text and seed < 2)
        return settling(0.01 if mends else 0.8 if "HALF" in text else 0.9, seed)

    engine.losses = losses
    account = mended(engine, matrix)
    assert account.leveled
    assert edits(account) == {
        "HALF = 1": FixStanding.NO_EFFECT,
        "LUCK = 1": FixStanding.NO_EFFECT,
        "MEND = 1": FixStanding.WORKS,
    }


def exits(job: Job) -> int:
    return int(late(job) and "MEND" not in source(job))


def test_where_the_rule_calls_even_the_good_cell_bad_it_suffices_to_end_as_that_does(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([("MEND = 1",)])
    engine.exits, engine.losses = exits, lambda _job, seed: stuck(seed)
    account = mended(engine, matrix)
    assert account.good.outcome == "fails (missed)"
    assert edits(account) == {"MEND = 1": FixStanding.WORKS}
    assert "end as the good cell does, fails (missed)" in account.fixes[0].sentence


def test_where_the_good_cell_is_good_it_does_not_suffice_that_the_bad_one_ends_otherwise(
    engine: FakeEngine, matrix: Path, adding
) -> None:
    adding([("MEND = 1",)])
    engine.exits, engine.losses = exits, lambda job, seed: stuck(seed) if late(job) else good(seed)
    assert edits(mended(engine, matrix)) == {"MEND = 1": FixStanding.NO_EFFECT}


def test_no_more_than_four_edits_are_made_one_after_another(engine: FakeEngine, matrix: Path, adding) -> None:
    lines = [f"STEP_{number} = 1" for number in range(1, 6)]
    adding([(line,) for line in lines])

    def done(job: Job) -> int:
        """How many of the steps the script has, from the first one on."""
        return next((number for number, line in enumerate(lines) if line not in source(job)), len(lines))

    engine.exits = lambda job: 10 + done(job) if late(job) and done(job) < len(lines) else 0
    engine.losses = lambda _job, seed: good(seed)
    account = mended(engine, matrix)
    tried = [says.split("; ") for says, standing in edits(account).items() if standing is FixStanding.NO_EFFECT]
    assert max(map(len, tried)) == 4
    assert lines[:4] in tried
    assert FixStanding.WORKS not in edits(account).values()


def test_an_argument_that_has_no_name_which_both_cells_take_is_given_by_its_place(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import keras\n\noptimizer = keras.optimizers.SGD(lr=0.1)\n"
    (matrix.parent / "a.py").write_text(text)

    def losses(job: Job, seed: int) -> Sequence[float]:
        refused = "(lr=" if late(job) else "(learning_rate="
        return stuck(seed) if refused in source(job) else good(seed)

    def found(experimenter, _good, bad) -> list[Finding]:
        now = texts_of(experimenter.script(bad))["a.py"]
        if (start := now.find("lr=")) < 0:
            return []
        return [
            Finding(
                kind=FindingKind.BREAKS,
                path="keras.optimizers.SGD",
                argument="lr",
                file="a.py",
                line=3,
                column=33,
                package="keras",
                since="3.0.0",
                message="SGD takes no argument `lr`",
                instead="learning_rate=0.1",
                edit=Edit(start=start, end=start + 2, text="learning_rate"),
            )
        ]

    engine.losses = losses
    monkeypatch.setattr(edit_candidates, "findings_between", found)
    account = mended(engine, matrix)
    assert edits(account) == {
        "a.py:3: learning_rate=0.1": FixStanding.BREAKS_GOOD,
        "a.py:3: learning_rate=0.1, without the argument's name": FixStanding.WORKS,
    }
    assert "+optimizer = keras.optimizers.SGD(0.1)" in account.fixes[0].diff


def test_a_second_edit_that_takes_back_the_first_is_no_candidate(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (matrix.parent / "a.py").write_text("import keras\n\none = 1\n")
    engine.exits = lambda job: 10 + source(job).count("one = 2") if late(job) else 0
    engine.losses = lambda _job, seed: good(seed)

    def found(experimenter, _good, bad) -> list[Finding]:
        now = texts_of(experimenter.script(bad))["a.py"]
        value = now[now.index("one = ") + 6]
        start = now.index("one = ") + 6
        return [
            Finding(
                kind=FindingKind.BREAKS,
                path="keras.one",
                file="a.py",
                line=3,
                column=1,
                package="keras",
                since="3.0.0",
                message="It is another one",
                instead=f"not {value}",
                edit=Edit(start=start, end=start + 1, text="2" if value == "1" else "1"),
            )
        ]

    monkeypatch.setattr(edit_candidates, "findings_between", found)
    assert list(edits(mended(engine, matrix))) == ["a.py:3: not 1"]


def test_all_places_of_one_known_change_are_one_candidate_before_any_other_is_added(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import keras\n\none = 1\ntwo = 1\nother = 1\n"
    (matrix.parent / "a.py").write_text(text)
    engine.losses = lambda job, seed: stuck(seed) if late(job) and source(job).count("= 2") < 2 else good(seed)

    def found(experimenter, _good, bad) -> list[Finding]:
        now = texts_of(experimenter.script(bad))["a.py"]
        places = [(change, now.find(f"{name} = 1")) for name, change in (("one", "c"), ("two", "c"), ("other", "d"))]
        return [
            Finding(
                kind=FindingKind.KNOWN,
                path=change,
                file="a.py",
                line=now[:start].count("\n") + 1,
                column=1,
                package="keras",
                since="3.0.0",
                message="It is counted otherwise",
                instead="2",
                edit=Edit(start=now.index("1", start), end=now.index("1", start) + 1, text="2"),
            )
            for change, start in places
            if start >= 0
        ]

    monkeypatch.setattr(edit_candidates, "findings_between", found)
    assert next(iter(edits(mended(engine, matrix)).items())) == ("a.py:3: 2; a.py:4: 2", FixStanding.WORKS)


def test_where_the_older_release_is_bad_no_later_one_is_asked_whether_it_has_it_mended(
    engine: FakeEngine, matrix: Path
) -> None:
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) < Version("1.4.0") else good(seed)
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        found = explain(session.laboratory, session.matrix, *sides_of(session.cells, "six=1.15.0", "six=1.0.0"))
        account = found.account("explain")
        ill = Ill(experimenter=found.experimenter, account=account, good=found.good, bad=found.bad, pair=found.pair)
        assert [one.at for one in candidates_for(ill)] == [(("six", "1.4.0"),)]
