"""The signs and short forms that every output shares: symbols, names of cells, figures, durations, sizes and days.

Takes values of the result and gives text for people; what a script wrote in them has gone through `untrusted`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runner.matrix.cell_id import CellId
from runner.outcomes.ranges import short_scripts
from runner.outcomes.tally import LEFT_OUT
from runner.outcomes.verdict import Label
from runner.plurals import counted
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from runner.outcomes.result import CellResult, NeighbourChange, Result


SYMBOLS = {"good": "✓", "bad": "✗", "undecided": "?", "untestable": "⊘"}
"""One character for each kind of outcome, so that colour is never the only sign; in the order in which kinds stand."""
ASCII_SYMBOLS = {"good": "+", "bad": "x", "undecided": "?", "untestable": "-"}
"""For terminals whose encoding lacks the others."""
ANSWER_KINDS = {
    "good": "good",
    "bad": "bad",
    "ambiguous": "undecided",
    "untestable": "untestable",
    "untold": "undecided",
}
"""The kind of outcome whose symbol and colour an answer in an account has."""
_NAMES_OF_NUMBERS = {"nan": "NaN", "inf": "∞", "-inf": "-∞"}
MOST_TRIALS = 200
"""Trials of a cell that its page lists and draws one by one."""


def cell_name(cell: CellResult) -> str:
    """The cell as `--only` takes it."""
    return str(CellId.of(cell.values))


def distinct_name(
    values: Mapping[str, str], among: Sequence[Mapping[str, str]], *, without: Collection[str] = ()
) -> str:
    """A cell by the values in which the cells differ, scripts as short as tells them apart; by no axis of `without`."""
    varied = [axis for axis in values if len({other.get(axis) for other in among}) > 1]
    scripts = short_scripts([other.get("script", "") for other in among])
    shown = {**values, "script": scripts.get(values.get("script", ""), "")}
    name = " ".join(shown[axis] for axis in varied if axis not in without)
    return name if name or without else str(CellId.of(values))


def cause(cell: CellResult, longest: int = 0) -> str:
    """The cause of a cell's outcome in a line: its exception, else the reason; for a good cell its flags."""
    if cell.exception is not None:
        return one_line(f"{cell.exception.type}: {cell.exception.message}", longest)
    return one_line(" ".join(cell.flags) if cell.kind == "good" else cell.reason, longest)


def final_figure(cell: CellResult, digits: int = 3) -> str:
    """The final value of the judged metric: NaN where that is what the cell came to, whatever its last number was."""
    return figure(float("nan") if cell.outcome.reason is Label.NAN else cell.final, digits)


def convergence(cell: CellResult) -> str:
    """Converged out of counted trials: `3/4`; empty where none counts."""
    return f"{cell.converged}/{cell.counted}" if cell.counted else ""


def interval(cell: CellResult, dash: str = "-") -> str:
    """The 95 % interval of the share that converges: `40-100 %`; empty where there is none."""
    between = cell.interval
    return "" if between is None else f"{100 * between.low:.0f}{dash}{100 * between.high:.0f} %"


def change_columns(cells: Mapping[str, CellResult], change: NeighbourChange) -> tuple[str, str, str]:
    """The values that stay the same, the step along the axis, both outcomes; empty where a cell is missing.

    `cells` are those of the result by their ids.
    """
    before, after = cells.get(change.before), cells.get(change.after)
    if before is None or after is None:
        return "", "", ""
    same = ", ".join(f"{axis} {value}" for axis, value in after.values.items() if before.values.get(axis) == value)
    steps = (before.values.get(change.axis, "none"), after.values.get(change.axis, "none"))
    return same, f"{change.axis} {steps[0]} → {steps[1]}", f"{before.outcome} → {after.outcome}"


def kind_counts(result: Result) -> dict[str, int]:
    """The number of cells of each kind, in the order of `SYMBOLS`, without those that were left out."""
    return {kind: sum(cell.kind == kind and LEFT_OUT not in cell.flags for cell in result.cells) for kind in SYMBOLS}


def summary(result: Result) -> str:
    """The cells by kind, in a line: `12 of 15 cells converge, 1 fails, 2 can't run`."""
    kinds = kind_counts(result)
    chosen = sum(kinds.values())
    verb = "converges" if chosen == 1 else "converge"
    parts = [f"{kinds['good']} of {counted(chosen, 'cell')} {verb}"]
    parts += [f"{kinds['bad']} fail{'s' if kinds['bad'] == 1 else ''}"] if kinds["bad"] else []
    parts += [f"{kinds['undecided']} undecided"] if kinds["undecided"] else []
    parts += [f"{kinds['untestable']} can't run"] if kinds["untestable"] else []
    left_out = len(result.cells) - chosen
    parts += [f"{left_out} not chosen and not run"] if left_out else []
    return ", ".join(parts)


def figure(value: float | None, digits: int = 3) -> str:
    """A figure with so many digits; an empty text where there is none."""
    if value is None:
        return ""
    named = _NAMES_OF_NUMBERS.get(str(value))
    return named or f"{value:.{digits}g}"


def epoch_time(value_s: float | None) -> str:
    """The time of an epoch or of a trial with three digits: `320 ms`, `4.2 s`, `3.1 min`; empty where there is none."""
    if value_s is None:
        return ""
    if value_s >= 120:
        return f"{value_s / 60:.3g} min"
    return f"{value_s:.3g} s" if value_s >= 1 else f"{value_s * 1000:.3g} ms"


def duration(seconds: float) -> str:
    """An elapsed time: `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(size_bytes: float | None) -> str:
    """`512 B`, `20.4 MB`, `1.2 GB`, in decimal units; empty where there is none."""
    if size_bytes is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def minute(moment: str) -> str:
    """A moment in ISO 8601 to the minute."""
    return moment[:16].replace("T", " ")


def last_day(until: datetime | None) -> str:
    """The last day before a moment, up to which an index was seen: `2019-02-27`; `any time` where all was seen."""
    return "any time" if until is None else f"{until - timedelta(seconds=1):%Y-%m-%d}"
