"""The first training step in which two cells differ, started from the same weights and given the same batches.

The tools ride as preludes: what they add to a trial is written beside the records and named by its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.explain.switches import with_prelude, written
from runner.investigate.question import Question
from runner.investigate.trace import TraceError, parse_trace
from runner.investigate.trace_difference import first_difference
from runner.outcomes.account import TraceFinding
from runner.preludes.prelude import INITIAL_FILE, TRACE_FILE, fixed_order, initial_weights, tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.explain.experimenter import Experimenter
    from runner.investigate.question import Combination
    from runner.investigate.trace import Trace
    from runner.preludes.prelude import Prelude


STEPS = 200
_TWICE = 2
"""Trials of each side: what the same cell does twice is no difference."""
TRIALS = 2 + 2 * _TWICE
"""Of a whole trace: one of each side for its initial weights, then those that are compared."""


UNSEEN = (
    "no training step was seen; those of Keras' fit and train_on_batch and of PyTorch's optimizers are, those inside of"
    " a compiled function (jax.jit), around a GradientTape or in scikit-learn are not: a tape can be the model's"
    " train_step, which fit runs; any other loop can report its loss at every step ($RUNNER_METRICS), so that the"
    " curves of the two cells show where they part"
)

InitialWeights = tuple[str, str]
"""The initial weights of the good and of the bad cell, as the tracer wrote them."""


def compare_steps(
    experimenter: Experimenter, good: Combination, bad: Combination, *, steps: int = STEPS
) -> tuple[TraceFinding, InitialWeights | None]:
    """The step at which the two cells first differ, and their initial weights; None where the tracer wrote none.

    Raises BudgetSpentError where no trial is left.
    """
    tracer = experimenter.keeping(TRACE_FILE, INITIAL_FILE)
    initial = None
    try:
        first, second = (_files(tracer, one, [tracing(steps)], seeds=1)[0][INITIAL_FILE] for one in (good, bad))
        initial = first, second
        tools = [initial_weights(first), fixed_order(), tracing(steps)]
        ours, theirs = (
            [parse_trace(files[TRACE_FILE]) for files in _files(tracer, one, tools, seeds=_TWICE)]
            for one in (good, bad)
        )
    except (_NothingWrittenError, UsageError, TraceError) as error:
        return TraceFinding(sentence="", step=0, recorded=0, last=0, notes=(str(error),)), initial
    found = first_difference(ours[0], theirs[0], repeats=_pairs(ours, theirs))
    note = (
        "Both started from the initial weights of the good cell, and took their batches in the order of the data,"
        " also where the script shuffles."
    )
    finding = TraceFinding(
        sentence=found.sentence(), step=found.step, recorded=found.recorded, last=found.last, notes=(note,)
    )
    return finding, initial


class _NothingWrittenError(Exception):
    """A traced trial left no trace."""


def _pairs(*sides: Sequence[Trace]) -> list[tuple[Trace, Trace]]:
    return [(side[0], other) for side in sides for other in side[1:]]


def _files(tracer: Experimenter, about: Combination, tools: Sequence[Prelude], *, seeds: int) -> list[dict[str, str]]:
    """The files that the trials of a cell with these tools wrote, by name, a dict a trial.

    Raises _NothingWrittenError where a trial wrote none, or a tool said that it could not do its work.
    """
    traced = with_prelude(about, *(written(tracer, tool) for tool in tools))
    tracer.answer((Question(about=traced, trials=seeds),))
    found = []
    for record, _ in tracer.trials[traced]:
        failed = [f"{run.name}: {run.error}" for run in record.preludes if run.error]
        folder = tracer.laboratory.equipment.workplace.artifacts(record.key)
        if failed or not {TRACE_FILE, INITIAL_FILE} <= {path.name for path in folder.glob("*")}:
            why = "; ".join(failed) or record.message or UNSEEN
            raise _NothingWrittenError(f"{about} could not be traced: {why}.")
        found.append({name: (folder / name).read_text("utf-8", "replace") for name in (TRACE_FILE, INITIAL_FILE)})
    return found
