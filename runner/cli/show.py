"""Prints what commands found: tables for people on standard output, JSON for programs; never more than asked for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.cli.words import short_scripts
from runner.outcomes import text
from runner.outcomes.cell import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.outcomes import Row
    from runner.session import Results
    from runner.session.plan import Plan

STYLES = {
    OutcomeKind.GOOD: "green",
    OutcomeKind.BAD: "red",
    OutcomeKind.UNDECIDED: "yellow",
    OutcomeKind.UNTESTABLE: "magenta",
}
_PIPE_COLUMNS = 200
_REASON_COLUMNS = 20
_FIGURES = {"converged": 1, "final loss": 3, "s/epoch": 4, "CPython": 6}
"""Columns by their place in `text.figures`."""


def print_results(results: Results, output: str) -> None:
    """Print the table of a matrix; for people, what is not green comes first and expectations that failed come last."""
    rows = results.rows()
    if output != "table":
        sys.stdout.write({"json": text.json, "csv": text.csv, "markdown": text.markdown}[output](rows))
        for line in (results.complaint, *map(str, results.misses)):
            sys.stderr.write(f"{line}\n" if line else "")
        return
    console = _console()
    if results.complaint:
        console.print(Text(results.complaint, style="bold red"))
    console.print(_outcome_table(rows, console.width))
    executed = f"{results.executed} trials ran now, " if results.executed else ""
    stored = sum(outcome.n_trials for outcome in results.outcomes)
    console.print(Text(f"{len(rows)} cells, {executed}{stored} trials stored.", style="dim"))
    for miss in results.misses:
        console.print(Text(str(miss), style="bold red"))


def print_plan(plan: Plan, output: str) -> None:
    """Print what a run would do."""
    records = [
        {
            "cell": cell.cell.name,
            "environment": cell.environment,
            "lock": cell.lock.digest[:12] if cell.lock else "to resolve",
            "CPython": cell.lock.python if cell.lock else "",
            "image": "ready" if cell.image else "to make",
            "finished": cell.finished,
            "to run": f"{cell.wanted}+" if cell.wanted else "0",
        }
        for cell in plan.cells
    ]
    print_records(records, output)
    if output == "table":
        words = f"{plan.to_lock} environments to lock, {plan.to_build} to make, {plan.wanted} trials to run at least"
        _console().print(
            Text(
                f"{len(plan.cells)} cells under {plan.engine.value}: {plan.finished} trials finished, {words}.",
                style="dim",
            )
        )


def print_records(records: Sequence[Mapping[str, str | int]], output: str) -> None:
    """Print records that share their keys."""
    if output == "json":
        sys.stdout.write(json.dumps(records, indent=2, ensure_ascii=False) + "\n")
        return
    if not records:
        sys.stdout.write("There is nothing.\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in records[0]:
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(Text(str(value)) for value in record.values()))
    _console().print(table)


def _outcome_table(rows: Sequence[Row], width: int) -> Table:
    """The outcomes by the axes that vary; where `width` is too small for all, the least needed columns go."""
    axes = list(dict.fromkeys(axis for row in rows for axis in row.cell))
    varied = [axis for axis in axes if len({row.cell.get(axis) for row in rows}) > 1] or axes
    columns = {axis: [row.cell.get(axis, "") for row in rows] for axis in varied}
    if "script" in columns:
        columns["script"] = [short_scripts(columns["script"])[path] for path in columns["script"]]
    figures = [text.figures(row) for row in rows]
    columns["outcome"] = [row.outcome for row in rows]
    for name, place in _FIGURES.items():
        columns[name] = [row_figures[place] for row_figures in figures]
    columns["why"] = [_why(row) for row in rows]
    for name in ("CPython", "s/epoch", "final loss"):
        if _width(columns) > width:
            del columns[name]
    left = max(_REASON_COLUMNS, width - _width({name: words for name, words in columns.items() if name != "why"}) - 1)
    columns["why"] = [why if len(why) <= left else f"{why[: left - 1]}…" for why in columns["why"]]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row, *line in zip(rows, *columns.values(), strict=True):
        style = STYLES[OutcomeKind(row.kind)]
        table.add_row(
            *(Text(word, style=style if name == "outcome" else "") for name, word in zip(columns, line, strict=True))
        )
    return table


def _why(row: Row) -> str:
    """What made a cell what it is, in a line."""
    why = row.exception or (" ".join(row.flags) if row.kind == OutcomeKind.GOOD else row.reason)
    return " ".join(why.split())


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    return sum(_needed(name, columns) + 2 for name in columns)


def _needed(name: str, columns: Mapping[str, Sequence[str]]) -> int:
    """The width that a column needs; reasons may be cut to a few words."""
    needed = max(len(name), *(len(word) for word in columns[name]))
    return min(needed, _REASON_COLUMNS) if name == "why" else needed


def _console() -> Console:
    """Standard output; as wide as the terminal, or wide enough that a pipe loses nothing."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_COLUMNS)
