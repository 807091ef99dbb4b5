"""The log of one job on disk: takes the output as it comes, and never grows past its limit.

The file exists from the start and grows live, so it can be followed. Where the output is longer than the limit, the
head and the newest part stay and the middle goes, in the file itself: a killed runner leaves a whole log too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_LINE_SEARCHED = 4096


class LogFile:
    """A file for one writer; it never holds more than `limit_bytes` and one line that says what is missing."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._file = path.open("w+b", buffering=0)
        self._limit = limit_bytes
        self._head = limit_bytes // 2
        self._size = 0
        self._note = b""
        self._left_out = 0

    @property
    def truncated(self) -> bool:
        """Whether anything was left out."""
        return self._left_out > 0

    def write(self, data: bytes) -> None:
        """Append output; all of it is on its way to the disk when this returns.

        Raises OSError where the disk is full.
        """
        while data:
            room = self._limit + len(self._note) - self._size
            taken, data = data[:room], data[room:]
            self._append(taken)
            if data:
                self._leave_out_middle()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self._size += written
            view = view[written:]

    def _leave_out_middle(self) -> None:
        """Make room: of what stands behind the head, only the newest quarter of the limit stays."""
        behind_head = self._head + len(self._note)
        keep = max(0, min(self._limit // 4, self._size - behind_head))
        self._file.seek(self._size - keep)
        tail = _from_line_start(self._file.read(keep) or b"")
        self._left_out += self._size - behind_head - len(tail)
        self._note = b"\n[... %d bytes left out ...]\n" % self._left_out
        self._file.truncate(self._head)
        self._file.seek(self._head)
        self._size = self._head
        self._append(self._note + tail)


def _from_line_start(data: bytes) -> bytes:
    """Return the data without the rest of the line that it begins in; all of it where no line ends nearby."""
    end = data.find(b"\n", 0, _LONGEST_LINE_SEARCHED)
    return data[end + 1 :]
