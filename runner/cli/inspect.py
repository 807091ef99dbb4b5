"""The commands that look: `plan`, `logs`, `shell`, `show` (all that is known of one cell) and `open` (the site)."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from runner.cache import passing_folder
from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    BuildOnHost,
    CellName,
    Engine,
    Format,
    MatrixFile,
    MatrixOption,
    Only,
    Output,
    Seeds,
    looked_at,
    opened,
    options,
)
from runner.cli.progress import PlainProgress
from runner.errors import MachineError, UsageError
from runner.matrix.matrix_file import Matrix
from runner.plurals import counted
from runner.reports.notation import size
from runner.reports.terminal.cell_sheet import print_cell
from runner.reports.terminal.console import output_console, print_records, write_json
from runner.reports.terminal.streams import GuardedConsole
from runner.reports.untrusted import terminal_text
from runner.session.session import open_session
from runner.trials.job_files import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.environments.wheelhouse import DiskNeed
    from runner.matrix.cell_id import CellId
    from runner.session.plan import EnvironmentPlan, Plan
    from runner.session.session import Session


_MOST_CELLS = 100
"""Of a plan, one by one; of more, a line an environment says more."""


def plan(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    github_matrix: Annotated[
        bool,
        typer.Option(
            "--github-matrix", help="Only print JSON for `strategy.matrix`, with one job for each environment or shard."
        ),
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards", min=1, help="With --github-matrix: divide the cells into this many jobs of about equal length."
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> int:
    """Show the cells, their environments, and what is done already."""
    if github_matrix:
        chosen = options(engine, base, only=only, seeds=seeds)
        with open_session(Matrix.load(matrix), chosen, world=context.obj) as session:
            sys.stdout.write(f"{json.dumps(session.github_jobs(shards))}\n")
        return 0
    with opened(context, matrix, options(engine, base, only=only, seeds=seeds)) as session:
        found = session.plan()
        asked = found.wanted and _shows_cells(found, output)
        predicted = _predicted_breaks(session, found) if asked else {}
    print_plan(found, output, predicted)
    return 0


def logs(
    context: typer.Context,
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Print the trial of this seed only, instead of every seed's.")
    ] = None,
) -> int:
    """Print what the trials of a cell wrote to standard output and error."""
    from runner.trials.script_metrics import LOG_BYTES  # noqa: PLC0415 - only here

    with looked_at(context, matrix, options(engine, base, only=cell)) as session:
        session.only_cell()
        results = session.last_results()
        records = [record for record in results.outcomes[0].records if seed is None or record.seed == seed]
        logs_of = [(record, session.laboratory.equipment.workplace.log(record.key)) for record in records]
    if not logs_of:
        raise UsageError(f"There is no finished trial of {cell}{'' if seed is None else f' with seed {seed}'} yet.")
    for record, path in logs_of:
        sys.stdout.write(f"--- {results.cells[0].id} seed {record.seed}, {record.engine}, {record.started_at}\n")
        log = excerpt(path, LOG_BYTES) if path.is_file() else f"{record.message or 'It left no log.'}\n"
        sys.stdout.write(terminal_text(log))
    return 0


def shell(
    context: typer.Context,
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    command: Annotated[
        str | None, typer.Option("--command", "-c", help="Run this command in the shell instead of opening a prompt.")
    ] = None,
) -> int:
    """Open a shell in the very environment of a cell, with a copy of its script."""
    with (
        passing_folder() as folder,
        open_session(
            Matrix.load(matrix),
            options(engine, base, only=cell),
            PlainProgress(GuardedConsole(stderr=True)),
            world=context.obj,
        ) as session,
    ):
        argv, env = session.laboratory.shell_command(session.setup, session.only_cell(), folder)
        typed = None if command is None else f"{command}\n"
        return subprocess.run(argv, env=env, cwd=folder / "work", input=typed, text=True, check=False).returncode


def _shows_cells(plan: Plan, output: str) -> bool:
    return output == "json" or plan.cells <= _MOST_CELLS


def _predicted_breaks(session: Session, plan: Plan) -> dict[CellId, int]:
    """How many places of a cell's script are predicted to raise, of cells for whose packages there is a history.

    Of a finished matrix nobody asks: what happened is known.
    """
    from runner.session.predicted import Predictions  # noqa: PLC0415 - most commands predict nothing

    predictions = Predictions(session)
    cells = (each.cell for environment in plan.environments for each in environment.cells)
    found = (predictions.of(cell) for cell in cells if predictions.knows(cell))
    return {one.cell.id: one.breaks for one in found if not one.refused}


def print_plan(plan: Plan, output: str, predicted: Mapping[CellId, int] | None = None) -> None:
    """Print what a run would do, and how many breaks are `predicted` for a cell."""
    each_cell = _shows_cells(plan, output)
    print_records(list(_cell_records(plan, predicted or {}) if each_cell else _environment_records(plan)), output)
    if output == "table":
        for line in plan_lines(plan):
            output_console().print(Text(line, style="dim"))


def _cell_records(plan: Plan, predicted: Mapping[CellId, int]) -> Iterator[dict[str, str | int]]:
    for environment in plan.environments:
        shared = _environment_columns(environment, plan)
        for cell in environment.cells:
            breaks = {"breaks": predicted.get(cell.cell.id, "")} if predicted else {}
            yield {
                "cell": str(cell.cell.id),
                **shared,
                **breaks,
                "finished": cell.finished,
                "to run": f"{cell.wanted}+" if cell.wanted else "0",
            }


def _environment_records(plan: Plan) -> Iterator[dict[str, str | int]]:
    for environment in plan.environments:
        yield {
            **_environment_columns(environment, plan),
            "cells": len(environment.cells),
            "finished": environment.finished,
            "to run": f"{environment.wanted}+" if environment.wanted else "0",
        }


def _environment_columns(one: EnvironmentPlan, plan: Plan) -> dict[str, str | int]:
    return {
        "environment": one.name,
        "lock": one.lock.digest[:12] if one.lock else "to resolve",
        "CPython": one.lock.python if one.lock else "",
        **({"base image": one.base_image or "the usual one"} if plan.names_base_images else {}),
        "image": "ready" if one.image else "to make",
    }


def plan_lines(plan: Plan) -> Iterator[str]:
    """What a plan comes to, a sentence a line."""
    for became in plan.became:
        yield f"{became.axis}: {became.written} is {', '.join(became.versions)}."
    work = f"{counted(plan.to_lock, 'environment')} to lock, {plan.to_build} to make"
    finished = f"{counted(plan.cells, 'cell')} under {plan.engine.value}: {counted(plan.finished, 'trial')} finished"
    yield f"{finished}, {work}, {counted(plan.wanted, 'trial')} to run at least."
    if plan.emulated:
        yield f"{plan.emulated} is emulated on this engine: trials take longer, and their times are compared with none."
    if plan.left_out:
        whole = counted(plan.cells + plan.left_out, "cell")
        yield f"These are {plan.cells} of {whole}; more are run where outcomes differ, the others are not run."
    yield from _disk_lines(plan)


def _disk_lines(plan: Plan) -> Iterator[str]:
    """The disk space that the environments will take that are locked and not made yet."""
    need = plan.disk_need
    if need is None:
        return
    free = f"; {size(plan.room.free_bytes)} are free in {plan.room.path}" if plan.room else ""
    unlocked = f" and what the {plan.to_lock} without a lock will need" if plan.to_lock else ""
    yield f"Disk: {_needed(need)}{unlocked}{free}."
    if plan.for_gpus:
        yield (
            f"{counted(len(plan.for_gpus), 'environment')} would install packages for GPUs, which no trial asks for"
            f" ({plan.for_gpus[0]}): `indexes:` may name an index that has builds for processors, or"
            " `packages:` a wheel file of one."
        )


def _needed(need: DiskNeed) -> str:
    known = f"about {size(need.download_bytes)} to download, {size(need.install_bytes)} to install"
    if not need.unknown_files:
        return known
    unknown = f"{counted(need.unknown_files, 'file')} to download of a size that only the index knows"
    return f"{known}, {unknown}" if need.install_bytes else unknown


def show(
    context: typer.Context,
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    seeds: Seeds = None,
    output: Output = Format.TABLE,
) -> int:
    """Show all that is known of one cell: verdicts with their rules, exception, versions, how to reproduce it."""
    with looked_at(context, matrix, options(engine, base, only=cell, seeds=seeds)) as session:
        session.only_cell()
        report = session.last_results().brief
        if output == "json":
            write_json(report.told(report.cells[0]).model_dump_json(indent=2) + "\n")
        else:
            print_cell(report, output_console())
    return 0


def open_(matrix: MatrixFile = DEFAULT_MATRIX) -> int:
    """Open the published site of a matrix in the browser."""
    if not matrix.is_file():
        raise UsageError(f"{matrix} can't be read: there is no such file.")
    page = matrix.parent / "reports" / "site" / "index.html"
    if not page.is_file():
        raise UsageError(f"{page} is not there yet: `convergence-matrix publish {matrix}` writes it.")
    if not webbrowser.open(page.absolute().as_uri()):
        raise MachineError(f"No browser could be started here. The site is {page}: it opens from disk, in any browser.")
    sys.stdout.write(f"{page}\n")
    return 0


COMMANDS = (plan, logs, shell, show, open_)
