r"""The section `metrics:`: where a trial's further metrics are found, in its output and in the files that it writes.

Patterns are RE2: they take a time that grows with the text and no faster, whatever pattern and text are, since what a
trial prints may be meant to do harm. `compiled` gives one with the number of the group that holds the value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runner.matrix.mistakes import quoted
from runner.matrix.model import Metrics
from runner.matrix.nodes import Text
from runner.matrix.shapes import Key, MappingOf, OneOrMore, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.matrix.mistakes import Mistakes
    from runner.matrix.shapes import Shape

FROM = "from"
"""The key of the files; no metric has this name."""
TABLES = (".csv", ".tsv", ".txt", ".log")
"""The endings of files that are read as comma-separated values."""
EVENTS = "tfevents"
"""What is in the name of every event file of TensorBoard."""
MOST_PATTERNS = 50
_MEMORY_BYTES = 1024**2
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*")
_EXAMPLE = r"such as test_accuracy: 'Test accuracy: (\S+)'"
_BACKTRACKING = re.compile(r"\(\?<?[=!]|\\[1-9]|\(\?P=")

MetricSources = dict[Text, Text | tuple[Text, ...]]
"""The section as it is written: a pattern by the name of its metric; globs of files under `from`."""
METRICS: Shape[MetricSources] = MappingOf(
    known={
        FROM: Key(
            shape=OneOrMore(Scalar({"type": "string", "examples": ["logs/*.csv", "runs/"]})),
            description="Globs of the files that the script writes metrics to, relative to its working directory: "
            "tables with a line of names (as CSVLogger writes them) and event files of TensorBoard.",
        )
    },
    others=Key(
        shape=Scalar({"type": "string", "examples": ["Test accuracy: (\\S+)"]}, "a regular expression with one group"),
        description="A regular expression (RE2) whose group finds the value in a line of the output; it is a series "
        "where it matches several times.",
    ),
    names="^[A-Za-z_][A-Za-z0-9_./]*$",
)


@dataclass(frozen=True, kw_only=True)
class MetricPattern:
    """A compiled pattern; it is searched for in bytes, which are UTF-8."""

    regex: Any
    group: int
    """The group that holds the value."""


def read_metrics(section: MetricSources, mistakes: Mistakes) -> Metrics:
    """The patterns by the names of their metrics, and the globs of files; what can't be read is noted."""
    patterns: list[tuple[str, str]] = []
    globs: list[str] = []
    for name, value in section.items():
        if isinstance(value, Text):
            patterns += _pattern(name, value, mistakes)
        else:
            globs += _globs(value, mistakes)
    if len(patterns) > MOST_PATTERNS:
        place = next(iter(section)).position
        mistakes.add(place, f"these are {len(patterns)} patterns, and a matrix may have {MOST_PATTERNS}")
    return Metrics(patterns=tuple(patterns), files=tuple(globs))


def _pattern(name: Text, text: Text, mistakes: Mistakes) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(name):
        hint = f"letters, digits, _ . and /; the key {FROM} names files"
        mistakes.add(name.position, f"{quoted(name)} is not a name of a metric", hint)
        return
    try:
        compiled(text)
    except PatternError as error:
        mistakes.add(text.at(error.offset), f"the pattern of {name}: {error}", error.hint)
        return
    yield str(name), str(text)


class PatternError(ValueError):
    """A pattern can't be used; `offset` is the place in its text."""

    def __init__(self, message: str, *, offset: int = 0, hint: str = _EXAMPLE) -> None:
        self.offset = offset
        self.hint = hint
        super().__init__(message)


@cache
def compiled(text: str) -> MetricPattern:
    """A pattern that can be searched for. Raises PatternError where RE2 refuses it, or no group holds the value."""
    import re2  # noqa: PLC0415 - a matrix without patterns needs none

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        regex = re2.compile(text.encode(), options)
    except re2.error as error:
        raise _refusal(text, error) from None
    if named := regex.groupindex.get(b"value"):
        return MetricPattern(regex=regex, group=named)
    if not regex.groups:
        raise PatternError("no group says where the value is", hint=f"put brackets around it, {_EXAMPLE}")
    if regex.groups > 1:
        raise PatternError(f"it has {regex.groups} groups", hint="name the one of the value: (?P<value>…)")
    return MetricPattern(regex=regex, group=1)


def _refusal(text: str, error: Exception) -> PatternError:
    """What RE2 says of a pattern: `missing ): (a`, the part that it means at the end."""
    said = error.args[0] if error.args else ""
    what, _, part = (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).partition(": ")
    offset = max(0, text.find(part)) if part else 0
    if backtracking := _BACKTRACKING.search(text):
        hint = "patterns are RE2, which has no look-around and no back references: it can't be slowed down by a log"
        return PatternError(f"{backtracking[0]} is not possible", offset=backtracking.start(), hint=hint)
    return PatternError(f"it is no regular expression: {what}{f' {quoted(part)}' if part else ''}", offset=offset)


def _globs(texts: tuple[Text, ...], mistakes: Mistakes) -> Iterator[str]:
    for text in texts:
        path = PurePosixPath(text)
        if not path.parts or path.is_absolute() or ".." in path.parts or text.startswith("~"):
            message = f"the files {quoted(text)} are not inside the working directory of a trial"
            mistakes.add(text.position, message, "name them relative to it, such as logs/*.csv or runs/")
        elif path.suffix and not re.search(r"[*?\]]", path.suffix) and not is_readable(path.name):
            message = f"metrics are not read from {quoted(text)}"
            hint = f"read are tables ({' '.join(TABLES)}), the event files of TensorBoard, and what is in a folder/"
            mistakes.add(text.position, message, hint)
        else:
            yield path.as_posix()


def is_readable(name: str) -> bool:
    """True where a file of this name is one that metrics are read from."""
    return name.lower().endswith(TABLES) or EVENTS in name
