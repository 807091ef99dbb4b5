"""The forecast of an investigation: its steps, the most trials of each, the minutes to expect."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from runner.explain.investigation import MOST_FOR_PACKAGES
from runner.explain.step_comparison import TRIALS
from runner.explain.switches import MADE_FOR, may_apply
from runner.explain.walk import Span, is_ordered, places_of
from runner.laboratory.setup import Setup
from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.cell_id import CellId
from runner.matrix.cells import expand
from runner.outcomes.tally import most_trials
from runner.plurals import counted
from runner.preludes.prelude import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.explain.experimenter import Budget
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix


class ForecastStep(NamedTuple):
    """One step: the combinations that it decides, and those of them that need an environment of their own."""

    name: str
    decisions: int
    environments: int = 0
    most: int | None = None
    """The most trials; None: as many a decision as a cell of the matrix takes."""


def forecast(
    laboratory: Laboratory, matrix: Matrix, good: CellId, bad: CellId, *, every: str, budget: Budget
) -> list[str]:
    """The forecast in lines. A decision takes as many trials as a cell of the matrix does."""
    seeds = matrix.seeds
    lines = [f"Good: {good}", f"Bad:  {bad}"]
    least = most = 0
    for step in _steps(laboratory, good, bad, every):
        trials = step.decisions * seeds.cap if step.most is None else step.most
        least += step.decisions * min(2, seeds.cap)
        most += trials
        made = f", {counted(step.environments, 'environment')} to make" if step.environments else ""
        decisions = f"{counted(step.decisions, 'decision')}, " if step.decisions else ""
        lines.append(f"{step.name}: at most {decisions}{counted(trials, 'trial')}{made}")
    if budget.trials is not None:
        most = min(most, budget.trials)
        least = min(least, most)
    seconds = _seconds(laboratory, matrix)
    if seconds is None:
        lines.append(
            f"In all {least} to {counted(most, 'trial')}; how long one takes is not known before the first ran."
        )
    else:
        low, high = (max(1, round(number * seconds / 60)) for number in (least, most))
        duration = f"{low} to {counted(high, 'minute')} one by one"
        lines.append(f"In all {least} to {counted(most, 'trial')} of about {seconds:.0f} s: {duration}.")
    if budget.seconds is not None:
        lines.append(
            f"No trial begins that would end later than {counted(round(budget.seconds / 60), 'minute')} from now."
        )
    return lines


def _steps(laboratory: Laboratory, good: CellId, bad: CellId, every: str) -> Iterator[ForecastStep]:
    differing = [axis for axis, value in good if bad.get(axis) != value]
    yield ForecastStep("Is it real", 2)
    if len(differing) > 1:
        yield ForecastStep("Which axis", 2 * len(differing) + 2, 2 * len(differing))
    for axis in differing:
        if is_ordered(axis, good.values[axis], bad.values[axis]):
            span = Span(axis=axis, good=good.values[axis], bad=bad.values[axis], beside=CellId.of({}), along={})
            between = len(places_of(laboratory, span, every)) - 2
            if between > 0:
                decisions = math.ceil(math.log2(between + 2)) + 2
                yield ForecastStep(f"Which release of {axis}, {between} in between", decisions, min(decisions, between))
    yield ForecastStep("Where first", 0, most=TRIALS)
    number = sum(may_apply(switch, bad.values) for switch in catalogue().values()) + MADE_FOR
    yield ForecastStep(f"Which mechanism, up to {number} switches, and one for each default that differs", number + 2)
    if any(axis_kind(axis) in {AxisKind.PACKAGE, AxisKind.PYTHON, AxisKind.BACKEND} for axis in differing):
        yield ForecastStep("Which package", 0, most=MOST_FOR_PACKAGES)


def _seconds(laboratory: Laboratory, matrix: Matrix) -> float | None:
    """The median seconds of a trial of the matrix; None where none is recorded."""
    known = laboratory.known(Setup.of(matrix), expand(matrix), range(most_trials(matrix.seeds)))
    took = [record.duration_s for one in known for record in one.records.values() if record.ran]
    return median(took) if took else None
