"""The store: a finished trial is never lost, several users at once, a damaged file is said."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from runner.errors import MachineError
from runner.trials.record import Epoch, Record
from runner.trials.store import Store

if TYPE_CHECKING:
    from pathlib import Path


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
    assert stored["epochs"][0]["logs"] == {"loss": "nan"}
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
