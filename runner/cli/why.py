"""The commands that answer why: `explain` two cells by experiment, `bisect` one axis."""

from __future__ import annotations

import enum
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    Engine,
    Format,
    Jobs,
    MatrixFile,
    Only,
    Output,
    PruneImages,
    Seeds,
    opened,
    options,
)
from runner.errors import UsageError
from runner.matrix.mistakes import RefusedError
from runner.matrix.scalars import duration_s
from runner.reports.terminal.console import output_console

if TYPE_CHECKING:
    from pathlib import Path

    from runner.explain.experimenter import Budget


_CELL = "AXIS=VALUE,…"


class EveryChoice(enum.StrEnum):
    """The values of `--every`."""

    PATCH = "patch"
    MINOR = "minor"


Every = Annotated[EveryChoice, typer.Option("--every", help="Which releases a bisection may land on.")]
BudgetOption = Annotated[str, typer.Option("--budget", help="Begin no trial that would end after this long: 30m, 2h.")]
MaxTrials = Annotated[int | None, typer.Option("--max-trials", min=1, help="Run no more trials than this.")]


def explain(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    good: Annotated[str, typer.Option("--good", metavar=_CELL, help="The good cell: import=tf.keras.")] = "",
    bad: Annotated[str, typer.Option("--bad", metavar=_CELL, help="The bad cell: import=keras.")] = "",
    only: Only = None,
    every: Every = EveryChoice.PATCH,
    budget: BudgetOption = "",
    max_trials: MaxTrials = None,
    engine: Engine = None,
    base: Base = None,
    seeds: Seeds = None,
    jobs: Jobs = None,
    prune_images: PruneImages = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and run nothing.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Find out by experiment why two cells differ: is it real, which axis, which release, which mechanism."""
    from runner.explain.forecast import forecast  # noqa: PLC0415 - only here
    from runner.explain.investigation import explain as explained  # noqa: PLC0415 - only here
    from runner.explain.sides import sides_in, sides_of  # noqa: PLC0415 - only here
    from runner.outcomes.account import FOLDER, write_account  # noqa: PLC0415 - only here
    from runner.reports.terminal.cell_sheet import print_account  # noqa: PLC0415 - as slow as what it prints

    if bool(good) is not bool(bad):
        raise UsageError("Name both cells, --good and --bad; or neither, for the closest pair that is recorded.")
    spending = _budget(budget, max_trials)
    chosen = options(engine, base, only=only, seeds=seeds, jobs=jobs, prune_images=prune_images)
    with opened(context, matrix, chosen) as session:
        pair = sides_of(session.cells, good, bad) if good else sides_in(session.results())
        plan = forecast(session.laboratory, session.matrix, *pair, every=every.value, budget=spending)
        if dry_run:
            sys.stdout.write("\n".join([*plan, ""]))
            return 0
        for line in plan:
            session.observer.note(line)
        found = explained(
            session.laboratory, session.matrix, *pair, budget=spending, every=every.value, observer=session.observer
        )
        made = found.account(_command(matrix, good, bad, only))
        write_account(made, session.laboratory.equipment.workplace.root / FOLDER)
    if output is Format.JSON:
        sys.stdout.write(made.model_dump_json(indent=2) + "\n")
    else:
        print_account(made, output_console())
    return 0


def bisect(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    axis: Annotated[str, typer.Option("--axis", help="The axis to walk: a package, or python.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="VERSION", help="One end; default: the axis's first.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="VERSION", help="The other end; default: the axis's last.")] = "",
    only: Only = None,
    every: Every = EveryChoice.PATCH,
    budget: BudgetOption = "",
    max_trials: MaxTrials = None,
    engine: Engine = None,
    base: Base = None,
    jobs: Jobs = None,
    prune_images: PruneImages = False,
    output: Output = Format.TABLE,
) -> int:
    """Find the releases at which the outcome flips along one axis, also ones that the matrix does not name."""
    from runner.explain.sides import cell_and_ends  # noqa: PLC0415 - only here
    from runner.explain.walk import walk  # noqa: PLC0415 - only here
    from runner.reports.terminal.cell_sheet import print_walk  # noqa: PLC0415 - as slow as what it prints

    spending = _budget(budget, max_trials)
    chosen = options(engine, base, only=only, jobs=jobs, prune_images=prune_images)
    with opened(context, matrix, chosen) as session:
        cell, ends = cell_and_ends(session.cells, axis or session.matrix.base.name, first, last)
        made = walk(
            session.laboratory,
            session.matrix,
            cell,
            axis or session.matrix.base.name,
            ends,
            every=every.value,
            budget=spending,
            observer=session.observer,
        )
    if output is Format.JSON:
        sys.stdout.write(made.model_dump_json(indent=2) + "\n")
    else:
        print_walk(made, output_console())
    return 0


def _budget(duration: str, trials: int | None) -> Budget:
    from runner.explain.experimenter import Budget  # noqa: PLC0415 - only here

    try:
        return Budget(trials=trials, seconds=duration_s(duration) if duration else None)
    except RefusedError as error:
        raise UsageError(f"--budget: {error}") from error


def _command(matrix: Path, good: str, bad: str, only: str | None) -> str:
    named = [("--good", good), ("--bad", bad), ("--only", only or "")]
    words = [word for option, text in named if text for word in (option, text)]
    return shlex.join(["convergence-matrix", "explain", matrix.name, *words])


COMMANDS = (explain, bisect)
