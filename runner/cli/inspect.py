"""The commands that look: `plan`, `logs`, `shell`, `doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from runner.cli.doctor import examine
from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    CellName,
    Engine,
    Format,
    MatrixFile,
    MatrixOption,
    Only,
    Output,
    Seeds,
    options,
)
from runner.cli.progress import PlainProgress, observer_for_terminal
from runner.cli.show import print_plan, print_records
from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.session import Session
from runner.session.jobs import github_jobs

if TYPE_CHECKING:
    from runner.matrix.model import Cell


def plan(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    github_matrix: Annotated[
        bool,
        typer.Option(
            "--github-matrix", help="Only print JSON for `strategy.matrix`: a job an environment, or a shard."
        ),
    ] = False,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, help="With --github-matrix: so many jobs of about equal length.")
    ] = None,
    output: Output = Format.TABLE,
) -> int:
    """Show the cells, their environments, and what is done already."""
    if github_matrix:
        with Session(Matrix.load(matrix), options(engine, base, only=only, seeds=seeds)) as session:
            sys.stdout.write(f"{json.dumps(github_jobs(session, shards))}\n")
        return 0
    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(engine, base, only=only, seeds=seeds), observer) as session,
    ):
        found = session.plan()
    print_plan(found, output)
    return 0


def logs(
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of this seed; else of every seed.")] = None,
) -> int:
    """Print what the trials of a cell wrote to standard output and error."""
    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(engine, base, only=cell), observer) as session,
    ):
        the_cell(session)
        results = session.results()
        records = [record for record in results.outcomes[0].records if seed is None or record.seed == seed]
        logs_of = [(record, session.workplace.log(record.key)) for record in records]
    if not logs_of:
        raise UsageError(
            f"There is no finished trial of {cell}{'' if seed is None else f' with seed {seed}'} under this engine yet."
        )
    for record, path in logs_of:
        sys.stdout.write(f"--- {results.cells[0].name} seed {record.seed}, {record.engine}, {record.started_at}\n")
        sys.stdout.write(
            path.read_text("utf-8", "replace") if path.is_file() else f"{record.message or 'It left no log.'}\n"
        )
    return 0


def shell(
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    command: Annotated[
        str | None, typer.Option("--command", "-c", help="Run this in the shell instead of asking.")
    ] = None,
) -> int:
    """Open a shell in the very environment of a cell, with a copy of its script."""
    with (
        tempfile.TemporaryDirectory(prefix="runner-shell-") as folder,
        Session(Matrix.load(matrix), options(engine, base, only=cell), PlainProgress(Console(stderr=True))) as session,
    ):
        argv, env = session.shell_command(the_cell(session), Path(folder))
        typed = None if command is None else f"{command}\n"
        return subprocess.run(argv, env=env, cwd=Path(folder) / "work", input=typed, text=True, check=False).returncode


def doctor(
    matrix: MatrixFile = DEFAULT_MATRIX,
    base: Base = None,
    output: Output = Format.TABLE,
) -> int:
    """Look at the engine, the build client, the interpreters, the disk and the index, each with its remedy."""
    findings = examine(options(None, base).base, matrix.absolute().parent)
    print_records(
        [
            {
                "what": finding.what,
                "state": "ok" if finding.ok else "wrong",
                "found": finding.found,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
        output,
    )
    return 0 if all(finding.ok for finding in findings) else 4


def the_cell(session: Session) -> Cell:
    """The one cell that `only` selects. Raises UsageError where it selects several."""
    if len(session.cells) > 1:
        names = "\n  ".join(cell.name for cell in session.cells[:10])
        raise UsageError(f"{session.options.only} means {len(session.cells)} cells; say more of it:\n  {names}")
    return session.cells[0]


COMMANDS = (plan, logs, shell, doctor)
