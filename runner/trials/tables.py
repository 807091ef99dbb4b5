"""The tables and event files that a script wrote into its working directory, read when its trial has ended.

They belong to the trial, which may have put anything in them: files are opened without following links, and their
number, their sizes and the numbers taken from them are bounded. Read is what `metrics:` names, and in small measure
what it could name, so that naming it later needs no new trial.
"""

from __future__ import annotations

import csv
import struct
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import IO, TYPE_CHECKING

from runner.matrix.metric_patterns import EVENTS, is_readable
from runner.trials.job_files import files_below, opened, opened_folder, shown_path
from runner.trials.record import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from runner.open_folder import OpenFolder


TABLE_BYTES = 4 * 1024**2
EVENT_BYTES = 256 * 1024**2
MOST_FILES = 100
MOST_COLUMNS = 200
NAMED_VALUES, OTHER_VALUES = 200_000, 20_000
"""So many numbers of one trial are kept, of the files that `metrics:` names and of others."""
_SURE = (".csv", ".tsv")
"""Files that are tables whatever is in them; others are only with several columns."""
_HEADER_CHARACTERS = 20_000
_LONGEST_NAME = 200
_NO_METRIC = frozenset({"", "epoch", "epochs"})
"""Names of columns that count rows."""


Snapshot = dict[str, int]
"""The files of a working directory, with the time of their last change."""


def snapshot(work: Path) -> Snapshot:
    """The files below a folder that could be tables, as they are now."""
    with opened_folder(work) as root:
        return {} if root is None else dict(_changes(root))


def read_tables(work: Path, before: Mapping[str, int], globs: Sequence[str]) -> dict[str, Table]:
    """The tables below `work` that are new or changed since `before`, by their path; those that `globs` name first."""
    found: dict[str, Table] = {}
    with opened_folder(work) as root:
        if root is None:
            return {}
        written = [path for path, changed in _changes(root) if before.get(path) != changed]
        sized = sorted((not named(path, globs), _size(root, path), path) for path in written)
        rooms = {False: NAMED_VALUES, True: OTHER_VALUES}
        for other, _, path in sized[:MOST_FILES]:
            table = _read(root, path, rooms[other])
            if table is not None:
                rooms[other] -= _numbers(table)
                found[path] = table
    return {shown_path(path): found[path] for path in sorted(found)}


def named(path: str, globs: Sequence[str]) -> bool:
    """True where one of the globs means a path: itself, by its stars, or a folder that it is in."""
    return any(
        fnmatchcase(path, form) or path.startswith(f"{form}/") or fnmatchcase(path, f"{form}/*")
        for glob in globs
        for form in {glob, glob.replace("**/", "")}
    )


def _changes(root: OpenFolder) -> Iterator[tuple[str, int]]:
    for path in files_below(root):
        if is_readable(path.rpartition("/")[2]):
            try:
                yield path, root.status(path).st_mtime_ns
            except (OSError, ValueError):
                continue


def _size(root: OpenFolder, path: str) -> int:
    try:
        return root.status(path).st_size
    except (OSError, ValueError):
        return 0


def _read(root: OpenFolder, path: str, room: int) -> Table | None:
    stream = opened(root, path)
    if stream is None:
        return None
    with stream:
        if EVENTS in path.rpartition("/")[2]:
            return _of_events(stream, room)
        return _of_text(stream, room, least=1 if path.lower().endswith(_SURE) else 2)


def _numbers(table: Table) -> int:
    return sum(map(len, table.columns.values()))


def _too_many(room: int) -> Table:
    return Table(problem=f"it holds more than the {room:,} numbers that were still kept of this trial")


def _of_events(stream: IO[bytes], room: int) -> Table | None:
    columns: dict[str, list[float | None]] = {}
    for count, (tag, value) in enumerate(scalars(stream, EVENT_BYTES)):
        if count >= room:
            return _too_many(room)
        if tag in columns or len(columns) < MOST_COLUMNS:
            columns.setdefault(tag[:_LONGEST_NAME], []).append(value)
    return Table(columns={tag: tuple(values) for tag, values in columns.items()}) if columns else None


