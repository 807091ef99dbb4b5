"""A finished trial as it leaves this program, with its series: what the training reported, column by column.

The names of series and files that a trial made up pass through `SafeNames` before another program takes them for paths.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING

from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.matrix.cell_id import CellId
    from runner.trials.record import Record

    _Value = tuple[tuple["SeriesKind", str, str], int, float, float]
    """Kind, phase and metric; step, value, and the seconds since the start."""

OF_PROBE = ("time_s", "learning_rate", "weight_norm", "update_norm", "rss_bytes")
"""What the probe saw of an epoch beside the metrics."""


@dataclass(frozen=True, kw_only=True)
class ExportedTrial:
    """One trial with what it came to, and where its log and its artifacts lie."""

    cell: CellId
    record: Record
    label: str
    reason: str
    outcome: str
    """That of its cell; empty where it is not known yet."""
    log: Path
    artifacts: Path

    @property
    def started_s(self) -> float:
        """The moment at which it began, in seconds since 1970."""
        return datetime.fromisoformat(self.record.started_at).timestamp()

    @property
    def name(self) -> str:
        """Cell and seed in one line."""
        return one_line(f"{self.cell} seed {self.record.seed}", _LONGEST_LINE)

    def axes(self) -> dict[str, str]:
        """The cell's values by axis, then `seed`; an axis of that name has another one here."""
        values = {("seed_axis" if name == "seed" else one_line(name)): one_line(value) for name, value in self.cell}
        return {**values, "seed": str(self.record.seed)}


_LONGEST_LINE = 300
_LONGEST_S = 1e9


class SeriesKind(enum.StrEnum):
    """Where the values of a series are from."""

    EPOCH = "epoch"
    PROBE = "probe"
    """What the probe saw beside the metrics: seconds, learning rate, norms, memory."""
    STEP = "step"
    EVALUATION = "evaluation"
    TABLE = "table"
    """A column of a file that the script wrote, as it stands there."""


@dataclass(frozen=True, kw_only=True)
class ExportedSeries:
    """The values of one metric in one phase; `steps` are the numbers of their epochs, calls, steps or rows."""

    kind: SeriesKind
    phase: str
    metric: str
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    """Seconds from the start of the trial, as far as the epochs tell."""

    @property
    def path(self) -> str:
        """Its name where a name is all there is: `fit-1/loss`, `probe/fit-1/learning_rate`."""
        name = f"{self.phase}/{self.metric}"
        return name if self.kind is SeriesKind.EPOCH else f"{self.kind}/{name}"


def series_of(record: Record) -> list[ExportedSeries]:
    """All series of a record but the tables, in the order in which they began; thinned epochs keep their numbers."""
    found: dict[tuple[SeriesKind, str, str], ExportedSeries] = {}
    for (kind, phase, metric), step, value, at_s in chain(_of_epochs(record), _of_steps(record), _of_calls(record)):
        series = found.get((kind, phase, metric))
        if series is None:
            series = found[kind, phase, metric] = ExportedSeries(kind=kind, phase=phase, metric=metric)
        series.steps.append(step)
        series.values.append(value)
        series.times_s.append(at_s)
    return list(found.values())


def bounded_s(seconds: float) -> float:
    """Seconds as a moment can be made of them, whatever the script, or the record of another store, says."""
    return min(max(0.0, seconds), _LONGEST_S)


def _of_epochs(record: Record) -> Iterator[_Value]:
    at_s = 0.0
    for epoch in record.epochs:
        at_s = bounded_s(at_s + (epoch.time_s or 0.0))
        for metric, value in epoch.logs.items():
            yield (SeriesKind.EPOCH, epoch.phase, metric), epoch.epoch, value, at_s
        for metric in OF_PROBE:
            if (seen := getattr(epoch, metric)) is not None:
                yield (SeriesKind.PROBE, epoch.phase, metric), epoch.epoch, float(seen), at_s


def _of_steps(record: Record) -> Iterator[_Value]:
    for phase, losses in record.steps.items():
        for number, loss in enumerate(losses, 1):
            yield (SeriesKind.STEP, phase, "loss"), number, loss, 0.0


def _of_calls(record: Record) -> Iterator[_Value]:
    for call in record.evaluations:
        phase = f"{call.process}:{call.kind}" if call.process else call.kind
        for metric, value in call.logs.items():
            yield (SeriesKind.EVALUATION, phase, metric), call.number, value, bounded_s(record.duration_s)


def tables_of(record: Record) -> Iterator[ExportedSeries]:
    """The columns of the files that the script wrote; `phase` is the file, `steps` count its rows from 1."""
    for path, table in record.tables.items():
        for name, column in table.columns.items():
            rows = [(row, value) for row, value in enumerate(column, 1) if value is not None]
            yield ExportedSeries(
                kind=SeriesKind.TABLE,
                phase=path,
                metric=name,
                steps=[row for row, _ in rows],
                values=[value for _, value in rows],
                times_s=[bounded_s(record.duration_s)] * len(rows),
            )


_PART_BYTES, _DEEPEST = 60, 4
_UNSAFE = re.compile(r"[^\w.\- ]")


class SafeNames:
    """Names that can be paths anywhere, each given once; none is a folder of another one."""

    def __init__(self) -> None:
        """None is given yet."""
        self._given: set[str] = set()
        self._folders: set[str] = set()

    def of(self, text: str) -> str:
        """A new name for a text: its parts between `/` with `_` for what is no letter, digit, `.`, `-` or space.

        The last 4 parts are kept, of each 60 bytes; where the name is given already, a number follows.
        """
        parts = [part for part in map(safe_part, text.split("/")) if part][-_DEEPEST:] or ["_"]
        path = ""
        for part in parts[:-1]:
            path = self._free(f"{path}{part}", self._given) + "/"
            self._folders.add(path[:-1])
        name = self._free(f"{path}{parts[-1]}", self._given | self._folders)
        self._given.add(name)
        return name

    @staticmethod
    def _free(name: str, taken: set[str]) -> str:
        """The name, with a number where it is taken."""
        return next(one for one in chain([name], (f"{name}-{number}" for number in count(2))) if one not in taken)


def safe_part(text: str) -> str:
    """A text as the name of one file; empty where nothing of it stays."""
    safe = _UNSAFE.sub("_", one_line(text)).strip(" ")
    safe = safe.encode()[:_PART_BYTES].decode("utf-8", "ignore").strip(" ")
    return "_" * len(safe) if set(safe) == {"."} else safe
