"""The commands that do the work, whole or step by step: `run`, `lock`, `build`, `table`."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    Engine,
    Format,
    MatrixFile,
    Only,
    Output,
    Seeds,
    TableFormat,
    options,
)
from runner.cli.progress import observer_for_terminal
from runner.cli.show import print_plan, print_records, print_results
from runner.environments.model import Lock
from runner.errors import ExpectationFailed
from runner.matrix.model import Matrix
from runner.session import Session


def run(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Trials at once.")] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first cell that is not as it should be.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Run the matrix: make what is missing, run every trial that is not stored yet, print the outcomes."""
    loaded = Matrix.load(matrix)
    chosen = options(engine, base, only=only, seeds=seeds, jobs=jobs, fail_fast=fail_fast)
    with observer_for_terminal() as observer, Session(loaded, chosen, observer) as session:
        if dry_run:
            print_plan(session.plan(), output)
            return 0
        results = session.run()
    print_results(results, output)
    return results.exit_code


def table(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    output: Annotated[TableFormat, typer.Option("--format")] = TableFormat.TABLE,
) -> int:
    """Print the outcomes of the trials that are stored; nothing is run."""
    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(engine, base, only=only, seeds=seeds), observer) as session,
    ):
        results = session.results()
    print_results(results, output)
    return results.exit_code


def lock(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Make every lock anew.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say which locks are missing or no longer follow from the matrix.")
    ] = False,
    output: Output = Format.TABLE,
) -> int:
    """Resolve every environment to exact files with hashes, as of its base's release, and write the locks."""
    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(engine, base, only=only), observer) as session,
    ):
        if check:
            environments = [group.environment for group in session.groups]
            stale = {one.name: session.environments.why_stale(one) for one in environments}
            print_records([{"environment": name, "lock": why or "ok"} for name, why in stale.items()], output)
            return 1 if any(stale.values()) else 0
        locks = session.lock(upgrade=upgrade)
    print_records(
        [
            {
                "environment": name,
                "CPython": made.python,
                "as of": f"{made.as_of:%Y-%m-%d}",
                "packages": str(len(made.packages)),
                "lock": made.digest[:12],
            }
            if isinstance(made, Lock)
            else {
                "environment": name,
                "CPython": "",
                "as of": "",
                "packages": "",
                "lock": f"unresolvable: {made.reason}",
            }
            for name, made in locks.items()
        ],
        output,
    )
    return 0 if all(isinstance(made, Lock) for made in locks.values()) else 1


def build(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    output: Output = Format.TABLE,
) -> int:
    """Make every environment runnable: an image each under docker, a virtual environment each under venv."""
    with (
        observer_for_terminal() as observer,
        Session(Matrix.load(matrix), options(engine, base, only=only), observer) as session,
    ):
        made = session.build()
    rows = [
        {"environment": name, "image": image if isinstance(image, str) else image.reference}
        for name, image in made.items()
    ]
    print_records(rows, output)
    failed = [name for name, image in made.items() if isinstance(image, str)]
    if failed:
        raise ExpectationFailed(f"{len(failed)} of {len(made)} environments could not be made: {', '.join(failed)}.")
    return 0


COMMANDS = (run, table, lock, build)
