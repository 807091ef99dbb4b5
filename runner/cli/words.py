"""How cells, durations, sizes and verdicts read on a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runner.outcomes.ranges import short_scripts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from runner.matrix.model import Cell
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record

_LONGEST_EXCEPTION = 100


def cell_words(cell: Cell, among: Sequence[Cell], *, without: Collection[str] = ()) -> str:
    """A cell by the values in which the cells differ, shortened where that leaves them apart; by no axis `without`."""
    varied = [axis for axis in cell.values if len({other.values.get(axis) for other in among}) > 1]
    scripts = short_scripts([other.values.get("script", "") for other in among])
    shown = {**cell.values, "script": scripts.get(cell.values.get("script", ""), "")}
    words = " ".join(shown[axis] for axis in varied if axis not in without)
    return words if words or without else cell.name


def verdict_words(record: Record, verdict: Verdict) -> str:
    """A trial's verdict with the figure or the exception behind it."""
    if record.exception and not verdict.n:
        text = f"{record.exception.type}: {record.exception.message}".partition("\n")[0]
        return f"{verdict.label} ({text[:_LONGEST_EXCEPTION]})"
    if record.message:
        return f"{verdict.label} ({record.message.partition(chr(10))[0][:_LONGEST_EXCEPTION]})"
    if verdict.end is not None:
        return f"{verdict.label} ({verdict.metric} {verdict.end:.3g})"
    return str(verdict.label)


def duration_words(seconds: float) -> str:
    """`4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def date_words(when: datetime | None) -> str:
    """`2019-02-27` for the end of that day, up to which was seen; `any time` where all was seen."""
    return "any time" if when is None else f"{when - timedelta(seconds=1):%Y-%m-%d}"


def size_words(size_bytes: float) -> str:
    """`512 B`, `20.4 MB`, `1.2 GB`; decimal units."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"
