"""The commands that end with outcomes: `run` makes them, `table` shows the stored ones, `judge` says why."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli.inspect import print_plan
from runner.cli.machines import asked, tell
from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Annotations,
    Base,
    Baseline,
    Engine,
    FailOnOption,
    Format,
    Jobs,
    Junit,
    MatrixFile,
    Only,
    Output,
    PruneImages,
    Seeds,
    Shard,
    TableFormat,
    opened,
    options,
)
from runner.reports.terminal.matrix_sheet import print_result, print_verdicts


def run(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
    jobs: Jobs = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first cell that is not as it should be.")
    ] = False,
    prune_images: PruneImages = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    shard: Shard = "",
    junit: Junit = None,
    fail_on: FailOnOption = None,
    baseline: Baseline = None,
    annotate: Annotations = None,
    output: Output = Format.TABLE,
) -> int:
    """Run the matrix: make what is missing, run every trial that is not stored yet, print the outcomes."""
    wanted = asked(junit, fail_on, baseline, annotate)
    chosen = options(
        engine,
        base,
        only=only,
        shard=shard,
        seeds=seeds,
        jobs=jobs,
        fail_fast=fail_fast,
        prune_images=prune_images,
        earlier=wanted.baseline,
    )
    with opened(context, matrix, chosen) as session:
        if dry_run:
            print_plan(session.plan(), output)
            return 0
        results = session.run()
        result = results.result
        print_result(result, output, executed=results.executed, missed=list(map(str, results.misses)))
        return tell(session, results, wanted)


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
        bool, typer.Option("--recorded", help="Of whatever engine and machine it ran on; no engine is asked.")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="All columns, a line for each cell, nothing cut.")] = False,
    output: Annotated[TableFormat, typer.Option("--format")] = TableFormat.TABLE,
) -> int:
    """Print the outcomes of the trials that are stored; nothing is run."""
    wanted = asked(junit, fail_on, baseline, annotate)
    chosen = options(engine, base, only=only, shard=shard, seeds=seeds, earlier=wanted.baseline)
    with opened(context, matrix, chosen) as session:
        results = session.results(recorded=recorded)
        print_result(results.result, output, wide=wide, missed=list(map(str, results.misses)))
        return tell(session, results, wanted)


def judge(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    only: Only = None,
    seeds: Seeds = None,
    output: Output = Format.TABLE,
) -> int:
    """Judge the stored trials again and say why each is labelled as it is; nothing is run, no engine is asked."""
    with opened(context, matrix, options(None, None, only=only, seeds=seeds)) as session:
        results = session.results(recorded=True)
        result = results.result
    print_verdicts(result, output, missed=list(map(str, results.misses)))
    return results.exit_code


COMMANDS = (run, table, judge)
