"""The store of records: one SQLite file beside the matrix, one row a finished trial, written as soon as it ended.

WAL with `synchronous=NORMAL`: safe against a killed runner; a power loss may cost the last records, never tear them.
What is asked of all records at once stands in columns with an index; the record itself is read by its key alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from runner.errors import MachineError
from runner.matrix.cell_id import CellId
from runner.trials.record import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

STORE_VERSION = 1
"""The form of the file, kept in it as `PRAGMA user_version`; 0 is the form before there were columns."""

_TABLES = (
    """
    CREATE TABLE records (
        key TEXT PRIMARY KEY, schema_version INTEGER NOT NULL, engine TEXT, base_identity TEXT, lock TEXT,
        lock_digest TEXT, cell TEXT, started_at TEXT, duration_s REAL, blocked INTEGER NOT NULL, record TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX records_by_lock ON records (lock_digest, engine, base_identity, started_at)",
    "CREATE INDEX records_by_cell ON records (cell, blocked, duration_s)",
    "CREATE INDEX records_blocked ON records (lock, cell, started_at) WHERE blocked",
    """
    CREATE TABLE IF NOT EXISTS files (
        path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT
    ) WITHOUT ROWID
    """,
)
_COLUMNS = """
    json_extract(record, '$.engine'), json_extract(record, '$.base_identity'), json_extract(record, '$.lock'),
    json_extract(record, '$.lock_digest'), cell_column(json_extract(record, '$.cell')),
    json_extract(record, '$.started_at'), json_extract(record, '$.duration_s')
"""
_PUT = f"""
    INSERT OR REPLACE INTO records SELECT key, schema_version, {_COLUMNS}, key LIKE 'blocked-%', record
    FROM (SELECT ? AS key, ? AS schema_version, ? AS record)
"""  # noqa: S608 - only columns
_MOVE = f"""
    INSERT INTO records SELECT key, schema_version, {_COLUMNS}, key LIKE 'blocked-%', record
    FROM (SELECT * FROM records_before WHERE json_valid(record))
"""  # noqa: S608 - only columns
_BATCH = 500


class Store:
    """Records by key, and hashes of data files by path. Several threads and several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        """Open or make the store; a file of an earlier version is brought up to date in one transaction.

        Raises MachineError where the file can't be used, or was written by a later version.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._db.create_function("cell_column", 1, _canonical, deterministic=True)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = _bring_up_to_date(self._db)
        except (sqlite3.Error, OSError) as error:
            if not path.exists() or not os.access(path, os.W_OK):
                raise MachineError(
                    f"Records are kept in {path}, which can't be written ({error}). Make its folder writable, or copy"
                    " the matrix to one that is."
                ) from error
            raise MachineError(
                f"The store of records {path} can't be opened ({error}). If it is damaged, move it away:"
                " the trials will run again."
            ) from error
        if version > STORE_VERSION:
            self._db.close()
            raise MachineError(
                f"The store of records {path} was written by a later version of this program. Install that version,"
                " or move the file away: the trials will run again."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def put(self, record: Record) -> None:
        """Keep a record; a key that is there already is replaced. Raises MachineError where the disk refuses."""
        self._write(_PUT, (record.key, SCHEMA_VERSION, record.model_dump_json(exclude_defaults=True)))

    def get(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records that are there for these keys; one that can't be read any more counts as missing."""
        wanted = list(keys)
        found: dict[str, Record] = {}
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, record FROM records WHERE schema_version = ? AND key IN ({marks})"  # noqa: S608 - only marks
            for key, text in self._rows(query, (SCHEMA_VERSION, *part)):
                try:
                    found[str(key)] = Record.model_validate_json(str(text))
                except ValidationError:
                    continue
        return found

    def origins(self, lock_digest: str) -> list[tuple[str, str]]:
        """Engine and base identity of the trials that ran with a lock; those of the latest trial first."""
        query = """
            SELECT engine, base_identity FROM records WHERE lock_digest = ? AND base_identity IS NOT NULL
            GROUP BY engine, base_identity ORDER BY max(started_at) DESC
        """
        return [(str(engine), str(identity)) for engine, identity in self._rows(query, (lock_digest,))]

    def blocked(self, lock: str, cell: Mapping[str, str], engine: str | None = None) -> Record | None:
        """The latest record that says why no trial of a cell can run, by the name of its environment."""
        query = """
            SELECT key FROM records WHERE blocked AND lock = ?1 AND cell = ?2 AND (?3 IS NULL OR engine = ?3)
            ORDER BY started_at DESC LIMIT 1
        """
        keys = [str(key) for (key,) in self._rows(query, (lock, _canonical(json.dumps(dict(cell))), engine))]
        return next(iter(self.get(keys).values()), None)

    def keys(self) -> list[str]:
        """The keys of all records, sorted, those of other versions too."""
        return [str(key) for (key,) in self._rows("SELECT key FROM records ORDER BY key")]

    def seconds(self) -> dict[CellId, float]:
        """The average duration of a trial in seconds, for each cell that has trials."""
        query = "SELECT cell, avg(duration_s) FROM records WHERE NOT blocked GROUP BY cell"
        means = {str(cell): mean for cell, mean in self._rows(query) if cell and isinstance(mean, float)}
        return {CellId.of(json.loads(cell)): mean for cell, mean in means.items()}

    def is_empty(self) -> bool:
        """True where no trial is finished yet: then nobody needs to look for one."""
        return not self._rows("SELECT 1 FROM records LIMIT 1")

    def drop(self, keys: Iterable[str]) -> int:
        """Forget records; how many there were."""
        with self._lock:
            cursor = self._db.executemany("DELETE FROM records WHERE key = ?", [(key,) for key in keys])
            return cursor.rowcount

    def known_hash(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The SHA-256 that a file had when it had this size and time."""
        query = "SELECT sha256 FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        return next((str(sha256) for (sha256,) in self._rows(query, (path, size, mtime_ns))), None)

    def keep_hash(self, path: str, size: int, mtime_ns: int, sha256: str) -> None:
        """Remember the SHA-256 of a file, so that a large data set is read once."""
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (path, size, mtime_ns, sha256))

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(query, values)
        except sqlite3.Error as error:
            raise MachineError(
                f"The record could not be kept in {self._path} ({error}). Free some disk space and start the run again:"
                " finished trials are not repeated."
            ) from error


def _bring_up_to_date(db: sqlite3.Connection) -> int:
    """The version of the file, which is this program's own unless the file is newer.

    A file of version 0 has records as JSON alone, and answers that nobody asks for any more. Whoever comes second
    waits for the transaction of the first, and finds nothing left to do.
    """
    if (version := _version_of(db)) >= STORE_VERSION:
        return version
    db.execute("BEGIN IMMEDIATE")
    try:
        if (version := _version_of(db)) < STORE_VERSION:
            known = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "records" in known:
                db.execute("ALTER TABLE records RENAME TO records_before")
            for statement in _TABLES:
                db.execute(statement)
            if "records" in known:
                db.execute(_MOVE)
                db.execute("DROP TABLE records_before")
            db.execute("DROP TABLE IF EXISTS answers")
            db.execute(f"PRAGMA user_version = {STORE_VERSION}")
            version = STORE_VERSION
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return version


def _version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _canonical(cell: str | None) -> str | None:
    """A cell's axis values as JSON text that does not depend on the order of the axes."""
    return None if cell is None else json.dumps(json.loads(cell), sort_keys=True, ensure_ascii=False)
