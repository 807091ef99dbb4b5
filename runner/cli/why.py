"""The commands that answer why: `explain` two cells by experiment, `bisect` one axis."""

from __future__ import annotations

import enum
import shlex
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.fixing import newest_of, patch_file, with_fixes
from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    BuildOnHost,
    Cluster,
    Engine,
    Format,
    Jobs,
    MatrixFile,
    Only,
    Output,
    PruneImages,
    Seeds,
    cluster_of,
    opened,
    options,
)
from runner.errors import UsageError
from runner.matrix.mistakes import RefusedError
from runner.matrix.scalars import duration_s
from runner.reports.terminal.console import output_console, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.explain.experimenter import Budget
    from runner.explain.investigation import Investigation
    from runner.explain.sides import Pair
    from runner.matrix.cell_id import CellId
    from runner.outcomes.account import Account
    from runner.session.results import Results
    from runner.session.session import Session


_CELL = "AXIS=VALUE,…"


class EveryChoice(enum.StrEnum):
    """The values of `--every`."""

    PATCH = "patch"
    MINOR = "minor"


Every = Annotated[EveryChoice, typer.Option("--every", help="Which releases a bisection may land on.")]
BudgetOption = Annotated[str, typer.Option("--budget", help="Begin no trial that would end after this long: 30m, 2h.")]
Thorough = Annotated[
    bool, typer.Option("--thorough", help="Go on where the cause is proven: further switches, companion packages.")
]
FixFor = Annotated[
    str,
    typer.Option("--fix-for", metavar=_CELL, help="As --fix, for this bad cell, or `newest`."),
]
MaxTrials = Annotated[int | None, typer.Option("--max-trials", min=1, help="Run no more trials than this.")]


FixAllCells = Annotated[
    bool, typer.Option("--fix-all-cells", help="As --fix, for one source that runs in as many cells as it can.")
]


