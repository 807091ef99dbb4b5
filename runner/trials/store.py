"""Where records live: one SQLite file beside the matrix, one row a finished trial, written as soon as it ended.

WAL with `synchronous=NORMAL`: safe against a killed runner; a power loss may cost the last records, never tear them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from runner.errors import MachineError
from runner.trials.record import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, schema_version INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT) WITHOUT ROWID;
"""
_BATCH = 500


class Store:
    """Records by key, and hashes of data files by path. Usable from several threads and several processes at once."""

    def __init__(self, path: Path) -> None:
        """Open or make the store. Raises MachineError where the file can't be used."""
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
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
        self._write(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            (record.key, SCHEMA_VERSION, record.model_dump_json(exclude_defaults=True)),
        )

    def get(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records that are there for these keys; one that can't be read any more counts as missing."""
        wanted = list(keys)
        found: dict[str, Record] = {}
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, record FROM records WHERE schema_version = ? AND key IN ({marks})"  # noqa: S608 - only marks
            with self._lock:
                rows = self._db.execute(query, (SCHEMA_VERSION, *part)).fetchall()
            for key, text in rows:
                try:
                    found[key] = Record.model_validate_json(text)
                except ValidationError:
                    continue
        return found

    def origins(self, lock_digest: str) -> list[tuple[str, str]]:
        """Engine and base identity of the trials that ran with a lock; those of the latest trial first."""
        query = """
            SELECT json_extract(record, '$.engine') AS engine, json_extract(record, '$.base_identity') AS identity
            FROM records WHERE json_extract(record, '$.lock_digest') = ? AND identity IS NOT NULL
            GROUP BY engine, identity ORDER BY max(json_extract(record, '$.started_at')) DESC
        """
        with self._lock:
            return self._db.execute(query, (lock_digest,)).fetchall()

    def blocked(self, lock: str, cell: Mapping[str, str]) -> Record | None:
        """The latest record that says why no trial of a cell can run, by the name of its environment."""
        query = """
            SELECT key FROM records WHERE key LIKE 'blocked-%' AND json_extract(record, '$.lock') = ?
            AND json_extract(record, '$.cell') = json(?) ORDER BY json_extract(record, '$.started_at') DESC LIMIT 1
        """
        with self._lock:
            keys = [row[0] for row in self._db.execute(query, (lock, json.dumps(cell)))]
        return next(iter(self.get(keys).values()), None)

    def keys(self) -> list[str]:
        """The keys of all records, sorted, those of other versions too."""
        with self._lock:
            return [str(row[0]) for row in self._db.execute("SELECT key FROM records ORDER BY key")]

    def seconds(self) -> list[tuple[dict[str, str], float]]:
        """How long the trials of each cell that has some took on average, in seconds, by its axis values."""
        query = """
            SELECT json_extract(record, '$.cell') AS cell, avg(json_extract(record, '$.duration_s'))
            FROM records WHERE key NOT LIKE 'blocked-%' GROUP BY cell
        """
        with self._lock:
            rows = self._db.execute(query).fetchall()
        return [(json.loads(cell), float(mean)) for cell, mean in rows if cell and mean is not None]

    def is_empty(self) -> bool:
        """Whether no trial is finished yet: then nobody needs to look for one."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM records LIMIT 1").fetchone() is None

    def drop(self, keys: Iterable[str]) -> int:
        """Forget records; how many there were."""
        with self._lock:
            cursor = self._db.executemany("DELETE FROM records WHERE key = ?", [(key,) for key in keys])
            return cursor.rowcount

    def answer(self, key: str) -> str | None:
        """What was worked out before from the inputs that this key hashes."""
        with self._lock:
            row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def keep_answer(self, key: str, answer: str) -> None:
        """Remember what was worked out, and nothing older: inputs that changed once are rarely the same again."""
        self._write("DELETE FROM answers", ())
        self._write("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))

    def known_hash(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The SHA-256 that a file had when it had this size and time."""
        query = "SELECT sha256 FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        with self._lock:
            row = self._db.execute(query, (path, size, mtime_ns)).fetchone()
        return str(row[0]) if row else None

    def keep_hash(self, path: str, size: int, mtime_ns: int, sha256: str) -> None:
        """Remember the SHA-256 of a file, so that a large data set is read once."""
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (path, size, mtime_ns, sha256))

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(query, values)
        except sqlite3.Error as error:
            raise MachineError(
                f"The record could not be kept in {self._path} ({error}). Free some disk space and start the run again:"
                " finished trials are not repeated."
            ) from error
