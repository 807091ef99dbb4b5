"""The metrics that a script printed or wrote itself: found in a trial's log, then read from its record.

A log belongs to the trial, which may have written anything: it is read up to a limit, its lines are shortened, and the
patterns are RE2, whose time grows with the text alone. A line is what a terminal shows of it at the end: of a progress
bar that was drawn again and again its last state, without colours.

Then a record is read as `metrics:` of its matrix says: what the output and the files held stands in it. A metric that
is found here counts in place of one of the same name that Keras reported.
"""

from __future__ import annotations

import posixpath
import re
from itertools import islice
from typing import IO, TYPE_CHECKING

from runner.matrix.metric_patterns import EVENTS, compiled
from runner.trials.record import PRINTED_PHASE, Epoch, Printed
from runner.trials.tables import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.matrix.model import Metrics
    from runner.trials.record import Record, Stage, Table


LOG_BYTES = 64 * 1024**2
"""More than an engine ever keeps of a log."""
LINE_BYTES = 4096
_PIECE_BYTES = 64 * 1024
MOST_LINES = 300_000
"""Of those that are not blank."""
MOST_VALUES = 100_000
"""Of one pattern: of more, the first ones and the last."""

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
    cut = 0
    try:
        with log.open("rb") as stream:
            for number, line in enumerate(islice(shown_lines(_raw_lines(stream)), MOST_LINES), 1):
                cut = number if _LEFT_OUT.fullmatch(line) else cut
                for pattern, values in searched.values():
                    match = pattern.regex.search(line)
                    if match is not None:
                        values.take(number, (match[pattern.group] or b"").decode("utf-8", "replace"))
    except OSError:
        return {}
    return {text: values.printed(cut) for text, (_, values) in searched.items()}


def _raw_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of the first 64 MiB of a log; of a long one what a terminal would show in the end, or its head."""
    line, left = b"", LOG_BYTES
    while left > 0 and (piece := stream.readline(min(_PIECE_BYTES, left))):
        left -= len(piece)
        line += piece
        if line.endswith(b"\n"):
            yield line[:-1]
            line = b""
        elif len(line) > 2 * _PIECE_BYTES:
            line = line[-_PIECE_BYTES:] if b"\r" in line or b"\x08" in line else line[:_PIECE_BYTES]
    yield line


def shown_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of an output that are not blank, as a terminal shows them in the end, each of at most 4,096 bytes."""
    for raw in filter(None, lines):
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
        else:
            if len(self._values) >= MOST_VALUES:  # the last one says how it ended
                self._lines.pop()
                self._values.pop()
            self._lines.append(line)
            self._values.append(value)

    def printed(self, cut: int) -> Printed:
        return Printed(lines=tuple(self._lines), values=tuple(self._values), other=self._other, cut=cut)


_UNREAD = Printed(problem="the log of this trial is gone, so run it again")
_UNSURE = Printed(problem="the script printed more than a log keeps, and output was left out after its last value")
FILE_PHASE = "file:"
"""Begins the phase of the epochs that come from a file."""
_TIME = re.compile(r"\d{6}|\d\d[-_.:]\d\d[-_.:]\d\d")


def read_with(record: Record, metrics: Metrics) -> Record:
    """The record with the metrics that are looked for: phases of its own, after those that the probe saw."""
    if not (metrics.patterns or metrics.files or record.printed) or not record.ran:
        return record
    printed = {pattern: record.printed.get(pattern, _UNREAD) for _, pattern in metrics.patterns}
    if record.log_truncated:
        printed = {pattern: _UNSURE if _is_unsure(one) else one for pattern, one in printed.items()}
    found = (*_from_files(record, metrics), *_from_output(printed, metrics))
    names = {name for epoch in found for name in epoch.logs}
    error = record.exception
    trained: Stage = "training" if error is None else error.training_stage
    stage = trained if found and record.stage in {"import", "build-model"} else record.stage
    if error is not None and stage != record.stage:
        error = error.model_copy(update={"stage": stage})
    epochs = (*_others(record, names), *found)
    return record.model_copy(update={"epochs": epochs, "stage": stage, "exception": error, "printed": printed})


