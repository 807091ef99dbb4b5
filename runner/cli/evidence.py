"""The commands that lead to the evidence: `show` tells all that is known of one cell, `open` shows the site."""

from __future__ import annotations

import sys
import webbrowser

import typer  # noqa: TC002 - typer reads it

from runner.cli.parameters import (
    DEFAULT_MATRIX,
    CellName,
    Format,
    MatrixFile,
    MatrixOption,
    Output,
    Seeds,
    opened,
    options,
)
from runner.errors import MachineError, UsageError
from runner.reports.terminal.cell_sheet import print_cell
from runner.reports.terminal.console import output_console


def show(
    context: typer.Context,
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    seeds: Seeds = None,
    output: Output = Format.TABLE,
) -> int:
    """Tell all that is known of one cell: verdicts with their rules, exception, versions, how to reproduce it."""
    with opened(context, matrix, options(None, None, only=cell, seeds=seeds)) as session:
        session.only_cell()
        report = session.results(recorded=True).result
    if output == "json":
        sys.stdout.write(report.cells[0].model_dump_json(indent=2) + "\n")
        return 0
    print_cell(report, output_console())
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


COMMANDS = (show, open_)
