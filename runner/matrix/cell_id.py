"""The identity of a cell: its typed axis values, built once where they are read, printed once where they are shown.

It travels in place of names, digests and dictionaries: hashable, ordered as a reader expects (2.9 before 2.10).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import total_ordering
from typing import TYPE_CHECKING, overload

from runner.matrix.axes import AxisKind, axis_kind, same_value
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHARACTERS = re.compile(r"\\.|.", re.DOTALL)
"""The characters of a printed id; one with a backslash before it stays in one piece with that."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_AXIS = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_AMBIGUOUS = re.compile(rf",{_AXIS.pattern}=", re.ASCII)
"""A comma in a value that would be read as the beginning of the next axis."""

_MOST_SHOWN = 6
"""So many values of a cell are shown in a line of progress."""


def _escaped(value: str) -> str:
    """A value as it is printed: only what would be read otherwise has backslashes."""
    plain = value.replace("\\", "\\\\")
    return plain.replace(",", "\\,") if _AMBIGUOUS.search(plain) else plain


def _parts(text: str) -> list[str]:
    """A printed id between its commas, without those that have a backslash."""
    parts = [""]
    for character in _CHARACTERS.findall(text):
        if character == ",":
            parts.append("")
        else:
            parts[-1] += character
    return parts


@total_ordering
@dataclass(frozen=True, eq=False, slots=True)
class CellId:
    """The (axis, value) pairs of one cell in the order of the matrix's axes; values are canonical text.

    Two ids are equal where they have the same values, whatever the order of the axes.
    """

    pairs: tuple[tuple[str, str], ...]
    _hash: int = field(init=False, repr=False)
    """A number, as there may be a hundred thousand cells; what is asked seldom is made anew each time."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(frozenset(self.pairs)))

    def __reduce__(self) -> tuple[type[CellId], tuple[tuple[tuple[str, str], ...]]]:
        """The id by its values: in another process their hash is another one."""
        return CellId, (self.pairs,)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> CellId:
        """The id of a cell with these axis values."""
        return cls(tuple(values.items()))

    @classmethod
    def parse(cls, text: str) -> CellId:
        """The id that `str` printed; raises ValueError for text that names no axis and value.

        A comma belongs to the value before it unless `axis=` follows, or where a backslash stands before it.
        """
        pairs: list[tuple[str, str]] = []
        for part in _parts(text):
            axis, sign, value = part.partition("=")
            if sign and _AXIS.fullmatch(axis):
                pairs.append((axis, value))
            elif pairs:
                pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{part}")
            else:
                raise ValueError(f"{text!r} names no axis and value: write it like keras=2.2.4")
        return cls(tuple((axis, _ESCAPED.sub(r"\1", value)) for axis, value in pairs))

    @property
    def values(self) -> Mapping[str, str]:
        """Axis name to value, in the order of the matrix's axes."""
        return dict(self.pairs)

    @property
    def digest(self) -> str:
        """The first 12 hex digits of the SHA-256 of the axis values: the cell's name in files and addresses."""
        text = json.dumps([list(pair) for pair in self.pairs], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @overload
    def get(self, axis: str, default: str) -> str: ...

    @overload
    def get(self, axis: str, default: str | None = None) -> str | None: ...

    def get(self, axis: str, default: str | None = None) -> str | None:
        """The value of an axis; `default` where the cell has no such axis."""
        for name, value in self.pairs:
            if name == axis:
                return value
        return default

    def matches(self, partial: Mapping[str, str]) -> bool:
        """True where every value that `partial` names is this cell's; a package's 2.16 is its 2.16.0."""
        own = self.values
        return all(axis in own and same_value(axis, own[axis], value) for axis, value in partial.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CellId) or self._hash != other._hash:
            return False
        return self.pairs == other.pairs or frozenset(self.pairs) == frozenset(other.pairs)

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: CellId) -> bool:
        return self != other and tuple(self._sortable()) < tuple(other._sortable())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __str__(self) -> str:
        return ",".join([f"{axis}={_escaped(value)}" for axis, value in self.pairs])

    @property
    def brief(self) -> str:
        """The text with the first values only where there are many, as where packages are pinned one by one."""
        if len(self.pairs) <= _MOST_SHOWN:
            return str(self)
        return f"{CellId(self.pairs[: _MOST_SHOWN - 1])} and {len(self.pairs) - _MOST_SHOWN + 1} more"

    def _sortable(self) -> Iterator[tuple[str, int, object]]:
        for axis, value in self.pairs:
            version = parsed(value) if axis_kind(axis) in {AxisKind.PACKAGE, AxisKind.PYTHON} else None
            yield (axis, 0, version) if version is not None else (axis, 1, value)