def _others(record: Record, names: set[str]) -> Iterator[Epoch]:
    """The epochs that were reported, without what is found elsewhere."""
    for epoch in record.epochs:
        if epoch.phase == PRINTED_PHASE or epoch.phase.startswith(FILE_PHASE):
            continue
        if names.isdisjoint(epoch.logs):
            yield epoch
        else:
            kept = {name: value for name, value in epoch.logs.items() if name not in names}
            yield epoch.model_copy(update={"logs": kept})


def _is_unsure(printed: Printed) -> bool:
    """True where output was left out after the last value: that may not be the last one."""
    return printed.cut > 0 and (not printed.lines or printed.lines[-1] < printed.cut)


def _from_output(found_by: Mapping[str, Printed], metrics: Metrics) -> Iterator[Epoch]:
    """What was printed, in the order of the lines: an epoch ends where a metric comes again."""
    found = sorted(
        (line, order, name, value)
        for order, (name, pattern) in enumerate(metrics.patterns)
        if (printed := found_by.get(pattern)) is not None
        for line, value in zip(printed.lines, printed.values, strict=False)
    )
    epochs: list[dict[str, float]] = []
    for _, _, name, value in found:
        if not epochs or name in epochs[-1]:
            epochs.append({})
        epochs[-1][name] = value
    for number, logs in enumerate(epochs, 1):
        yield Epoch(phase=PRINTED_PHASE, epoch=number, logs=logs)


def _from_files(record: Record, metrics: Metrics) -> Iterator[Epoch]:
    """A phase for each table, and for the event files of each folder; where there are several, names say which."""
    tables: dict[str, list[Table]] = {}
    events: dict[str, list[Table]] = {}
    for path, table in record.tables.items():
        if named(path, metrics.files) and table.columns:
            if EVENTS in posixpath.basename(path):
                events.setdefault(posixpath.dirname(path), []).append(table)
            else:
                tables.setdefault(posixpath.splitext(path)[0], []).append(table)
    for ending, groups in (("", tables), ("/", events)):
        prefixes = _prefixes(tuple(groups))
        for group, own in groups.items():
            yield from _epochs(f"{FILE_PHASE}{group}{ending}", prefixes[group], _joined(own))


def _epochs(phase: str, prefix: str, columns: Mapping[str, tuple[float | None, ...]]) -> Iterator[Epoch]:
    for number in range(max(map(len, columns.values()))):
        logs = {
            metric_name(f"{prefix}{name}"): value
            for name, values in columns.items()
            if number < len(values) and (value := values[number]) is not None
        }
        yield Epoch(phase=phase, epoch=number + 1, logs=logs)


def _joined(tables: list[Table]) -> Mapping[str, tuple[float | None, ...]]:
    columns: dict[str, tuple[float | None, ...]] = {}
    for table in tables:
        for name, values in table.columns.items():
            columns[name] = (*columns.get(name, ()), *values)
    return columns


def _prefixes(groups: tuple[str, ...]) -> dict[str, str]:
    """What is before the names of each group: nothing for a single one, else its path without what all share.

    A folder that is named after a time has another name in every trial: its number is taken in its place.
    """
    split = [group.split("/") for group in groups]
    shared = 0
    while len(split) > 1 and len({tuple(parts[: shared + 1]) for parts in split}) == 1:
        shared += 1
    if len(split) == 1:
        return {groups[0]: ""}
    times = sorted({part for parts in split for part in parts[shared:] if _TIME.search(part)})
    numbers = {part: str(number) for number, part in enumerate(times, 1)}
    own = ["/".join(numbers.get(part, part) for part in parts[shared:]) for parts in split]
    return {group: f"{rest}/" if rest else "" for group, rest in zip(groups, own, strict=True)}


def metric_name(text: str) -> str:
    """A column or tag as a criterion can name it."""
    name = re.sub(r"[^A-Za-z0-9_./]", "_", text)
    return f"_{name}" if not name or not re.match(r"[A-Za-z_]", name) else name
