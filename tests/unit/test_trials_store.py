"""The store: a finished trial is never lost, several users at once, a damaged file is said."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from runner.cli.app import run_command_line
from runner.errors import MachineError
from runner.matrix.cell_id import CellId
from runner.trials.record import Epoch, Record
from runner.trials.store import Store

BEFORE = Path(__file__).parent / "fixtures" / "store-0.1.0"
"""A matrix of four cells that version 0.1.0 ran: its locks and its store, which has a blocked record too."""


def record(key: str, **changes: object) -> Record:
    values: dict[str, object] = {
        "key": key,
        "cell": {"keras": "2.2.4"},
        "seed": 0,
        "engine": "venv",
        "started_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 1.0,
        "stage": "training",
    }
    return Record.model_validate(values | changes)


def test_a_record_comes_back_as_it_was_put(tmp_path: Path) -> None:
    put = record(
        "a",
        epochs=(Epoch(phase="fit-1", epoch=1, logs={"loss": float("inf"), "acc": 0.1}),),
        exit_code=0,
        probe_started=True,
    )
    with Store(tmp_path / "new" / "store.sqlite") as store:
        store.put(put)
    with Store(tmp_path / "new" / "store.sqlite") as store:
        assert store.get(["a", "b"]) == {"a": put}


def test_non_finite_numbers_survive_as_text(tmp_path: Path) -> None:
    put = record("a", epochs=(Epoch(phase="fit-1", epoch=1, logs={"loss": float("nan")}),))
    stored = json.loads(put.model_dump_json())
    assert stored["epochs"][0]["logs"] == {"loss": ["nan"]}
    with Store(tmp_path / "store.sqlite") as store:
        store.put(put)
        loss = store.get(["a"])["a"].epochs[0].logs["loss"]
    assert loss != loss


def test_many_keys_are_asked_for_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        for number in range(1200):
            store.put(record(str(number)))
        assert len(store.get(str(number) for number in range(2000))) == 1200
        assert store.drop(["1", "2", "not there"]) == 2
        assert len(store.get(str(number) for number in range(10))) == 8


def test_a_record_of_another_schema_counts_as_missing(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        store.put(record("a"))
        store.put(record("b"))
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("UPDATE records SET record = '{\"key\": 1}' WHERE key = 'a'")
    db.close()
    with Store(tmp_path / "store.sqlite") as store:
        assert set(store.get(["a", "b"])) == {"b"}


def _put_and_die(path: Path) -> None:
    store = Store(path)
    for number in range(50):
        store.put(record(str(number)))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_put_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=(tmp_path / "store.sqlite",))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    with Store(tmp_path / "store.sqlite") as store:
        assert len(store.get(str(number) for number in range(50))) == 50


def test_two_stores_on_one_file_see_each_other(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as one, Store(tmp_path / "store.sqlite") as two:
        one.put(record("a"))
        two.put(record("b"))
        assert set(one.get(["a", "b"])) == set(two.get(["a", "b"])) == {"a", "b"}


def test_a_file_that_is_no_store_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("this is not a database, whatever its name says" * 50)
    with pytest.raises(MachineError, match=r"store\.sqlite can't be opened .* move it away"):
        Store(tmp_path / "store.sqlite")


def test_a_full_disk_is_said_with_a_way_out(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        store._db.execute("PRAGMA max_page_count = 5")
        with pytest.raises(MachineError, match=r"could not be kept .* Free some disk space"):
            store.put(record("a", log_tail="x" * 100_000))


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The matrix that version 0.1.0 ran, its store in its place."""
    folder = tmp_path / "before"
    shutil.copytree(BEFORE, folder)
    for name in ("a.py", "b.py"):
        (folder / name).write_text(f"print({name!r})\n")
    (folder / ".runner").mkdir()
    (folder / "records.sqlite").rename(folder / ".runner" / "records.sqlite")
    return folder


def test_a_store_of_version_0_1_0_is_brought_up_to_date_and_loses_nothing(before: Path) -> None:
    path = before / ".runner" / "records.sqlite"
    with sqlite3.connect(path) as db:
        old = dict(db.execute("SELECT key, record FROM records"))
    db.close()
    for _ in range(2):  # the second time it is up to date
        with Store(path) as store:
            records = store.get(old)
            told = {key: Record.model_validate_json(text).model_dump_json() for key, text in old.items()}
            assert {key: record.model_dump_json() for key, record in records.items()} == told
            lock = next(record.lock_digest for record in records.values() if record.lock == "six-1.15.0")
            assert store.origins(str(lock)) == [("venv", "fake-base")]
            seconds = store.seconds()
            blocked = store.blocked("six-1.17.0", {"six": "1.17.0", "script": "c.py"})
        assert len(seconds) == 4
        assert seconds[CellId.of({"six": "1.15.0", "script": "a.py"})] == pytest.approx(0.01)
        assert blocked is not None
        assert blocked.message == "nothing resolves"


def test_a_store_of_version_0_1_0_still_shows_its_outcomes(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command_line(["table", str(before / "matrix.yaml"), "--recorded", "--format", "json"])
    outcomes = {(row["six"], row["script"]): row["outcome"] for row in json.loads(capsys.readouterr().out)}
    assert outcomes == {
        ("1.15.0", "a.py"): "converges",
        ("1.15.0", "b.py"): "fails (nan)",
        ("1.16.0", "a.py"): "converges",
        ("1.16.0", "b.py"): "fails (nan)",
    }


def test_a_migration_that_fails_leaves_the_file_as_it_was(before: Path) -> None:
    path = before / ".runner" / "records.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE records_before (a)")
    db.close()
    with pytest.raises(MachineError, match="can't be opened"):
        Store(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (9,)
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
    db.close()


def test_epochs_that_version_1_stored_one_by_one_are_read_as_they_are(tmp_path: Path) -> None:
    path, told = tmp_path / "store.sqlite", Epoch(phase="fit-1", epoch=1, logs={"loss": float("inf")}, time_s=0.5)
    put = record("a", epochs=(told, Epoch(phase="fit-2", epoch=1, logs={}), told.model_copy(update={"epoch": 2})))
    with Store(path) as store:
        store.put(put)
    before = put.model_dump(mode="json") | {"epochs": [epoch.model_dump(mode="json") for epoch in put.epochs]}
    with sqlite3.connect(path) as db:
        db.execute("UPDATE records SET record = ?", (json.dumps(before),))
        db.execute("PRAGMA user_version = 1")
    db.close()
    with Store(path) as store:
        assert store.get(["a"]) == {"a": put}


def test_a_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(MachineError, match="later version"):
        Store(tmp_path / "store.sqlite")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT engine, base_identity, max(started_at) FROM records WHERE lock_digest = 'a' GROUP BY 1, 2",
        "SELECT cell, avg(duration_s) FROM records WHERE NOT blocked GROUP BY cell",
        "SELECT key FROM records WHERE blocked AND lock = 'a' AND cell = 'b' ORDER BY started_at DESC LIMIT 1",
    ],
)
def test_what_is_asked_of_all_records_is_answered_by_an_index(tmp_path: Path, query: str) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        plan = " ".join(str(row[3]) for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING INDEX records_blocked" in plan or "COVERING INDEX" in plan, plan
