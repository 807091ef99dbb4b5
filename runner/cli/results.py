"""Prints what a matrix came to: the table, what cells were compared with, and the failures by their reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from runner.cli.show import console_for_output, print_records
from runner.cli.words import cell_words
from runner.outcomes import text
from runner.outcomes.cell import OutcomeKind
from runner.outcomes.saying import short_scripts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.matrix.model import Cell
    from runner.outcomes import FailureGroup, Row, Verdict
    from runner.outcomes.tally import Trial
    from runner.session import Results
    from runner.trials.record import Record

STYLES = {
    OutcomeKind.GOOD: "green",
    OutcomeKind.BAD: "red",
    OutcomeKind.UNDECIDED: "yellow",
    OutcomeKind.UNTESTABLE: "magenta",
}
_REASON_COLUMNS = 20
_FIGURES = {"converged": 1, "final loss": 3, "s/epoch": 4, "CPython": 6}
"""Columns by their place in `text.figures`."""
_MOST_REASONS = 10
_MOST_NAMES = 4


def print_results(results: Results, output: str) -> None:
    """Print the table of a matrix; for people, what is not green comes first and expectations that failed come last."""
    rows = results.rows()
    if output != "table":
        sys.stdout.write({"json": text.json, "csv": text.csv, "markdown": text.markdown}[output](rows))
        for line in (results.complaint, *map(str, results.misses)):
            sys.stderr.write(f"{line}\n" if line else "")
        return
    console = console_for_output()
    if results.complaint:
        console.print(Text(results.complaint, style="bold red"))
    console.print(_outcome_table(rows, console.width))
    for line in _below(results):
        console.print(Text(line, style="dim"))
    for miss in results.misses:
        console.print(Text(str(miss), style="bold red"))


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


def _below(results: Results) -> Iterator[str]:
    """What is said under the table."""
    yield from _failure_lines(results)
    judged = results.judged
    if judged.position is not None:
        names = [",".join(f"{axis}={value}" for axis, value in judged.outcomes[judged.position].cell.items())]
        yield f"Compared with {names[0]}: {judged.reason}."
    elif len(judged.outcomes) > 1:
        yield f"Cells are not compared: {judged.reason}."
    if judged.control is not None:
        yield f"Control: {judged.control}."
    executed = f"{results.executed} trials ran now, " if results.executed else ""
    stored = sum(outcome.n_trials for outcome in results.outcomes)
    yield f"{len(results.cells)} cells, {executed}{stored} trials stored."


def _failure_lines(results: Results) -> Iterator[str]:
    """The reasons that more than one cell shares, or that leave a cell's line short."""
    failures = results.failures
    if not failures or len(results.cells) < 2:
        return
    yield "Failures, by reason:"
    for failure in failures[:_MOST_REASONS]:
        yield f"  {_count(failure)}  {failure.reason}"
        yield f"           {_names(failure, results)}"
    if len(failures) > _MOST_REASONS:
        yield f"  and {len(failures) - _MOST_REASONS} more reasons"


def _count(failure: FailureGroup) -> str:
    return f"{len(failure.cells)} cell{'' if len(failure.cells) == 1 else 's'}".ljust(8)


def _names(failure: FailureGroup, results: Results) -> str:
    failed = {id(outcome) for outcome in failure.cells}
    cells = [cell for cell, outcome in zip(results.cells, results.outcomes, strict=True) if id(outcome) in failed]
    names = "; ".join(cell_words(cell, results.cells) for cell in cells[:_MOST_NAMES])
    return f"{names}; and {len(cells) - _MOST_NAMES} more" if len(cells) > _MOST_NAMES else names


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
    if any(row.compared for row in rows):
        columns["compared"] = [row.compared.label if row.compared else "" for row in rows]
    columns["why"] = [_why(row) for row in rows]
    for name in ("CPython", "s/epoch", "compared", "final loss"):
        if name in columns and _width(columns) > width:
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
