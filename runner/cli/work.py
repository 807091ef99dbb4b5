"""The commands that end with outcomes: `run` makes them, `table` shows the stored ones, `judge` gives reasons.

`run` and `table` also write for machines: JUnit, GitHub's summary and annotations, and whether CI is to stop.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.exporting import Mlflow, run_with_mlflow
from runner.cli.inspect import print_plan
from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Again,
    Annotations,
    Base,
    Baseline,
    BuildOnHost,
    Cluster,
    Engine,
    FailOnOption,
    Format,
    Jobs,
    Junit,
    MatrixFile,
    MatrixOption,
    Only,
    Output,
    Pair,
    PruneImages,
    Seeds,
    Shard,
    TableFormat,
    cluster_of,
    looked_at,
    opened,
    options,
)
from runner.cli.why import BudgetOption, accounts_of_all, budget_of
from runner.matrix.matrix_file import Matrix
from runner.own_folder import OwnFolder
from runner.plurals import counted
from runner.reports.terminal.matrix_sheet import print_result, print_verdicts
from runner.reports.terminal.streams import write_commands
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.explain.experimenter import Budget
    from runner.outcomes.earlier import Earlier
    from runner.outcomes.result import Result
    from runner.reports.site import Written
    from runner.session.options import Options
    from runner.session.results import FailOn, Results
    from runner.session.session import Session


FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that is not as it should be.")]


def run(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    cells: Annotated[
        list[str] | None, typer.Argument(metavar="[CELL]…", help="With --again: the cells, as `AXIS=VALUE,…`.")
    ] = None,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    only: Only = None,
    seeds: Seeds = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    again: Again = False,
    pair: Pair = False,
    fail_fast: FailFast = False,
    prune_images: PruneImages = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Then explain every distinct flip, as `explain --all` does.")
    ] = False,
    budget: BudgetOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    shard: Shard = "",
    junit: Junit = None,
    fail_on: FailOnOption = None,
    baseline: Baseline = None,
    annotate: Annotations = None,
    mlflow: Mlflow = "",
    output: Output = Format.TABLE,
) -> int:
    """Run the matrix: make what is missing, run every trial that is not stored yet, print the outcomes."""
    wanted = asked(junit, fail_on, baseline, annotate)
    matrix, named = _cells_to_repeat(matrix, tuple(cells or ()), again=again)
    spending = _for_accounts(budget, wanted=explain)
    chosen = options(
        engine,
        base,
        only=only,
        shard=shard,
        seeds=seeds,
        jobs=jobs,
        again=named if again else None,
        pair=pair,
        fail_fast=fail_fast,
        prune_images=prune_images,
        earlier=wanted.baseline,
        cluster=cluster_of(cluster),
    )
    with opened(context, matrix, chosen) as session:
        if dry_run:
            print_plan(session.plan(), output)
            return 0
        results = run_with_mlflow(session, mlflow) if mlflow else session.run()
        if spending is not None:
            accounts_of_all(session, results, spending)
        print_result(results.brief, output, executed=results.executed, missed=list(map(str, results.misses)))
        return tell(session, results, wanted)


def _cells_to_repeat(matrix: Path, named: tuple[str, ...], *, again: bool) -> tuple[Path, tuple[str, ...]]:
    """The matrix and the cells of `run --again CELL`, which means the matrix of this folder."""
    if "=" in str(matrix) and not matrix.exists():
        matrix, named = DEFAULT_MATRIX, (str(matrix), *named)
    if named and not again:
        raise typer.BadParameter(f"{named[0]}: cells stand behind --again; `--only {named[0]}` runs a cell.")
    return matrix, named


def _for_accounts(budget: str, *, wanted: bool) -> Budget | None:
    """What `--explain` may spend; None where it is not wanted."""
    if budget and not wanted:
        raise typer.BadParameter("--budget bounds what --explain runs, which is not asked for.")
    return budget_of(budget, None) if wanted else None


def table(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    shard: Shard = "",
    junit: Junit = None,
    fail_on: FailOnOption = None,
    baseline: Baseline = None,
    annotate: Annotations = None,
    recorded: Annotated[
        bool,
        typer.Option(
            "--recorded",
            help="Show stored trials of whatever engine and machine they ran on, not of the last run alone.",
        ),
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Print all columns and a line for each cell, and shorten nothing.")
    ] = False,
    output: Annotated[TableFormat, typer.Option("--format")] = TableFormat.TABLE,
) -> int:
    """Print the outcomes of the trials that are stored; nothing is run."""
    wanted = asked(junit, fail_on, baseline, annotate)
    chosen = options(engine, base, only=only, shard=shard, seeds=seeds, earlier=wanted.baseline)
    with looked_at(context, matrix, chosen) as session:
        results = session.results(recorded=True) if recorded else session.last_results()
        print_result(results.brief, output, wide=wide, missed=list(map(str, results.misses)))
        return tell(session, results, wanted)


def judge(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    output: Output = Format.TABLE,
) -> int:
    """Judge the stored trials again and say why each is labelled as it is; nothing is run."""
    with looked_at(context, matrix, options(engine, base, only=only, seeds=seeds)) as session:
        results = session.last_results()
        print_verdicts(results.brief, output, missed=list(map(str, results.misses)))
    return results.exit_code


_MOST_SUMMARY = 1_000_000
"""GitHub takes 1 MiB of a step, and nothing at all of more."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The outputs that a command was asked for beside its table."""

    junit: Path | None
    fail_on: tuple[FailOn, ...]
    baseline: Result | None
    annotations: bool
    summary: Path | None


