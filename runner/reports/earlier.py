"""A report held against an earlier one: what `runner.outcomes` needs of both, taken from their cells."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from runner.outcomes.earlier import Evidence, held_against
from runner.outcomes.outcome import OutcomeKind
from runner.reports.notation import cell_name

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from runner.outcomes.earlier import Earlier
    from runner.outcomes.result import CellResult, Result, TrialResult


_SUCCESSES = {"converged", "settled"}


def against(report: Result, earlier: Result, matrix: Collection[str] = ()) -> tuple[Earlier, ...]:
    """Hold each cell against the one with the same axis values.

    `matrix` has the names of all cells of the matrix, selected or not: one that was not looked at is not gone.
    """
    now = {cell_name(cell): evidence(cell) for cell in report.cells}
    then = by_name(earlier, {cell_name(cell): cell.values for cell in report.cells})
    looked_at = {name: found for name, found in then.items() if name in now or name not in matrix}
    return held_against(now, looked_at, obstacle=obstacle(report.criterion, report.metric, earlier))


def by_name(earlier: Result, cells: Mapping[str, Mapping[str, str]]) -> dict[str, Evidence]:
    """What an earlier report has, by the names that `cells` have for the same axis values; others keep their own."""
    names = {frozenset(values.items()): name for name, values in cells.items()}
    return {names.get(frozenset(cell.values.items()), cell_name(cell)): evidence(cell) for cell in earlier.cells}


def obstacle(criterion: tuple[str, ...], metric: str, earlier: Result) -> str:
    """Why a result that was judged so can't be compared with an earlier one; empty where it can."""
    ours = criterion or (f"the shape of {metric}",)
    theirs = earlier.criterion or (f"the shape of {earlier.metric}",)
    if ours == theirs:
        return ""
    return f"judged by {', '.join(ours)} now, by {', '.join(theirs)} then: how often it succeeds means another thing"


def evidence(cell: CellResult) -> Evidence:
    """What a report has of a cell for comparing it; of trials that are copies of each other the first counts."""
    successes = list({_identity(trial): trial for trial in cell.trials if trial.label in _SUCCESSES}.values())
    settled = any(trial.label == "settled" for trial in successes)
    starts = [trial.y0 for trial in cell.trials if trial.y0 is not None]
    scales = [trial.scale for trial in successes if trial.scale is not None]
    first = next(iter(successes or cell.trials), None)
    return Evidence(
        outcome=cell.outcome,
        kind=OutcomeKind(cell.kind),
        converged=cell.converged,
        counted=cell.counted,
        metric=first.metric if first else "loss",
        maximised=first is not None and first.mode == "max",
        finals=tuple(trial.final for trial in successes if trial.final is not None),
        scale=median(scales) if scales else None,
        start=median(starts) if settled and starts else None,
        copies="seed-insensitive" in cell.flags,
        runs=frozenset((trial.key, trial.started_at) for trial in cell.trials),
    )


def _identity(trial: TrialResult) -> Hashable:
    """What copies share; a trial that reported nothing is known to be nobody's copy."""
    curves = tuple((name, values) for name, values in sorted(trial.curves.items()))
    return (trial.final, trial.y0, curves) if curves else trial.seed
