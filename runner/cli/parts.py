"""The command that joins what several machines did: `merge`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from runner.cli.parameters import DEFAULT_MATRIX, MatrixOption
from runner.matrix.matrix_file import Matrix
from runner.session.merging import merge as merge_stores
from runner.trials.execution import Workplace


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE…", help="`.runner` folders, or folders with one.")],
    matrix: MatrixOption = DEFAULT_MATRIX,
) -> int:
    """Join the records, logs and artifacts of other `.runner` folders into this matrix's own."""
    folder = Matrix.load(matrix).folder.absolute()
    merged = merge_stores(Workplace(root=folder / ".runner"), stores)
    for conflict in merged.conflicts:
        sys.stderr.write(f"{conflict}.\n")
    if merged.unreadable:
        sys.stderr.write(f"{merged.unreadable} records are of another version of this tool, and were left out.\n")
    counts = f"{merged.added} records added, {merged.same} were there already, {len(merged.conflicts)} differed"
    sys.stdout.write(f"{counts}: {folder / '.runner'}\n")
    return 0


COMMANDS = (merge,)
