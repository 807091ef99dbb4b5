"""Prints what a matrix came to: the table, the compact matrix, and what is to be said of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.text import Text

from runner.cli.findings import below, fitted, shared
from runner.cli.grid import grid_lines
from runner.cli.show import console_for_output, print_records
from runner.cli.table import outcome_table, wide_table
from runner.outcomes import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from runner.matrix.model import Cell
    from runner.outcomes.tally import Trial
    from runner.outcomes.verdict import Verdict
    from runner.session.results import Results
    from runner.trials.record import Record

MOST_LINES = 30
"""Of cells one by one; of more, the compact matrix says more."""
_FEWEST_DRAWN = 6
"""Of fewer cells the table is as compact as the matrix."""


def print_results(results: Results, output: str, *, wide: bool = False) -> None:
    """Print what a matrix came to; for people, what is not green comes first and expectations that failed come last."""
    if output != "table":
        sys.stdout.write({"json": text.json, "csv": text.csv, "markdown": text.markdown}[output](results.rows()))
        for said in (results.complaint, *map(str, results.misses)):
            sys.stderr.write(f"{said}\n" if said else "")
        return
    console = console_for_output()
    if results.complaint:
        console.print(Text(results.complaint, style="bold red"))
    few = outcome_table(results.rows(), console.width) if len(results.cells) <= MOST_LINES and not wide else None
    if wide:
        sys.stdout.write(wide_table(results.rows()))
    elif few is not None:
        console.print(few)
    _print_findings(results, console, listed=wide or few is not None)
    for miss in results.misses:
        console.print(Text(str(miss), style="bold red"))


def _print_findings(results: Results, console: Console, *, listed: bool) -> None:
    """Print the compact matrix and what is to be said; `listed`: every cell has been printed already."""
    width = console.width
    if not listed or len(results.cells) >= _FEWEST_DRAWN:
        ascii_only, base = console.options.ascii_only, results.matrix.base.name
        for drawn in grid_lines(results.by_id, base=base, width=width, ascii_only=ascii_only):
            console.print(drawn)
    console.print()
    _print_prose(console, results.sentences, "bold")
    for line in shared(results, width):
        console.print(Text(line, style="dim"))
    _print_prose(console, below(results, listed=listed), "dim")


def _print_prose(console: Console, said: Iterable[str], style: str) -> None:
    for whole in said:
        for line in fitted(whole, console.width, most=None):
            console.print(Text(line, style=style))


def print_verdicts(results: Results, output: str) -> None:
    """Print the verdict of every trial with what explains it; for people, the table of the cells after it."""
    print_records([_verdict(cell, *trial) for cell, trial in _trials(results)], output)
    if output == "table":
        print_results(results, output)


def _trials(results: Results) -> Iterator[tuple[Cell, Trial]]:
    for cell, outcome in zip(results.cells, results.outcomes, strict=True):
        for trial in outcome.trials:
            yield cell, trial


def _verdict(cell: Cell, record: Record, verdict: Verdict) -> dict[str, str | int]:
    """All that VERDICTS.md asks of the report of a trial; figures that are not known are empty."""
    figures = {"y0": verdict.y0, "final": verdict.final, "best": verdict.best, "S": verdict.scale}
    places = {
        "epoch not finite": verdict.first_non_finite_epoch,
        "step not finite": verdict.first_non_finite_step,
        "epoch met": verdict.first_met_epoch,
    }
    return {
        "cell": cell.name,
        "seed": record.seed,
        "label": verdict.label.value,
        "basis": verdict.basis.value,
        "metric": verdict.metric,
        **{name: "" if value is None else f"{value:.4g}" for name, value in figures.items()},
        "n": verdict.n,
        **{name: "" if value is None else value for name, value in places.items()},
        "flags": " ".join(verdict.flags),
        "reason": verdict.reason,
    }
