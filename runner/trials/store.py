"""The store of records: one SQLite file beside the matrix, one row a finished trial, written as soon as it ended.

WAL with `synchronous=NORMAL`: safe against a killed runner; a power loss may cost the last records, never tear them.
What is asked of all records at once stands in columns with an index; the record itself is read by its key alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner.engines.protocol import EngineKind
from runner.errors import MachineError
from runner.matrix.cell_id import CellId
from runner.trials.record import SCHEMA_VERSION, Record
from runner.trials.store_file import DAMAGE, STORE_VERSION, StoreReader, connect, strange_object, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

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
_NAMES = "schema_version, engine, base_identity, lock, lock_digest, cell, started_at, duration_s, blocked, record"
_COLUMNS = """
    json_extract(record, '$.engine'), json_extract(record, '$.base_identity'), json_extract(record, '$.lock'),
    json_extract(record, '$.lock_digest'), cell_column(json_extract(record, '$.cell')),
    json_extract(record, '$.started_at'), json_extract(record, '$.duration_s')
"""
_PUT = f"""
    INSERT INTO records SELECT key, schema_version, {_COLUMNS}, key LIKE 'blocked-%', record
    FROM (SELECT ? AS key, ? AS schema_version, ? AS record) WHERE true
    ON CONFLICT (key) DO UPDATE SET ({_NAMES}) = ({", ".join(f"excluded.{name}" for name in _NAMES.split(", "))})
    WHERE records.schema_version <= excluded.schema_version
"""  # noqa: S608 - only columns
_MOVE = f"""
    INSERT INTO records SELECT key, schema_version, {_COLUMNS}, key LIKE 'blocked-%', record
    FROM (SELECT * FROM records_before WHERE json_valid(record))
"""  # noqa: S608 - only columns
_BATCH = 500
_REMEDY = (
    "`convergence-matrix doctor --store` looks what is wrong with it and saves what can be read; or move it away: the"
    " trials will run again."
)


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
            self._db = connect(path)
            try:
                self._begin()
            except BaseException:
                self._db.close()
                raise
        except (*DAMAGE, OSError) as error:
            if not path.exists() or not os.access(path, os.W_OK):
                raise MachineError(
                    f"Records are kept in {path}, which can't be written ({error}). Make its folder writable, or copy"
                    " the matrix to one that is."
                ) from error
            raise MachineError(f"The store of records {path} can't be opened ({error}). {_REMEDY}") from error

    def _begin(self) -> None:
        """Look at the file before anything in it is touched, then bring it up to date."""
        if version_of(self._db) > STORE_VERSION:
            raise _newer(self._path)
        strange = strange_object(self._db)
        if strange:
            raise MachineError(f"The store of records {self._path} can't be opened: {strange}. {_REMEDY}")
        self._db.create_function("cell_column", 1, _canonical, deterministic=True)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        if _bring_up_to_date(self._db) > STORE_VERSION:
            raise _newer(self._path)

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
        """Keep a record; a key that is there already is replaced.

        Raises MachineError where the disk refuses, or what is there was written by a later version.
        """
        if not self._write(_PUT, (record.key, SCHEMA_VERSION, record.model_dump_json(exclude_defaults=True))):
            raise _newer(self._path)

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
                    record = Record.model_validate_json(str(text))
                except ValueError:
                    continue
                if record.key == key:  # else it would lead to the files of another one, or anywhere
                    found[str(key)] = record
        return found

    def origins(self, lock_digest: str) -> list[tuple[str, str]]:
        """Engine and base identity of the trials that ran with a lock; those of the latest trial first."""
        query = """
            SELECT engine, base_identity FROM records WHERE lock_digest = ? AND base_identity IS NOT NULL
            GROUP BY engine, base_identity ORDER BY max(started_at) DESC
        """
        known = {kind.value for kind in EngineKind}
        found = [(str(engine), str(identity)) for engine, identity in self._rows(query, (lock_digest,))]
        return [(engine, identity) for engine, identity in found if engine in known]

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
        keys = (str(key) for (key,) in self._rows("SELECT key FROM records ORDER BY key"))
        return [key for key in keys if key.isprintable()]

    def seconds(self) -> dict[CellId, float]:
        """The average duration of a trial in seconds, for each cell that has trials."""
        query = "SELECT cell, avg(duration_s) FROM records WHERE NOT blocked GROUP BY cell"
        means = {str(cell): mean for cell, mean in self._rows(query) if cell and isinstance(mean, float)}
        return {CellId.of(json.loads(cell)): mean for cell, mean in means.items() if _canonical(cell) == cell}

    def is_empty(self) -> bool:
        """True where no trial is finished yet: then nobody needs to look for one."""
        return not self._rows("SELECT 1 FROM records LIMIT 1")

    def drop(self, keys: Iterable[str]) -> int:
        """Forget records; how many there were."""
        with self._asked(), self._lock:
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
        with self._asked(), self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise MachineError(f"The store of records {self._path} can't be read ({error}). {_REMEDY}") from error

    def _write(self, query: str, values: tuple[object, ...]) -> int:
        """The number of rows that were written. Raises MachineError."""
        try:
            with self._lock:
                return self._db.execute(query, values).rowcount
        except sqlite3.DatabaseError as error:
            if _is_damaged(error):
                raise MachineError(
                    f"The store of records {self._path} can't be written ({error}). {_REMEDY}"
                ) from error
            raise MachineError(
                f"The record could not be kept in {self._path} ({error}). Free some disk space and start the run again:"
                " finished trials are not repeated."
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What a look at a whole store found; `kept_as` is the damaged file where a sound one took its place."""

    records: int
    lost: int
    damage: str
    kept_as: Path | None = None


