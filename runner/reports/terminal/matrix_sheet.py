"""A whole result on the terminal: its table, the compact matrix, and below them changes, failures and the baseline."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runner.outcomes.layout import dimensions_of
from runner.outcomes.ranges import cells_in_words, short_scripts
from runner.plurals import counted
from runner.reports.markdown import table_lines
from runner.reports.notation import cause, cell_name, convergence, distinct_name, figure, final_figure
from runner.reports.spreadsheet import csv_lines, json_rows, readable
from runner.reports.terminal.console import STYLES, fitted, output_console, print_lines, print_records, write_json
from runner.reports.terminal.grid import grid_lines
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from runner.outcomes.result import CellResult, Result, TrialResult


MOST_LINES = 30
"""Of cells one by one; of more, the compact matrix says more."""
_FEWEST_DRAWN = 6
"""Of fewer cells the table is as compact as the matrix."""
_REASON_COLUMNS = 20
_MOST_REASONS = 10
_MOST_CHANGES = 10
_MOST_NAMES = 4
_FORMATS = {"json": json_rows, "csv": csv_lines, "markdown": table_lines}


def print_result(
    result: Result, output: str, *, wide: bool = False, executed: int = 0, missed: Sequence[str] = ()
) -> None:
    """Print a result in a format; for people, a complaint comes first and the expectations that failed come last.

    `executed` trials ran for it just now; `missed` has a line for each expectation that failed.
    """
    if output != "table":
        for text in _FORMATS[output](result):
            (write_json if output == "json" else sys.stdout.write)(text)
        for line in (result.complaint, *missed):
            sys.stderr.write(f"{line}\n" if line else "")
        return
    console = output_console()
    if result.complaint:
        console.print(Text(result.complaint, style="bold red"))
    few = outcome_table(result, console.width) if len(result.cells) <= MOST_LINES and not wide else None
    if wide:
        for text in wide_lines(result):
            sys.stdout.write(text)
    elif few is not None:
        console.print(few)
    _print_findings(result, console, executed, listed=wide or few is not None)
    for line in missed:
        console.print(Text(one_line(line), style="bold red"))


def print_verdicts(result: Result, output: str, *, missed: Sequence[str] = ()) -> None:
    """Print the verdict of every trial with what explains it; for people, the table of the cells after it."""
    print_records([_verdict(cell, trial) for cell in result.told_cells() for trial in cell.trials], output)
    if output == "table":
        print_result(result, output, missed=missed)


def _print_findings(result: Result, console: Console, executed: int, *, listed: bool) -> None:
    """Print the compact matrix and what is below it; `listed`: every cell has been printed already."""
    if not listed or len(result.cells) >= _FEWEST_DRAWN:
        for drawn in grid_lines(result, console.width, ascii_only=console.options.ascii_only):
            console.print(drawn)
    console.print()
    print_lines(console, result.sentences, "bold")
    for line in (*_change_lines(result, console.width), *_failure_lines(result, console.width)):
        console.print(Text(line, style="dim"))
    print_lines(console, _footer(result, executed, listed=listed), "dim")
    print_lines(console, result.advice, "bold")


# -- the table -------------------------------------------------------------------------------------------------------


def wide_lines(result: Result) -> Iterator[str]:
    """All columns and nothing cut, aligned, however wide that is."""
    widths = [0] * len(next(readable(result)))
    for line in readable(result):
        widths = [max(size, cell_len(one_line(text))) for text, size in zip(line, widths, strict=True)]
    for line in readable(result):
        texts = map(one_line, line)
        padded = (text + " " * (size - cell_len(text)) for text, size in zip(texts, widths, strict=True))
        yield "  ".join(padded).rstrip() + "\n"


def outcome_table(result: Result, width: int) -> Table | None:
    """The outcomes by the axes that vary; where `width` is too small, the least needed columns go.

    None where it is too small for what a table must have.
    """
    columns = _columns(result, width)
    if _width(columns) > width:
        return None
    left = max(_REASON_COLUMNS, width - _width({name: column for name, column in columns.items() if name != "why"}) - 1)
    columns["why"] = [why if len(why) <= left else f"{why[: left - 1]}…" for why in columns["why"]]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for cell, *line in zip(result.cells, *columns.values(), strict=True):
        table.add_row(
            *(
                Text(text, style=STYLES[cell.kind] if name == "outcome" else "")
                for name, text in zip(columns, line, strict=True)
            )
        )
    return table


def _columns(result: Result, width: int) -> dict[str, list[str]]:
    """The columns that fit, by their heads: the axes that vary, then the figures."""
    axes = [axis.name for axis in result.axes]
    values = [cell.values for cell in result.cells]
    varied = [axis for axis in axes if len({one.get(axis) for one in values}) > 1] or axes
    columns = {axis: [one.get(axis, "") for one in values] for axis in varied}
    if "script" in columns:
        columns["script"] = [short_scripts(columns["script"])[path] for path in columns["script"]]
    columns |= _figures(result)
    independent = {dimension.name for dimension in dimensions_of([cell.cell_id for cell in result.cells])} or set(axes)
    moving = [axis for axis in varied if axis not in independent]
    for name in ("CPython", "s/epoch", "compared", f"final {result.metric}", *moving):
        if name in columns and _width(columns) > width:
            del columns[name]
    return columns


def _figures(result: Result) -> dict[str, list[str]]:
    """The columns behind the axes."""
    cells = result.cells
    compared = [cell.comparison.label if cell.comparison else "" for cell in cells]
    return {
        "outcome": [cell.told for cell in cells],
        "converged": list(map(convergence, cells)),
        f"final {result.metric}": list(map(final_figure, cells)),
        "s/epoch": [figure(cell.epoch_s) for cell in cells],
        "CPython": [cell.python for cell in cells],
        **({"compared": compared} if any(compared) else {}),
        "why": list(map(cause, cells)),
    }


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    return sum(_needed(name, columns) + 2 for name in columns)


def _needed(name: str, columns: Mapping[str, Sequence[str]]) -> int:
    """The width that a column needs; reasons may be cut to a few words."""
    needed = max(len(name), *(len(text) for text in columns[name]))
    return min(needed, _REASON_COLUMNS) if name == "why" else needed


# -- below the matrix ------------------------------------------------------------------------------------------------


def _change_lines(result: Result, width: int) -> Iterator[str]:
    """The steps that change an outcome, those that most cells share first."""
    cells = {cell.id: cell for cell in result.cells}
    steps: dict[str, list[CellResult]] = {}
    moving: dict[str, list[str]] = {}
    for change in result.changes:
        before, after = cells[change.before], cells[change.after]
        axes = [axis for axis, value in after.values.items() if before.values.get(axis) != value]
        axes.sort(key=lambda axis: axis != change.axis)
        moved = ", ".join(f"{axis} {before.values.get(axis, 'none')} → {after.values[axis]}" for axis in axes)
        step = f"{moved}: {before.outcome} → {after.outcome}"
        steps.setdefault(step, []).append(after)
        moving[step] = axes
    if not steps:
        return
    yield "Where the outcome changes:"
    ranked = sorted(steps.items(), key=lambda one: -len(one[1]))
    for step, found in ranked[:_MOST_CHANGES]:
        yield from _entry(step, found, result, width, without=moving[step])
    if len(ranked) > _MOST_CHANGES:
        yield f"  and {len(ranked) - _MOST_CHANGES} more steps"


def _failure_lines(result: Result, width: int) -> Iterator[str]:
    """The reasons that more than one cell shares, or that leave a cell's line short."""
    if not result.failures:
        return
    yield "Failures, by reason:"
    for failure in result.failures[:_MOST_REASONS]:
        ids = set(failure.cells)
        yield from _entry(failure.reason, [cell for cell in result.cells if cell.id in ids], result, width)
        yield from fitted(failure.advice, width, indent=" " * 12, most=None)
    if len(result.failures) > _MOST_REASONS:
        yield f"  and {len(result.failures) - _MOST_REASONS} more reasons"


