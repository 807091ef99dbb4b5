"""The first place in which two cells differ: what their calls are given, a training step, what is made of its end.

They start from the same weights and take the same batches.

The tools ride as preludes: what they add to a trial is written beside the records and named by its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.explain.switches import with_prelude, written
from runner.investigate.call_difference import CallsError, first_given_difference, first_later_difference, parse_calls
from runner.investigate.question import Question
from runner.investigate.trace import TraceError, parse_trace
from runner.investigate.trace_difference import Where, first_difference
from runner.outcomes.account import TraceFinding
from runner.outcomes.fits import judged_fit
from runner.preludes.prelude import (
    CALLS_FILE,
    INITIAL_FILE,
    TRACE_FILE,
    calls,
    fixed_order,
    initial_weights,
    tracing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from runner.explain.experimenter import Experimenter
    from runner.investigate.call_difference import CallDifference
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

if TYPE_CHECKING:
    _Looked: TypeAlias = Sequence[Sequence[dict[str, str]]]
    """By side and trial the files that were written, by name."""

InitialWeights = tuple[str, str]
"""The initial weights of the good and of the bad cell, as the tracer wrote them."""


def compare_steps(
    experimenter: Experimenter, good: Combination, bad: Combination, *, steps: int = STEPS
) -> tuple[TraceFinding, InitialWeights | None]:
    """The first place at which the two cells differ, and their initial weights; None where the tracer wrote none.

    What their calls are given comes first, then the steps of the training that is judged, then what callbacks did and
    calls returned. Raises BudgetSpentError where no trial is left.
    """
    tracer = experimenter.keeping(TRACE_FILE, INITIAL_FILE, CALLS_FILE)
    fit = judged_fit_of(experimenter, bad)
    looked = [_files(tracer, one, [tracing(steps, fit), calls()], seeds=1) for one in (good, bad)]
    try:
        first, second = (_whole(files[0])[INITIAL_FILE] for files in looked)
    except _NothingWrittenError as error:
        return _of_calls(looked, str(error)), None
    initial = first, second
    try:
        tools = [initial_weights(first, fit), fixed_order(), tracing(steps, fit), calls()]
        looked = [_files(tracer, one, tools, seeds=_TWICE) for one in (good, bad)]
        ours, theirs = ([parse_trace(_whole(files)[TRACE_FILE]) for files in side] for side in looked)
    except (_NothingWrittenError, UsageError, TraceError) as error:
        return _of_calls(looked, str(error)), initial
    return _of_steps(ours, theirs, looked, fit), initial


def compare_calls(experimenter: Experimenter, good: Combination, bad: Combination) -> TraceFinding | None:
    """The first difference in what the calls of two cells are given, where one never trains; None where none is seen.

    Raises BudgetSpentError where no trial is left.
    """
    tracer = experimenter.keeping(CALLS_FILE)
    looked = [_files(tracer, one, [calls()], seeds=_TWICE) for one in (good, bad)]
    found = _of_calls(looked, "")
    return found if found.sentence else None


def judged_fit_of(experimenter: Experimenter, about: Combination) -> int:
    """The number of the `fit` that is judged; 1 where it is no `fit`, or that is not known."""
    for record, verdict in experimenter.trials.get(about, ()):
        phases = judged_fit(record, verdict.metric, experimenter.matrix.judging, None).phases if verdict.metric else ()
        number = phases[-1].rpartition("fit-")[2] if phases else ""
        if number.isdecimal() and phases[-1] == f"fit-{number}":
            return int(number)
    return 1


def _of_steps(ours: Sequence[Trace], theirs: Sequence[Trace], looked: _Looked, fit: int) -> TraceFinding:
    found = first_difference(ours[0], theirs[0], repeats=_pairs(ours, theirs))
    given, later = _differing_calls(looked)
    parts = [given.sentence()] if given else []
    if not (given and found.where is Where.BATCHES):
        parts.append(found.sentence())
    if later and found.where is Where.NOWHERE:
        parts.append(f"The training agrees to the last step; what differs comes after. {later.sentence()}")
    start = "initial weights" if fit == 1 else f"weights that the good cell has before its fit {fit}, which is judged"
    note = (
        f"Both started from the {start} of the good cell, and took their batches in the order of the data,"
        " also where the script shuffles."
        if fit == 1
        else f"Both started from the {start}, and took their batches in the order of the data."
    )
    return TraceFinding(
        sentence=" ".join(parts),
        step=found.step,
        recorded=found.recorded,
        last=found.last,
        notes=(note,),
        given=bool(given),
    )


def _of_calls(looked: _Looked, why: str) -> TraceFinding:
    """What is known where no step could be compared: the first difference in what was given, and why no more."""
    given, _ = _differing_calls(looked)
    sentence = given.sentence() if given else ""
    return TraceFinding(sentence=sentence, step=0, recorded=0, last=0, notes=(why,) if why else (), given=bool(given))


def _differing_calls(looked: _Looked) -> tuple[CallDifference | None, CallDifference | None]:
    """The first difference in what calls were given, and in what came of them; each side is the trials of one cell."""
    try:
        sides = [[parse_calls(files[CALLS_FILE]) for files in side if CALLS_FILE in files] for side in looked]
    except CallsError:
        return None, None
    if not all(sides):
        return None, None
    return first_given_difference(*sides), first_later_difference(*sides)


class _NothingWrittenError(Exception):
    """A traced trial left no trace."""


def _pairs(*sides: Sequence[Trace]) -> list[tuple[Trace, Trace]]:
    return [(side[0], other) for side in sides for other in side[1:]]


def _whole(files: dict[str, str]) -> dict[str, str]:
    """The files of a trial; raises _NothingWrittenError where it has no trace."""
    if not {TRACE_FILE, INITIAL_FILE} <= files.keys():
        raise _NothingWrittenError(files.get("", UNSEEN))
    return files


def _files(tracer: Experimenter, about: Combination, tools: Sequence[Prelude], *, seeds: int) -> list[dict[str, str]]:
    """The files that the trials of a cell with these tools wrote, by name, a dict a trial.

    Under an empty name the reason why there is no trace, where there is none.
    """
    traced = with_prelude(about, *(written(tracer, tool) for tool in tools))
    tracer.answer((Question(about=traced, trials=seeds),))
    found = []
    for record, _ in tracer.trials[traced]:
        failed = [f"{run.name}: {run.error}" for run in record.preludes if run.error]
        folder = tracer.laboratory.equipment.workplace.artifacts(record.key)
        names = [name for name in tracer.artifacts if (folder / name).is_file()]
        files = {name: (folder / name).read_text("utf-8", "replace") for name in names}
        if failed or INITIAL_FILE not in files:
            files.pop(INITIAL_FILE, None)
            files[""] = f"{about} could not be traced: {'; '.join(failed) or record.message or UNSEEN}."
        found.append(files)
    return found or [{}]
