"""The commands that lead to the evidence: `show` tells all that is known of one cell, `open` shows the site."""

from __future__ import annotations

import sys
import webbrowser
from typing import TYPE_CHECKING

from rich.text import Text

from runner.cli.findings import fitted
from runner.cli.grid import STYLES
from runner.cli.inspect import the_cell
from runner.cli.parameters import DEFAULT_MATRIX, CellName, Format, MatrixFile, MatrixOption, Output, Seeds, options
from runner.cli.progress import observer_for_terminal
from runner.cli.show import console_for_output
from runner.errors import MachineError, UsageError
from runner.matrix.matrix_file import Matrix
from runner.outcomes.cell import OutcomeKind
from runner.reports.notation import ASCII_SYMBOLS, SYMBOLS, cell_name
from runner.reports.untrusted import stripped
from runner.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from runner.outcomes.result import CellResult, ExceptionResult, Result, TrialResult


_TRACEBACK_LINES = 12


def show(
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    seeds: Seeds = None,
    output: Output = Format.TABLE,
) -> int:
    """Tell all that is known of one cell: verdicts with their rules, exception, versions, how to reproduce it."""
    from runner.session.reporting import report_of  # noqa: PLC0415 - only here

    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(None, None, only=cell, seeds=seeds), observer) as session,
    ):
        the_cell(session)
        report = report_of(session, session.results(recorded=True))
    if output == "json":
        sys.stdout.write(report.cells[0].model_dump_json(indent=2) + "\n")
        return 0
    print_cell(report, console_for_output())
    return 0


def open_(matrix: MatrixFile = DEFAULT_MATRIX) -> int:
    """Open the published site of a matrix in the browser."""
    if not matrix.is_file():
        raise UsageError(f"{matrix} can't be read: there is no such file.")
    page = matrix.parent / "reports" / "site" / "index.html"
    if not page.is_file():
        raise UsageError(f"{page} is not there yet: `python -m runner publish {matrix}` writes it.")
    if not webbrowser.open(page.absolute().as_uri()):
        raise MachineError(f"No browser could be started here. The site is {page}: it opens from disk, in any browser.")
    sys.stdout.write(f"{page}\n")
    return 0


def print_cell(report: Result, console: Console) -> None:
    """Print the report's first cell; commands are never wrapped, so that they can be copied."""
    cell = report.cells[0]
    symbols = ASCII_SYMBOLS if console.options.ascii_only else SYMBOLS
    console.print(Text(stripped(cell_name(cell)), style="bold"), soft_wrap=True)
    console.print(Text(f"{symbols[cell.kind]} {cell.outcome}", style=STYLES[OutcomeKind(cell.kind)]))
    for title, lines in _sections(report, cell):
        found = list(lines)
        if found:
            console.print()
            console.print(Text(title, style="bold"))
        for line in found:
            is_command = line.startswith("$ ")
            for part in [f"  {line}"] if is_command else _within(line, console.width):
                console.print(Text(part), soft_wrap=is_command)


def _within(line: str, width: int) -> list[str]:
    """A line below its title; what follows its first two columns hangs below them."""
    text = line.lstrip(" ")
    indent = " " * (2 + len(line) - len(text))
    return fitted(text, width, indent=indent, hanging=f"{indent}  ", most=None)


def _sections(report: Result, cell: CellResult) -> Iterator[tuple[str, Iterator[str]]]:
    yield "Why", _why(report, cell)
    yield "Verdicts, by seed", (line for trial in cell.trials for line in _verdict(trial))
    if cell.exception is not None:
        yield "Exception", _exception(cell.exception)
    yield "Environment", _environment(report, cell)
    yield "What was changed in the script", iter(stripped(cell.diff).splitlines())
    if cell.commands is not None:
        yield "Reproduce it with this tool", (f"$ {line}" for line in cell.commands.with_runner)
        yield "Reproduce it without this tool", (f"$ {line}" for line in cell.commands.without_runner)


def _why(report: Result, cell: CellResult) -> Iterator[str]:
    yield cell.reason
    if cell.interval is not None:
        low, high = 100 * cell.interval.low, 100 * cell.interval.high
        yield f"It succeeds in {low:.0f} to {high:.0f} % of all trials (95 % interval)."
    if cell.flags:
        yield f"Noted: {', '.join(cell.flags)}."
    if cell.comparison is not None:
        yield f"Against the baseline: {cell.comparison.label}: {cell.comparison.reason}."
    if cell.expected:
        yield f"Expected: {cell.expected}; {'it is so' if cell.as_expected else 'it is not so'}."
    if report.criterion:
        yield f"Judged by: {', '.join(report.criterion)}."


def _verdict(trial: TrialResult) -> Iterator[str]:
    yield f"{trial.seed}: {trial.label}, by the rule `{trial.basis}`"
    yield f"  {trial.reason}"
    figures = {"first": trial.y0, "final": trial.final, "best": trial.best, "scale S": trial.scale}
    known = [f"{name} {value:.4g}" for name, value in figures.items() if value is not None]
    if known:
        yield f"  {trial.metric}: {', '.join(known)}; {trial.n} values judged"
    places = {
        "not finite from epoch": trial.first_non_finite_epoch,
        "not finite from step": trial.first_non_finite_step,
        "met its target in epoch": trial.first_met_epoch,
    }
    if any(place is not None for place in places.values()):
        yield f"  {', '.join(f'{name} {place}' for name, place in places.items() if place is not None)}"
    if trial.flags:
        yield f"  noted: {', '.join(trial.flags)}"


def _exception(exception: ExceptionResult) -> Iterator[str]:
    yield f"{exception.type}: {exception.message}"
    yield f"in the stage {exception.stage}{f', phase {exception.phase}' if exception.phase else ''}"
    if exception.file is not None:
        source = f": {exception.source.strip()}" if exception.source else ""
        yield f"{exception.file}, line {exception.line}{source}"
    lines = stripped(exception.traceback).splitlines()
    if len(lines) > _TRACEBACK_LINES:
        yield f"… {len(lines) - _TRACEBACK_LINES} lines of the traceback left out; `logs` has them all"
    yield from (f"  {line}" for line in lines[-_TRACEBACK_LINES:])


def _environment(report: Result, cell: CellResult) -> Iterator[str]:
    lock = report.locks.get(cell.lock)
    if cell.python or cell.engine:
        network = ", with a network" if cell.network else ""
        yield f"CPython {cell.python or 'none'} under {cell.engine or 'no engine'}{network}"
    if cell.imported:
        yield f"Really imported: {', '.join(f'{name} {version}' for name, version in cell.imported.items())}"
    if lock is None:
        yield "There is no lock."
        return
    seen = f"as of {lock.as_of}" if lock.as_of else "of any time"
    yield f"Lock {lock.name} ({cell.lock[:12]}): packages {seen}: {len(lock.packages)}"
    if cell.image:
        yield f"Image {cell.image}"


COMMANDS = (show, open_)
