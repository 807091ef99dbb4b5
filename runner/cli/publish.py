"""The commands for results of several machines and readers: `publish` writes the report site, `merge` joins records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import DEFAULT_MATRIX, Base, Engine, MatrixFile, MatrixOption, Only, Seeds, opened, options
from runner.matrix.matrix_file import Matrix
from runner.session.merging import merge as merge_stores
from runner.trials.execution import Workplace

if TYPE_CHECKING:
    from runner.reports.site import Written
    from runner.session.options import Options


Source = Annotated[
    Path | None, typer.Option("--from", metavar="RESULTS", help="Of this results.json alone; no matrix is read.")
]
To = Annotated[
    Path | None, typer.Option("--to", metavar="FOLDER", help="Where; else reports/site beside the matrix, or ./site.")
]


def publish(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    source: Source = None,
    to: To = None,
) -> int:
    """Write the report site of the stored trials, a folder that opens from disk; nothing is run."""
    chosen = options(engine, base, only=only, seeds=seeds)
    written = (
        _from_results(source, to) if source else _from_matrix(context, matrix, chosen, to, recorded=engine is None)
    )
    sys.stdout.write(
        f"{written.folder / 'index.html'}\n"
        f"{written.written} files written, {written.kept} as they were, {written.removed} removed.\n"
    )
    return 0


def _from_matrix(context: typer.Context, matrix: Path, chosen: Options, to: Path | None, *, recorded: bool) -> Written:
    """The site of what is stored: on the engine that was named, else on whatever engine ran last."""
    from runner.session.publishing import publish as publish_results  # noqa: PLC0415 - templates, numpy

    with opened(context, matrix, chosen) as session:
        return publish_results(session, session.results(recorded=recorded), to)


def _from_results(source: Path, to: Path | None) -> Written:
    from runner.outcomes.result import read_result  # noqa: PLC0415 - pydantic models of the whole report
    from runner.reports.site import write_site  # noqa: PLC0415 - templates and numpy

    return write_site(read_result(source), to or Path("site"))


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


COMMANDS = (
    publish,
    merge,
)
