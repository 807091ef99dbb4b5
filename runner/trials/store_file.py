"""The file of a store as SQLite has it, which a stranger may have written: its objects are checked.

`connect` opens a file for the program that owns it; `StoreReader` reads any file but a link, row by row, in bounded
time and memory, from a copy: nothing in it can run, and what is damaged costs the rows that it is in.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from runner.cache import passing_folder
from runner.errors import UsageError
from runner.open_folder import open_plain
from runner.trials.record import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    from types import TracebackType

STORE_VERSION: Final = 2
"""The form of the file, kept in it as `PRAGMA user_version`; 0 is the form before there were columns, in 1 the epochs
of a record stood one by one. A new version of the record's schema is a new version here too: what reads only older ones
then refuses the file as a whole."""
RECORD_BYTES: Final = 32 * 1024**2
"""A longer record is none: the caps on what a trial says keep its record far below."""
STORE_BYTES: Final = 4 * 1024**3
"""A larger file is not copied."""
MOST_RECORDS: Final = 1_000_000
DAMAGE: Final = (sqlite3.Error, UnicodeError)
"""What a damaged file raises: the name of a broken object may be no text, and then the error's message is none."""
_STATEMENT_S = 60.0
_INSTRUCTIONS = 10_000
"""So many steps of SQLite's machine are between two looks at the clock."""
_TABLES = {"records", "files", "answers"}
_INDEXES = {"records_by_lock", "records_by_cell", "records_blocked"}
_KEY = re.compile(r"[0-9a-z-]{1,128}", re.ASCII)
_KEYS = tuple(
    f"SELECT CASE WHEN length(key) <= 128 THEN key END FROM records {rest}"  # noqa: S608 - only these
    for rest in ("ORDER BY key", "ORDER BY key DESC", "INDEXED BY records_by_cell", "INDEXED BY records_by_lock")
)
"""Where a page is damaged, one of these ends there; another one may come to what lies behind."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection for several threads that starts no transaction by itself. Raises sqlite3.Error."""
    db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
    db.text_factory = _text
    db.execute("PRAGMA trusted_schema=OFF")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, RECORD_BYTES)
    return db


def version_of(db: sqlite3.Connection) -> int:
    """The version of a store. Raises sqlite3.Error."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def strange_object(db: sqlite3.Connection) -> str:
    """What a store has that none of this program has, in words: a view, a trigger, a computed column; empty: nothing.

    Raises sqlite3.Error.
    """
    for number, row in enumerate(db.execute("SELECT type, name, rootpage FROM sqlite_schema")):
        kind, name, page = (str(value)[:80] for value in row)
        ours = name in _TABLES if kind == "table" else name in _INDEXES if kind == "index" else False
        if number > 100 or page == "0" or not (ours or name.startswith(("sqlite_autoindex_", "sqlite_stat"))):
            return f"it has the {kind} `{name}`, which no store has"
    for table in sorted(_TABLES):
        if any(hidden for *_, hidden in db.execute(f"PRAGMA table_xinfo({table})")):
            return f"its table `{table}` has a column that is computed"
    return ""


def _text(data: bytes) -> str:
    """Text whatever its bytes are; what is not UTF-8 is no JSON either, and is found out there."""
    return data.decode("utf-8", "surrogateescape")


class StoreReader:
    """The records in a file that somebody else wrote, or that is damaged; one at a time. The file stays as it is."""

    def __init__(self, path: Path) -> None:
        """Copy the file and what was not yet moved into it.

        Raises UsageError where it is no store, is too large, or was written by a later version.
        """
        self.path = path
        self.damage = ""
        """The first thing that SQLite found wrong; empty where nothing was."""
        self._failed = 0
        self._folder = contextlib.ExitStack()
        place = self._folder.enter_context(passing_folder())
        try:
            copy = place / "records.sqlite"
            size = sum(_copy(Path(f"{path}{end}"), Path(f"{copy}{end}"), needed=not end) for end in ("", "-wal"))
            self._left = size + RECORD_BYTES
            self._db = connect(copy)
            self._db.set_progress_handler(self._is_late, _INSTRUCTIONS)
            self._deadline = time.monotonic() + _STATEMENT_S
            self._check()
        except (*DAMAGE, OSError) as error:
            self._folder.close()
            raise UsageError(f"{path} is no store of records: {error}.") from error
        except UsageError:
            self._folder.close()
            raise

    def _check(self) -> None:
        if version_of(self._db) > STORE_VERSION:
            raise UsageError(f"{self.path} was written by a later version of this program: install that one.")
        strange = strange_object(self._db)
        if strange:
            raise UsageError(f"{self.path} is not taken as a store of records: {strange}.")
        self._db.execute("PRAGMA query_only=ON")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        self._folder.close()

    def listed(self) -> tuple[str, ...]:
        """The keys of all rows that can be come to, at most a million, sorted; some may be no keys of records."""
        found: dict[str, None] = {}
        for query in _KEYS:
            before = self._failed
            found.update(dict.fromkeys(str(key) for (key,) in self._rows(query, MOST_RECORDS)))
            if self._failed == before:
                break
        return tuple(sorted(found)[:MOST_RECORDS])

    def record(self, key: str) -> Record | None:
        """The record of a key as one that is new; None where there is none that can be read.

        Raises UsageError where the rows together are longer than the file: then they lie over one another.
        """
        if not _KEY.fullmatch(key):
            return None
        query = "SELECT record FROM records WHERE key = ? AND schema_version = ?"
        for (text,) in self._rows(query, 1, (key, SCHEMA_VERSION)):
            if not isinstance(text, str):
                return None
            self._left -= len(text)
            if self._left < 0:
                raise UsageError(f"{self.path} is damaged: its records are longer than the file.")
            try:
                record = Record.model_validate_json(text)
            except ValueError:
                return None
            return record if record.key == key else None
        return None

    def look(self) -> None:
        """Go through all pages; the first thing that is wrong stands in `damage`.

        Raises UsageError where a record was written by a later version.
        """
        if self._rows("SELECT 1 FROM records WHERE schema_version > ? LIMIT 1", 1, (SCHEMA_VERSION,)):
            raise UsageError(f"{self.path} was written by a later version of this program: install that one.")
        for (found,) in self._rows("PRAGMA integrity_check(1)", 1):
            self.damage = self.damage or ("" if found == "ok" else " ".join(str(found).split()))

    def _rows(self, query: str, most: int, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """At most so many rows, up to where the file is damaged or the time is over."""
        self._deadline = time.monotonic() + _STATEMENT_S
        rows: list[tuple[Any, ...]] = []
        try:
            cursor = self._db.execute(query, values)
            while len(rows) < most and (row := cursor.fetchone()) is not None:
                rows.append(row)
        except DAMAGE as error:
            self.damage = self.damage or str(error)
            self._failed += 1
        return rows

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline


def _copy(source: Path, target: Path, *, needed: bool) -> int:
    """Copy a plain file; its size. Raises OSError, UsageError where it is too large."""
    try:
        descriptor = open_plain(source)
    except FileNotFoundError:
        if needed:
            raise
        return 0
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if status.st_size > STORE_BYTES:
            raise UsageError(f"{source} is not taken: it is larger than {STORE_BYTES // 1024**3} GiB.")
        with target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    return status.st_size