def explain(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    good: Annotated[str, typer.Option("--good", metavar=_CELL, help="The good cell: import=tf.keras.")] = "",
    bad: Annotated[str, typer.Option("--bad", metavar=_CELL, help="The bad cell: import=keras.")] = "",
    only: Only = None,
    every: Every = EveryChoice.PATCH,
    budget: BudgetOption = "",
    max_trials: MaxTrials = None,
    thorough: Thorough = False,
    all_flips: Annotated[
        bool, typer.Option("--all", help="Explain every distinct flip of the recorded matrix, the cheapest first.")
    ] = False,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    seeds: Seeds = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    prune_images: PruneImages = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and run nothing.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Run what may mend the bad cell, and write fix.patch.")] = False,
    fix_for: FixFor = "",
    fix_all_cells: FixAllCells = False,
    write: Annotated[bool, typer.Option("--write", help="With --fix: change the script itself, too.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Find out by experiment why two cells differ: is it real, which axis, which release, which mechanism."""
    fix = fix or bool(fix_for) or fix_all_cells
    of_one_pair = [bool(one) for one in (good, fix_for, fix_all_cells, write)]
    _check_asked(good, bad, every_flip=all_flips and any(of_one_pair), fix=fix, fix_for=fix_for, write=write)
    spending = budget_of(budget, max_trials)
    there = cluster_of(cluster)
    chosen = options(engine, base, only=only, seeds=seeds, jobs=jobs, prune_images=prune_images, cluster=there)
    command = [_command(matrix, good, bad, only), *_asked_to_fix(fix=fix, fix_for=fix_for, everywhere=fix_all_cells)]
    with opened(context, matrix, chosen) as session:
        if all_flips:
            found = accounts_of_all(
                session, session.results(), spending, every, thorough=thorough, dry_run=dry_run, fix=fix
            )
            return _print_all(found, output)
        pair = _pair(session, good, bad, fix_for)
        if not _planned(session, pair, spending, every, dry_run=dry_run):
            return 0
        made = _explained(
            session,
            pair,
            spending,
            every,
            thorough=thorough,
            command=" ".join(command),
            fixed=partial(with_fixes, session, everywhere=fix_all_cells, write=write) if fix else None,
        )
    _print(made, output)
    return 0


def _print(account: Account, output: Format) -> None:
    if output is Format.JSON:
        write_json(account.model_dump_json(indent=2) + "\n")
    else:
        from runner.reports.terminal.cell_sheet import print_account  # noqa: PLC0415 - as slow as what it prints

        print_account(account, output_console())


def _asked_to_fix(*, fix: bool, fix_for: str, everywhere: bool) -> list[str]:
    """The words of the command that ask for a fix."""
    named = ["--fix-for", shlex.quote(fix_for)] if fix_for else ["--fix"] if fix and not everywhere else []
    return [*named, *(["--fix-all-cells"] if everywhere else [])]


def _check_asked(good: str, bad: str, *, every_flip: bool, fix: bool, fix_for: str, write: bool) -> None:
    """Raise UsageError for options that mean nothing together; `every_flip`: `--all`, beside one for a single pair."""
    if every_flip:
        raise UsageError(
            "--all explains every flip of the matrix, and mends each with --fix: name no cells with it, narrow it with"
            " --only. --write, --fix-for and --fix-all-cells are of one pair."
        )
    if write and not fix:
        raise UsageError("--write changes the script as --fix was seen to work: give --fix too.")
    if fix_for and bad:
        raise UsageError("--fix-for names the bad cell: leave --bad out.")
    if bool(good) is not bool(bad) and not fix_for:
        raise UsageError("Name both cells, --good and --bad; or neither, for the closest pair that is recorded.")


def _planned(session: Session, pair: Pair, spending: Budget, every: EveryChoice, *, dry_run: bool) -> bool:
    """Tell what an investigation will take; False where that is all."""
    from runner.explain.forecast import forecast  # noqa: PLC0415 - only here

    plan = forecast(session.laboratory, session.matrix, *pair, every=every.value, budget=spending)
    if dry_run:
        sys.stdout.write("\n".join([*plan, ""]))
        return False
    for line in plan:
        session.observer.note(line)
    return True


def _explained(
    session: Session,
    pair: Pair,
    spending: Budget,
    every: EveryChoice,
    *,
    thorough: bool,
    command: str,
    fixed: Callable[[Investigation, Account], Account] | None,
) -> Account:
    """The account of two cells, kept beside the records; `fixed` adds what mends the bad one.

    Without it, it has the fixes of an account that is there already, where they were tried on what is there now.
    """
    from runner.explain.fix import kept  # noqa: PLC0415 - only here
    from runner.explain.investigation import explain as explained  # noqa: PLC0415 - only here
    from runner.outcomes.account import FOLDER, read_accounts, write_account  # noqa: PLC0415 - only here

    folder = session.laboratory.equipment.workplace.files.inner(FOLDER)
    found = explained(
        session.laboratory,
        session.matrix,
        *pair,
        budget=spending,
        every=every.value,
        thorough=thorough,
        observer=session.observer,
    )
    made = found.account(command)
    made = fixed(found, made) if fixed else kept(found, made, read_accounts(folder, session.matrix.path.name))
    write_account(made, folder)
    return made


def _pair(session: Session, good: str, bad: str, fix_for: str) -> Pair:
    """The good and the bad cell that a user names, or the closest pair that is recorded."""
    from runner.explain.sides import sides_for, sides_in, sides_of  # noqa: PLC0415 - only here

    if fix_for:
        return sides_for(session.results(), newest_of(session.cells, fix_for), good)
    return sides_of(session.cells, good, bad) if good else sides_in(session.results())


def accounts_of_all(
    session: Session,
    results: Results,
    budget: Budget,
    every: EveryChoice = EveryChoice.PATCH,
    *,
    thorough: bool = False,
    dry_run: bool = False,
    fix: bool = False,
) -> list[Account]:
    """Explain every distinct flip of what is recorded, and keep each account as soon as it is made.

    With `fix` each gets what mends its bad cell, all under the one budget, and each that works a patch of its own.
    """
    from runner.explain.fix import kept  # noqa: PLC0415 - only here
    from runner.explain.flips import distinct_flips, explain_all  # noqa: PLC0415 - only here
    from runner.outcomes.account import FOLDER, read_accounts, write_account  # noqa: PLC0415 - only here
    from runner.outcomes.tried_fix import is_whole  # noqa: PLC0415 - only here

    flips = distinct_flips(results.outcomes)
    if dry_run or not flips:
        for line in [str(one) for one in flips] or ["No recorded cell is good while another fails: run the matrix."]:
            session.observer.note(line)
        return []
    folder = session.laboratory.equipment.workplace.files.inner(FOLDER)
    known = read_accounts(folder, session.matrix.path.name)

    def fixed(found: Investigation, account: Account) -> Account:
        if fix:
            return with_fixes(session, found, account, file=patch_file(account))
        return kept(found, account, known)

    found = explain_all(
        session.laboratory,
        session.matrix,
        flips,
        known=[
            one for one in known if not thorough and (not fix or not one.real or (one.advice and is_whole(one.fixes)))
        ],
        budget=budget,
        every=every.value,
        thorough=thorough,
        observer=session.observer,
        command=lambda flip: " ".join(
            [_command(session.matrix.path, _named(flip.good), _named(flip.bad), None), *(["--fix"] if fix else [])]
        ),
        fixed=fixed,
    )
    made = []
    for account in found:
        write_account(account, folder)
        made.append(account)
    return made


def _named(cell: CellId) -> str:
    return ",".join(f"{axis}={value}" for axis, value in cell)


def _print_all(accounts: Sequence[Account], output: Format) -> int:
    from runner.reports.terminal.cell_sheet import print_account  # noqa: PLC0415 - as slow as what it prints

    if output is Format.JSON:
        write_json(f"[{','.join(one.model_dump_json(indent=2) for one in accounts)}]\n")
        return 0
    for account in accounts:
        print_account(account, output_console())
    return 0


def bisect(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    axis: Annotated[str, typer.Option("--axis", help="The axis to walk: a package, or python.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="VERSION", help="One end; default: the axis's first.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="VERSION", help="The other end; default: the axis's last.")] = "",
    only: Only = None,
    every: Every = EveryChoice.PATCH,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="WHAT",
            help="Flip on what a trial costs, seconds, epoch or memory, or a limit: 'seconds < 1.5x baseline'.",
        ),
    ] = "",
    budget: BudgetOption = "",
    max_trials: MaxTrials = None,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    jobs: Jobs = None,
    cluster: Cluster = None,
    prune_images: PruneImages = False,
    output: Output = Format.TABLE,
) -> int:
    """Find the releases at which the outcome flips along one axis, also ones that the matrix does not name."""
    from runner.explain.measures import Criterion, walk_costs  # noqa: PLC0415 - only here
    from runner.explain.sides import cell_and_ends  # noqa: PLC0415 - only here
    from runner.explain.walk import walk  # noqa: PLC0415 - only here
    from runner.reports.terminal.cell_sheet import print_walk  # noqa: PLC0415 - as slow as what it prints

    spending = budget_of(budget, max_trials)
    criterion = Criterion.parse(on) if on else None
    alone = 1 if criterion else None  # trials beside each other would measure each other
    there = cluster_of(cluster)
    chosen = options(engine, base, only=only, jobs=jobs or alone, prune_images=prune_images, cluster=there)
    with opened(context, matrix, chosen) as session:
        walked = axis or session.matrix.base.name
        cell, ends = cell_and_ends(session.cells, walked, first, last)
        search = partial(walk_costs, criterion=criterion) if criterion else walk
        made = search(
            session.laboratory,
            session.matrix,
            cell,
            walked,
            ends,
            every=every.value,
            budget=spending,
            observer=session.observer,
        )
    if output is Format.JSON:
        write_json(made.model_dump_json(indent=2) + "\n")
    else:
        print_walk(made, output_console())
    return 0


def budget_of(duration: str, trials: int | None) -> Budget:
    """The budget that two options give. Raises UsageError where the duration is none."""
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
