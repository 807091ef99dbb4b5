"""The scalars in an event file of TensorBoard: its records' framing and the few fields of its messages that matter.

An event file belongs to the trial: every length in it may be a lie. Checksums are not looked at, messages longer than a
scalar's are skipped, and the first thing that does not fit ends the reading; what was read until then is kept.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