def examine_store(path: Path) -> Examined:
    """Read everything in a store; where something can't be read, what can be is in a new file in its place afterwards.

    The damaged file is kept beside it. Raises UsageError where it is no store or of a later version, MachineError
    where nothing can be written.
    """
    with StoreReader(path) as reader:
        reader.look()
        keys = reader.listed()
        fresh, sound = path.with_name(f"{path.stem}.saved{path.suffix}"), 0
        fresh.unlink(missing_ok=True)
        with Store(fresh) as saved:
            for key in keys:
                record = reader.record(key)
                if record is not None:
                    saved.put(record)
                    sound += 1
        damage = reader.damage
    if not damage and sound == len(keys):
        fresh.unlink()
        return Examined(records=sound, lost=0, damage="")
    number = next(n for n in count(1) if not path.with_name(f"{path.stem}.damaged-{n}{path.suffix}").exists())
    aside = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
    with suppress(FileNotFoundError):
        Path(f"{path}-wal").rename(f"{aside}-wal")
    path.rename(aside)
    Path(f"{path}-shm").unlink(missing_ok=True)
    fresh.rename(path)
    return Examined(records=sound, lost=len(keys) - sound, damage=damage, kept_as=aside)


def _newer(path: Path) -> MachineError:
    return MachineError(
        f"The store of records {path} was written by a later version of this program, and stays as it is. Install that"
        " version, or move the file away: the trials will run again."
    )


def _is_damaged(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _bring_up_to_date(db: sqlite3.Connection) -> int:
    """The version of the file, which is this program's own unless the file is newer.

    A file of version 0 has records as JSON alone, and answers that nobody asks for any more; the records of version 1
    are read as they are. Whoever comes second waits for the transaction of the first, and finds nothing left to do.
    """
    if (version := version_of(db)) >= STORE_VERSION:
        return version
    db.execute("BEGIN IMMEDIATE")
    try:
        if (version := version_of(db)) < 1:
            known = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "records" in known:
                db.execute("ALTER TABLE records RENAME TO records_before")
            for statement in _TABLES:
                db.execute(statement)
            if "records" in known:
                db.execute(_MOVE)
                db.execute("DROP TABLE records_before")
            db.execute("DROP TABLE IF EXISTS answers")
        if version < STORE_VERSION:
            db.execute(f"PRAGMA user_version = {STORE_VERSION}")
            version = STORE_VERSION
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return version


def _canonical(cell: object) -> str | None:
    """A cell's axis values as JSON text that does not depend on the order of the axes; None for anything else."""
    try:
        values = json.loads(cell) if isinstance(cell, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        return None
    return json.dumps(values, sort_keys=True, ensure_ascii=False)