def _of_text(stream: IO[bytes], room: int, *, least: int) -> Table | None:
    """The columns of a file with a line of names; None where it looks like no table of numbers, of `least` columns."""
    data = stream.read(TABLE_BYTES + 1)
    lines = data[:TABLE_BYTES].decode("utf-8-sig", "replace").replace("\0", "").splitlines()
    layout = _layout(next((line for line in lines if line.strip()), ""))
    if layout is None or len(layout.names) < least:
        return None
    if len(data) > TABLE_BYTES:
        return Table(problem=f"it is larger than {TABLE_BYTES // 1024**2} MB")
    columns: dict[str, list[float | None]] = {name: [] for name in layout.names if name.lower() not in _NO_METRIC}
    most = room // max(1, len(columns))
    rows = csv.reader(lines, delimiter=layout.delimiter, skipinitialspace=True)
    try:
        values = [row for row in islice(rows, most + 2) if any(cell.strip() for cell in row)][1:]
    except csv.Error:
        return None
    for row in values:
        for name, cell in zip(layout.names, row + [""] * len(layout.names), strict=False):
            if name in columns:
                columns[name].append(_number(cell))
    kept = {name: tuple(column) for name, column in columns.items() if any(value is not None for value in column)}
    if len(values) > most and kept:
        return _too_many(room)
    return Table(columns=kept) if kept else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True)
class _Layout:
    names: tuple[str, ...]
    delimiter: str


def _layout(header: str) -> _Layout | None:
    """Names and delimiter of a first line; None where it can't be a line of names."""
    header = header[:_HEADER_CHARACTERS].lstrip("# ")
    delimiter = max(",;\t", key=header.count)
    try:
        names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return None
    names = [name.strip()[:_LONGEST_NAME] for name in names]
    words = [name for name in names if name]
    if not words or len(names) > MOST_COLUMNS or any(_number(name) is not None for name in words):
        return None
    return _Layout(names=tuple(names), delimiter=delimiter)


LONGEST_EVENT = 64 * 1024
"""Bytes of an event; longer ones hold graphs, images and histograms."""
MOST_EVENTS = 1_000_000
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_FIELDS_OF_ONE = 10_000
_SUMMARY, _VALUE, _TAG, _SIMPLE_VALUE, _TENSOR = 5, 1, 1, 2, 8
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
_NUMBERS = {1: ("f", 5), 2: ("d", 6)}
"""Of a float and of a double: how one is packed, and the field that holds several."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def scalars(stream: IO[bytes], limit_bytes: int) -> Iterator[tuple[str, float]]:
    """Tag and value of every scalar in the first `limit_bytes` of a file, in the order in which they were written."""
    left = limit_bytes
    for _ in range(MOST_EVENTS):
        header = stream.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return
        (length,) = struct.unpack_from("<Q", header)
        left -= length + _HEADER_BYTES + _FOOTER_BYTES
        if left < 0:
            return
        if length > LONGEST_EVENT:
            stream.seek(length + _FOOTER_BYTES, 1)
            continue
        event = stream.read(length)
        stream.read(_FOOTER_BYTES)
        try:
            yield from _of_event(event)
        except (ValueError, struct.error):
            return


def _of_event(event: bytes) -> Iterator[tuple[str, float]]:
    for number, summary in _fields(event):
        if number != _SUMMARY or not isinstance(summary, bytes):
            continue
        for field, value in _fields(summary):
            found = _scalar(value) if field == _VALUE and isinstance(value, bytes) else None
            if found is not None:
                yield found


def _scalar(value: bytes) -> tuple[str, float] | None:
    fields = dict(_fields(value))
    tag, simple, tensor = fields.get(_TAG), fields.get(_SIMPLE_VALUE), fields.get(_TENSOR)
    if not isinstance(tag, bytes):
        return None
    number = simple if isinstance(simple, float) else _of_tensor(tensor) if isinstance(tensor, bytes) else None
    return None if number is None else (tag.decode("utf-8", "replace"), number)


def _of_tensor(tensor: bytes) -> float | None:
    """The number of a tensor that holds a single one."""
    fields = dict(_fields(tensor))
    dtype, shape, content = fields.get(_DTYPE), fields.get(_SHAPE), fields.get(_CONTENT)
    form, several = _NUMBERS.get(dtype, ("", 0)) if isinstance(dtype, int) else ("", 0)
    if not form or shape:
        return None
    data = content if isinstance(content, bytes) else fields.get(several)
    if isinstance(data, float):
        return data
    if isinstance(data, bytes) and len(data) == struct.calcsize(f"<{form}"):
        return float(struct.unpack(f"<{form}", data)[0])
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of a message's fields. Raises ValueError or struct.error where it is none."""
    return islice(_all_fields(message), _FIELDS_OF_ONE)


def _all_fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif kind == _FIXED64:
            yield number, struct.unpack_from("<d", message, place)[0]
            place += 8
        elif kind == _FIXED32:
            yield number, struct.unpack_from("<f", message, place)[0]
            place += 4
        elif kind == _BYTES:
            length, place = _varint(message, place)
            if length > len(message) - place:
                raise ValueError("a field is longer than its message")
            yield number, message[place : place + length]
            place += length
        else:
            raise ValueError("no such kind of field")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without an end")
