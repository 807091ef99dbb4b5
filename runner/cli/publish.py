"""The command that publishes: `publish` writes the report site of the stored trials, or of a `results.json` alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import DEFAULT_MATRIX, Base, Engine, MatrixFile, Only, Seeds, opened, options

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


COMMANDS = (publish,)
