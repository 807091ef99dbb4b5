"""Where do two cells part first? From the same weights on, with the same batches, their steps are recorded, compared.

The tools ride as preludes: what they add to a trial is written beside the records and named by its path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.explain.switches import with_prelude, written
from runner.investigate import Question, TraceError, first_difference, parse_trace
from runner.preludes.instruments import INITIAL_FILE, TRACE_FILE, fixed_order, initial_weights, tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.explain.asking import Asking
    from runner.investigate import Combination, Trace, TraceDifference
    from runner.preludes.prelude import Prelude

STEPS = 200
_TWICE = 2
"""Trials of each side: what the same cell does twice is no difference."""
TRIALS = 2 + 2 * _TWICE
"""Of a whole trace: one of each side for its initial weights, then those that are compared."""


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What came of tracing two cells."""

    difference: TraceDifference | None
    """None: they could not be compared."""
    notes: tuple[str, ...] = ()
    initial: tuple[str, str] | None = None
    """The initial weights of the good and of the bad cell, as the tracer wrote them; None where it wrote none."""


def trace(asking: Asking, good: Combination, bad: Combination, *, steps: int = STEPS) -> Traced:
    """Trace both cells and compare them. Raises BudgetSpentError where no trial is left."""
    asking = replace(asking, telling=None, artifacts=(TRACE_FILE, INITIAL_FILE), trials={}, contents={})
    initial = None
    try:
        first, second = (_files(asking, one, [tracing(steps)], seeds=1)[0][INITIAL_FILE] for one in (good, bad))
        initial = first, second
        tools = [initial_weights(first), fixed_order(), tracing(steps)]
        ours, theirs = (
            [parse_trace(files[TRACE_FILE]) for files in _files(asking, one, tools, seeds=_TWICE)]
            for one in (good, bad)
        )
    except (_NothingWrittenError, UsageError, TraceError) as error:
        return Traced(difference=None, notes=(str(error),), initial=initial)
    difference = first_difference(ours[0], theirs[0], repeats=_pairs(ours, theirs))
    note = (
        "Both started from the initial weights of the good cell, and took their batches in the order of the data,"
        " also where the script shuffles."
    )
    return Traced(difference=difference, notes=(note,), initial=initial)


class _NothingWrittenError(Exception):
    """A traced trial left no trace."""


def _pairs(*sides: Sequence[Trace]) -> list[tuple[Trace, Trace]]:
    return [(side[0], other) for side in sides for other in side[1:]]


def _files(asking: Asking, about: Combination, tools: Sequence[Prelude], *, seeds: int) -> list[dict[str, str]]:
    """The files that the trials of a cell with these tools wrote, by name, a dict a trial.

    Raises _NothingWrittenError where a trial wrote none, or a tool said that it could not do its work.
    """
    traced = with_prelude(about, *(written(asking, tool) for tool in tools))
    asking((Question(about=traced, trials=seeds),))
    found = []
    for record, _ in asking.trials[traced]:
        failed = [f"{run.name}: {run.error}" for run in record.preludes if run.error]
        folder = asking.session.workplace.artifacts(record.key)
        if failed or not {TRACE_FILE, INITIAL_FILE} <= {path.name for path in folder.glob("*")}:
            why = "; ".join(failed) or record.message or "no training step was seen"
            raise _NothingWrittenError(f"{about} could not be traced: {why}.")
        found.append({name: (folder / name).read_text("utf-8", "replace") for name in (TRACE_FILE, INITIAL_FILE)})
    return found