def _entry(
    text: str, cells: Sequence[CellResult], result: Result, width: int, *, without: Sequence[str] = ()
) -> Iterator[str]:
    """The number of cells, what they share, and the first of them by what tells them apart."""
    among = [cell.values for cell in result.cells]
    independent = {one.name for one in dimensions_of([cell.cell_id for cell in result.cells], result.base)}
    left_out = {axis for cell in cells[:_MOST_NAMES] for axis in cell.values if axis not in independent}
    yield from fitted(text, width, indent=f"  {cells_in_words(len(cells)).ljust(9)} ", hanging=" " * 12)
    names = [distinct_name(cell.values, among, without={*left_out, *without}) for cell in cells[:_MOST_NAMES]]
    shown = "; ".join(name for name in names if name)
    more = f"; and {len(cells) - _MOST_NAMES} more" if shown and len(cells) > _MOST_NAMES else ""
    yield from fitted(f"{shown}{more}", width, indent=" " * 12, most=None)


def _footer(result: Result, executed: int, *, listed: bool) -> Iterator[str]:
    """The baseline, the control, how many trials there are; `listed`: every cell had a line."""
    baseline = next((cell for cell in result.cells if cell.id == result.baseline), None)
    if result.baseline:
        name = cell_name(baseline) if baseline else "a cell that is not selected here"
        yield f"Compared with {name}: {result.baseline_reason}."
    elif len(result.cells) > 1 and result.baseline_reason:
        yield f"Cells are not compared: {result.baseline_reason}."
    if result.control:
        yield f"Control: {result.control}."
    yield from result.times
    ran_now = f"{counted(executed, 'trial')} ran now, " if executed else ""
    stored = counted(sum(cell.seeds for cell in result.cells), "trial")
    yield f"{counted(len(result.cells), 'cell')}, {ran_now}{stored} stored."
    if not listed:
        yield "`table --wide` has a line for each cell, `show CELL` all that is known of one."


# -- verdicts --------------------------------------------------------------------------------------------------------


def _verdict(cell: CellResult, trial: TrialResult) -> dict[str, str | int]:
    """All that docs/verdicts.md asks of the report of a trial; figures that are not known are empty."""
    figures = {"y0": trial.y0, "final": trial.final, "best": trial.best, "S": trial.scale}
    places = {
        "epoch not finite": trial.first_non_finite_epoch,
        "step not finite": trial.first_non_finite_step,
        "epoch met": trial.first_met_epoch,
    }
    return {
        "cell": cell_name(cell),
        "seed": trial.seed,
        "label": trial.label,
        "basis": trial.basis,
        "metric": trial.metric,
        **{name: figure(value, 4) for name, value in figures.items()},
        "n": trial.n,
        **{name: "" if value is None else value for name, value in places.items()},
        "flags": " ".join(trial.flags),
        "reason": trial.reason,
    }
