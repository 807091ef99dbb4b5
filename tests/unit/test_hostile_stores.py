"""Stores that a stranger made, and our own when it is damaged: one message, nothing runs, what can be read is kept."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.cli.app import run_command_line
from runner.errors import MachineError, UsageError
from runner.session.shards import Merged, merge
from runner.trials.job_files import Workplace
from runner.trials.record import Record
from runner.trials.store import Store, examine_store
from runner.trials.store_file import RECORD_BYTES, StoreReader

KEY = "0" * 32


def record(key: str = KEY, **changes: object) -> dict[str, object]:
    return {
        "key": key,
        "cell": {"six": "1.15.0", "script": "a.py"},
        "seed": 0,
        "engine": "venv",
        "started_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 1.0,
        "stage": "training",
        **changes,
    }


def put(path: Path, **changes: object) -> None:
    with Store(path) as store:
        store.put(Record.model_validate(record(**changes)))


def changed(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement, values)
        db.commit()


@pytest.fixture
def own(tmp_path: Path) -> Workplace:
    place = Workplace(root=tmp_path / "own" / ".runner")
    put(place.root / "records.sqlite", key="1" * 32)
    return place


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs" / ".runner" / "records.sqlite"
    put(path)
    return path


def taken(own: Workplace, theirs: Path, *, replace: bool = False) -> Merged:
    began = time.monotonic()
    merged = merge(own, [theirs.parent], replace=replace)
    assert time.monotonic() - began < 20
    return merged


_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS key, 1 AS schema_version, '' AS record FROM n"  # noqa: E501


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (("DROP TABLE records", f"CREATE VIEW records AS {_ENDLESS}"), "it has the view `records`"),
        (("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END",), "it has the trigger `t`"),
        (("DROP TABLE records", "CREATE VIRTUAL TABLE records USING fts5(key, record)"), "it has the table `records"),
        (("CREATE TABLE other (a)",), "it has the table `other`"),
        (("CREATE INDEX other ON records (hex(record))",), "it has the index `other`"),
        (("CREATE INDEX other ON records (json_valid(record))",), "unsafe use of json_valid"),
        (
            (
                "DROP TABLE records",
                "CREATE TABLE records (key, schema_version, record AS (hex(zeroblob(100000000))) VIRTUAL)",
            ),
            "has a column that is computed",
        ),
        (("PRAGMA user_version = 3",), "later version"),
    ],
)
def test_a_store_that_could_run_something_is_refused_whosever_it_is(
    own: Workplace, theirs: Path, statements: tuple[str, ...], said: str
) -> None:
    changed(theirs, *statements)
    before = theirs.read_bytes()
    with pytest.raises(UsageError, match=said):
        taken(own, theirs)
    with pytest.raises(MachineError, match=said):
        Store(theirs)
    assert theirs.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(record(engine="evil")),
        json.dumps(record(started_at="yesterday")),
        json.dumps(record(started_at="2026-01-01T00:00:00")),
        json.dumps(record(duration_s=float("nan"))),
        json.dumps(record(duration_s=0)).replace('"duration_s": 0', '"duration_s": 1e999'),
        json.dumps(record(peak_memory_bytes=10**400)),
        json.dumps(record(cell={"six": 1})),
        json.dumps(record(key="2" * 32)),
        json.dumps(record(other="field")),
        "[" * 100_000,
        "",
        "null",
    ],
)
def test_what_is_no_record_of_this_tool_is_left_out_and_counted(own: Workplace, theirs: Path, text: str) -> None:
    changed(theirs, "UPDATE records SET record = ?", values=(text,))
    merged = taken(own, theirs)
    assert (merged.added, merged.unreadable) == (0, 1)
    with Store(own.root / "records.sqlite") as store:
        assert store.keys() == ["1" * 32]


@pytest.mark.parametrize(
    "value",
    ["CAST(x'ff7b7d' AS TEXT)", "x'7b7d'", f"zeroblob({10**8})", "5", f"printf('%.*c', {RECORD_BYTES + 1}, 'x')"],
)
def test_a_value_of_another_kind_or_size_is_not_read(own: Workplace, theirs: Path, value: str) -> None:
    changed(theirs, f"UPDATE records SET record = {value}")
    assert taken(own, theirs).unreadable == 1


def test_who_wins_does_not_depend_on_the_time_that_a_part_names(own: Workplace, theirs: Path) -> None:
    put(own.root / "records.sqlite", started_at="2026-01-01T00:00:00+00:00")
    put(theirs, started_at="9999-12-31T23:59:59+00:00", duration_s=2.0)
    assert "kept is our own" in taken(own, theirs).conflicts[0]
    with Store(own.root / "records.sqlite") as store:
        assert store.get([KEY])[KEY].duration_s == 1.0
    assert "kept is that of" in taken(own, theirs, replace=True).conflicts[0]
    with Store(own.root / "records.sqlite") as store:
        assert store.get([KEY])[KEY].duration_s == 2.0


def test_a_log_larger_than_any_is_left_out_and_that_is_said(own: Workplace, theirs: Path) -> None:
    log = theirs.parent / "logs" / f"{KEY}.log"
    log.parent.mkdir()
    with log.open("wb") as stream:
        stream.truncate(3 * 1024**3)
    merged = taken(own, theirs)
    assert merged.added == 1
    assert "left out: it is larger than any log" in merged.remarks[0]
    assert not own.log(KEY).exists()


def test_a_store_that_is_a_link_or_a_pipe_is_no_store(own: Workplace, theirs: Path) -> None:
    real = theirs.rename(theirs.with_name("real"))
    theirs.symlink_to(real)
    with pytest.raises(UsageError, match="is no store of records"):
        taken(own, theirs)
    theirs.unlink()
    os.mkfifo(theirs)
    with pytest.raises(UsageError, match="has no records"):
        taken(own, theirs)


def test_what_a_killed_run_had_not_moved_into_the_file_yet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    with Store(path) as store:
        store._db.execute("PRAGMA wal_autocheckpoint = 0")
        store.put(Record.model_validate(record()))
        assert Path(f"{path}-wal").stat().st_size > 0
        with StoreReader(path) as reader:
            assert reader.listed() == (KEY,)
            assert reader.record(KEY) == store.get([KEY])[KEY]


def test_a_store_with_a_garbage_page_is_one_message_and_gives_back_what_can_be_read(tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "m").parent / ".runner" / "records.sqlite"
    with Store(path) as store:
        for each in range(300):
            store.put(Record.model_validate(record(key=f"{each:032x}", log_tail="x" * 600)))
    with path.open("r+b") as stream:
        size = path.stat().st_size
        stream.seek(size // 2 // 4096 * 4096)
        stream.write(os.urandom(4096))
    with Store(path) as store, pytest.raises(MachineError, match=r"can't be read .* doctor --store"):
        store.get(store.keys())
    found = examine_store(path)
    assert 280 <= found.records < 300
    assert found.kept_as is not None
    assert found.kept_as.stat().st_size == size
    with Store(path) as store:
        assert len(store.get(store.keys())) == found.records
    again = examine_store(path)
    assert (again.records, again.lost, again.kept_as) == (found.records, 0, None)


def test_a_malformed_row_costs_its_trial_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    for key in ("a", "b"):
        put(path, key=key)
    changed(path, "UPDATE records SET record = CAST(x'ff' AS TEXT), cell = '[1]', engine = 'evil' WHERE key = 'a'")
    with Store(path) as store:
        assert set(store.get(["a", "b"])) == {"b"}
        assert len(store.seconds()) == 1
    found = examine_store(path)
    assert (found.records, found.lost) == (1, 1)


def test_a_row_of_a_later_version_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    put(path)
    changed(path, "UPDATE records SET schema_version = 2, record = '{\"new\": 1}'")
    with Store(path) as store:
        assert store.get([KEY]) == {}
        with pytest.raises(MachineError, match="later version"):
            store.put(Record.model_validate(record()))
    with pytest.raises(UsageError, match="later version"):
        examine_store(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT schema_version, record FROM records").fetchall() == [(2, '{"new": 1}')]


def test_doctor_looks_at_the_store_and_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = write_matrix(tmp_path / "m")
    path = matrix.parent / ".runner" / "records.sqlite"
    words = ["doctor", str(matrix), "--store", "--format", "json"]
    assert run_command_line(words, world_of(FakeEngine())) == 0
    put(path)
    assert run_command_line(words, world_of(FakeEngine())) == 0
    path.write_bytes(b"no database" * 500)
    assert run_command_line(words, world_of(FakeEngine())) == 2
    said = capsys.readouterr()
    assert "1 record, all can be read" in said.out
    assert "is no store of records" in said.err


_COMMANDS = ("run", "table", "judge", "plan", "publish", "doctor --store", "table --recorded", "clean --records")


@pytest.mark.parametrize("command", _COMMANDS)
@pytest.mark.parametrize("damage", ["page", "row", "header", "cut"])
def test_no_command_ends_in_a_traceback_over_a_damaged_store(
    tmp_path: Path, command: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = write_matrix(tmp_path / "m")
    path = matrix.parent / ".runner" / "records.sqlite"
    assert run_command_line(["run", str(matrix)], world_of(FakeEngine())) in {0, 1}
    if damage == "row":
        changed(path, "UPDATE records SET record = '{}', cell = 'x', engine = 'evil', lock = x'00', started_at = 7")
    else:
        data = bytearray(path.read_bytes())
        if damage == "page":
            data[4096 : len(data)] = os.urandom(len(data) - 4096)
        elif damage == "header":
            data[:100] = bytes(100)
        path.write_bytes(data[: len(data) // 2 + 100] if damage == "cut" else data)
    name, *options = command.split()
    code = run_command_line([name, str(matrix), *options], world_of(FakeEngine()))
    said = capsys.readouterr().err
    assert code in {0, 1, 2, 4}
    assert "Traceback" not in said
    assert damage == "row" or code in {2, 4}
