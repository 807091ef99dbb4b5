"""`results.json` as a file: written and read a cell at a time, so that a large one is never in memory as a whole.

A result that is opened reads the trials of a cell again when the cell is told; one that is read has them all in memory.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from runner.errors import UsageError
from runner.outcomes.result import SCHEMA_VERSION, CellResult, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PART = 1024**2
"""So many bytes are read at once; more where one value is longer."""
_CELLS = "cells"
_SPACES = " \t\r\n"
_DECODER = json.JSONDecoder(strict=False)


def as_json(report: Result) -> str:
    """The text of `results.json`."""
    return "".join(json_parts(report, report.told_cells()))


def json_parts(report: Result, told: Iterable[CellResult]) -> Iterator[str]:
    """The text of `results.json` in parts, with the cells as they are `told`.

    Values that are the defaults are left out, the version of the schema never is.
    """
    names = list(Result.model_fields)
    place = names.index(_CELLS)
    before = report.model_dump_json(exclude_defaults=True, include=set(names[:place]))
    after = report.model_dump_json(exclude_defaults=True, include=set(names[place + 1 :]))
    yield f'{{"schema_version":{SCHEMA_VERSION},{before[1:-1]},"{_CELLS}":['
    comma = ""
    for cell in told:
        yield f"{comma}{cell.model_dump_json(exclude_defaults=True)}"
        comma = ","
    yield "]}\n" if after == "{}" else f"],{after[1:]}\n"


def read_result(path: Path) -> Result:
    """What a `results.json` of this or an older version holds. Raises UsageError where it can't be read or is none."""
    return opened_result(path).in_full()


def opened_result(path: Path) -> Result:
    """The same, whose cells are read again, each with its trials, when they are told; the file must stay until then."""
    try:
        try:
            return _opened(path)
        except ValueError:  # whatever is wrong with it, its model knows best how to say that
            return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path} is not a report that this version can read: {place or 'the whole'}: {first['msg']}."
            " `publish` writes one; one of a newer version needs that version."
        ) from error


def _opened(path: Path) -> Result:
    """Raises ValueError where this is no such file, or not one that can be read a value at a time."""
    cells: list[CellResult] = []
    places: dict[str, tuple[int, int]] = {}
    others = []
    with path.open("rb") as stream:
        text = _JsonText(stream)
        for name in text.names():
            if name != _CELLS:
                others.append(f"{json.dumps(name)}:".encode() + text.value()[1])
                continue
            for start, value in text.items():
                cell = CellResult.model_validate_json(value)
                if cell.id in places:
                    raise ValueError(cell.id)
                places[cell.id] = (start, len(value))
                cells.append(cell.brief())
        text.end()
        then = _state(stream)
    others.append(b'"cells":[]')
    report = Result.model_validate_json(b"{" + b",".join(others) + b"}")
    return report.telling(tuple(cells), _FileCells(path, places, then).told)


def _state(stream: BinaryIO) -> tuple[int, int]:
    """The size and time of an open file: another one has others."""
    found = os.fstat(stream.fileno())
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _FileCells:
    """The cells of a file, by where they are in it."""

    path: Path
    places: dict[str, tuple[int, int]]
    then: tuple[int, int]
    """The state of the file when it was opened."""

    def told(self, brief: CellResult) -> CellResult:
        """A cell as the file has it. Raises UsageError where the file is another one by now."""
        start, size = self.places[brief.id]
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                return CellResult.model_validate_json(stream.read(size) if _state(stream) == self.then else b"")
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path} was changed or removed while it was read. Do that once more.") from error


@dataclass
class _JsonText:
    """The text of a JSON object in a file, of which only the value that is being read is in memory.

    A character stands for a byte, so that places in the text are those in the file; what a value means is read from
    its bytes. Every method raises ValueError where the text is not as it must be.
    """

    stream: BinaryIO
    text: str = ""
    at: int = 0
    """The place of what comes next in the text."""
    start: int = 0
    """The place in the file of the text's first character."""

    def names(self) -> Iterator[str]:
        """The names of the object's members; whoever takes one reads its value before the next."""
        self._take("{")
        sign = ","
        while sign == ",":
            name, _ = self.value()
            self._take(":")
            yield str(name)
            sign = self._take(",}")

    def items(self) -> Iterator[tuple[int, bytes]]:
        """The members of an array, each with its place in the file."""
        self._take("[")
        if self._next() == "]":
            self._take("]")
            return
        sign = ","
        while sign == ",":
            self._next()
            place = self.start + self.at
            yield place, self.value()[1]
            sign = self._take(",]")

    def value(self) -> tuple[object, bytes]:
        """The next value, with its bytes."""
        self._next()
        size = _PART
        while True:
            try:
                found, end = _DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if not self._more(size):
                    raise ValueError(self.start + self.at) from error
            else:
                if end < len(self.text) or not self._more(size):  # else a number may go on
                    value = self.text[self.at : end].encode("latin-1")
                    self.at = end
                    return found, value
            size *= 2

    def end(self) -> None:
        """Nothing follows but space."""
        if self._next():
            raise ValueError(self.start + self.at)

    def _take(self, signs: str) -> str:
        """Take the next character, which must be one of these."""
        sign = self._next()
        if not sign or sign not in signs:
            raise ValueError(self.start + self.at)
        self.at += 1
        return sign

    def _next(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACES:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more(_PART):
                return ""

    def _more(self, size: int) -> bool:
        """Read on; what was taken is let go. False at the end of the file."""
        found = self.stream.read(size).decode("latin-1")
        self.text, self.start, self.at = self.text[self.at :] + found, self.start + self.at, 0
        return bool(found)
