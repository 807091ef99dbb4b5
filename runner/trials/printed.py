"""The values that patterns find in what a trial printed, read from its log line by line.

A log belongs to the trial, which may have written anything: it is read up to a limit, its lines are shortened, and the
patterns are RE2, whose time grows with the text alone. A line is what a terminal shows of it at the end: of a progress
bar that was drawn again and again its last state, without colours.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from runner.matrix.metric_patterns import compiled
from runner.trials.record import Printed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOG_BYTES = 64 * 1024**2
"""More than an engine ever keeps of a log."""
LINE_BYTES = 4096
MOST_LINES = 300_000
"""Of those that are not blank."""
MOST_VALUES = 100_000
"""Of one pattern."""

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_LEFT_OUT = re.compile(rb"\[\.\.\. \d+ bytes left out \.\.\.\]")
_OPENED = re.compile(r"(?:[A-Za-z_][\w.]*)?[(\[{<]")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_NON_FINITE = re.compile(r"[-+]?(?:nan|inf(?:inity)?)(?![A-Za-z0-9_])", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])", re.ASCII)
_GOES_ON = re.compile(r"[\w:/]|[.,-]\w")
_LONGEST_NUMBER = 400


def search_log(log: Path, patterns: Iterable[str]) -> dict[str, Printed]:
    """The values of each pattern in a log; nothing at all where it can't be read.

    A pattern takes its first match of a line.
    """
    searched = {text: (compiled(text), _Values()) for text in patterns}
    if not searched:
        return {}
    try:
        with log.open("rb") as stream:
            data = stream.read(LOG_BYTES)
    except OSError:
        return {}
    cut = 0
    for number, line in enumerate(islice(shown_lines(data), MOST_LINES), 1):
        cut = number if _LEFT_OUT.fullmatch(line) else cut
        for pattern, values in searched.values():
            match = pattern.regex.search(line)
            if match is not None:
                values.take(number, (match[pattern.group] or b"").decode("utf-8", "replace"))
    return {text: values.printed(cut) for text, (_, values) in searched.items()}


def shown_lines(data: bytes) -> Iterator[bytes]:
    """The lines of an output that are not blank, as a terminal shows them in the end, each of at most 4,096 bytes."""
    for raw in filter(None, data.split(b"\n")):
        states = raw.replace(b"\x08", b"\r").split(b"\r") if b"\r" in raw or b"\x08" in raw else [raw]
        line = next((state for state in reversed(states) if state and not state.isspace()), b"")[: 2 * LINE_BYTES]
        line = _ESCAPE.sub(b"", line)[:LINE_BYTES] if b"\x1b" in line else line[:LINE_BYTES]
        if line:
            yield line


def number_of(text: str) -> float | None:
    """The number that a printed text begins with: 0.93, 1e-3, 1,234.5, nan, -inf; None where it begins with none.

    Brackets and a type's name before it are left out (`tf.Tensor(0.93,`), as is a mark after it. Of 93.1% it is 93.1.
    """
    text = text.strip()[:_LONGEST_NUMBER]
    while found := _OPENED.match(text):
        text = text[found.end() :]
    text = text.lstrip("'\"$ ")
    if match := _NON_FINITE.match(text):
        return float(match[0])
    match = _THOUSANDS.match(text) or _NUMBER.match(text)
    if match is None or _GOES_ON.match(text, match.end()):
        return None
    return float(match[0].replace(",", ""))


class _Values:
    """The values of one pattern so far."""

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._values: list[float] = []
        self._other = ""

    def take(self, line: int, text: str) -> None:
        value = number_of(text)
        if value is None:
            self._other = self._other or text[:80]
        elif len(self._values) < MOST_VALUES:
            self._lines.append(line)
            self._values.append(value)

    def printed(self, cut: int) -> Printed:
        return Printed(lines=tuple(self._lines), values=tuple(self._values), other=self._other, cut=cut)