def asked(
    junit: Path | None, fail_on: Sequence[FailOn] | None, baseline: Path | None, annotations: bool | None
) -> Asked:
    """The outputs that were asked for.

    The earlier result is read before anything runs. Raises UsageError where it can't be.
    """
    earlier = None
    if baseline is not None:
        from runner.outcomes.result_file import read_result  # noqa: PLC0415 - only here

        earlier = read_result(baseline)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return Asked(
        junit=junit,
        fail_on=tuple(fail_on or ()),
        baseline=earlier,
        annotations=os.environ.get("GITHUB_ACTIONS") == "true" if annotations is None else annotations,
        summary=Path(summary) if summary else None,
    )


def tell(session: Session, results: Results, wanted: Asked) -> int:
    """Write what was asked for, say on standard error what must not be, and give the exit code."""
    if wanted == Asked(junit=None, fail_on=(), baseline=None, annotations=False, summary=None):
        return results.exit_code
    from runner.outcomes.earlier import against  # noqa: PLC0415 - only where asked for
    from runner.session.results import broken  # noqa: PLC0415

    report = results.brief
    earlier = None
    if wanted.baseline is not None:
        earlier = against(report, wanted.baseline, {cell.id for cell in session.all_cells})
        _say(_earlier_lines(wanted.baseline, earlier))
    _write(report, wanted, earlier or (), session.matrix.folder)
    found = broken(report, wanted.fail_on, earlier)
    _say(found)
    return results.exit_code or int(bool(found))


def _write(report: Result, wanted: Asked, earlier: Sequence[Earlier], folder: Path) -> None:
    if wanted.junit:
        from runner.reports.junit import junit  # noqa: PLC0415 - only where asked for

        wanted.junit.parent.mkdir(parents=True, exist_ok=True)
        wanted.junit.write_text(junit(report), "utf-8")
    if wanted.annotations:
        from runner.reports.annotations import workflow_commands  # noqa: PLC0415 - only where asked for

        write_commands(sys.stderr, workflow_commands(report, _below_root(folder)))
    if wanted.summary:
        from runner.reports.markdown import report_md  # noqa: PLC0415 - only where asked for

        text = report_md(report, source=_source(folder), earlier=earlier).encode()
        with wanted.summary.open("ab") as stream:
            stream.write(text[:_MOST_SUMMARY])


def _below_root(folder: Path) -> str:
    """The path of the matrix within the repository that a workflow checked out; empty at its root, or elsewhere."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    place = folder.resolve()
    return place.relative_to(root).as_posix().removeprefix(".") if place.is_relative_to(root) else ""


def _source(folder: Path) -> str:
    """The address of the matrix's folder at the commit that a workflow runs; empty outside of one."""
    parts = [os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "SHA")]
    if not all(parts):
        return ""
    server, repository, commit = parts
    return f"{server}/{repository}/blob/{commit}/{_below_root(folder)}".rstrip("/")


def _earlier_lines(baseline: Result, earlier: Sequence[Earlier]) -> list[str]:
    counts = Counter(one.label.value for one in earlier)
    words = ", ".join(f"{count} {label}" for label, count in counts.items())
    return [
        f"Against the result of {baseline.made_at}: {words}.",
        *(f"  {one.label}: {one.name}: {one.reason}" for one in earlier if one.notable),
    ]


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")


Source = Annotated[
    Path | None,
    typer.Option("--from", metavar="RESULTS", help="Make the site from this results.json alone; no matrix is read."),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FOLDER",
        help="The folder to write. Default: reports/site beside the matrix, or ./site with --from.",
    ),
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
    written = _from_results(source, to) if source else _from_matrix(context, matrix, chosen, to)
    sys.stdout.write(
        f"{written.folder / 'index.html'}\n"
        f"{counted(written.written, 'file')} written, {written.kept} as they were, {written.removed} removed.\n"
    )
    return 0


def _from_matrix(context: typer.Context, matrix: Path, chosen: Options, to: Path | None) -> Written:
    """The site of what is stored: of the last run, unless another engine is named."""
    from runner.session.predicted import predicted  # noqa: PLC0415 - LibCST
    from runner.session.results import publish as publish_results  # noqa: PLC0415 - templates, numpy

    with looked_at(context, matrix, chosen) as session:
        return publish_results(session.last_results(), to, predicted=predicted(session), sources=session.sources())


def _from_results(source: Path, to: Path | None) -> Written:
    from runner.outcomes.result_file import opened_result  # noqa: PLC0415 - pydantic models of the whole report
    from runner.reports.site import ELSEWHERE, write_site  # noqa: PLC0415 - templates and numpy

    folder = OwnFolder(above=to, elsewhere=ELSEWHERE) if to else OwnFolder.at(Path("site"))
    result = opened_result(source)
    with folder.alone():
        return write_site(result, folder)


def merge(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE…", help="`.runner` folders, or folders that have one inside.")
    ],
    matrix: MatrixOption = DEFAULT_MATRIX,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Of two records of one trial that differ keep theirs, not this matrix's own."),
    ] = False,
) -> int:
    """Join the records, logs and artifacts of other `.runner` folders into this matrix's own."""
    from runner.session.shards import merge as merge_stores  # noqa: PLC0415 - only here

    folder = Matrix.load(matrix).folder.absolute()
    merged = merge_stores(Workplace.beside(folder), stores, replace=replace)
    _say([f"{said}." for said in (*merged.conflicts, *merged.remarks)])
    if merged.unreadable:
        _say([f"{merged.unreadable} records are of another version of this tool, or none at all, and were left out."])
    counts = f"{merged.added} records added, {merged.same} were there already, {len(merged.conflicts)} differed"
    sys.stdout.write(f"{counts}: {folder / '.runner'}\n")
    return 0


COMMANDS = (run, table, judge, publish, merge)
