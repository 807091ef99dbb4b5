"""The verdict of one trial: how its process ended first, then the series of the judged metric."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from runner.matrix.model import Judging
from runner.outcomes.child_processes import judged_rank, of_children
from runner.outcomes.costs import within_costs
from runner.outcomes.failures import advice, unreported
from runner.outcomes.fingerprint import message_told, raised_at_import, signal_name
from runner.outcomes.fits import adversaries, companions, judged_fit, unconverged
from runner.outcomes.judge import JudgingTerms, judge
from runner.outcomes.reported_metric import ReportedMetric, has_finite_weights, is_of_before, reported, trainings
from runner.outcomes.tally import NOT_NOW
from runner.outcomes.verdict import Basis, Label, Reference, Verdict
from runner.trials.record import PRINTED_PHASE, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.criterion import Comparison
    from runner.matrix.model import ExitCode
    from runner.outcomes.judge import Value
    from runner.trials.record import Record, ScriptException, Stage

_OUT_OF_MEMORY = re.compile(r"ResourceExhausted|OOM when allocating|CUDA_ERROR_OUT_OF_MEMORY|MemoryError|bad_alloc")
_DOWNLOAD = re.compile(
    r"gaierror|name resolution|Name or service not known|urlopen error|URL fetch failure|ConnectionError"
    r"|Max retries exceeded|Failed to establish a new connection|Network is unreachable"
)
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True, kw_only=True)
class TrialEnding:
    """The end of a trial's process. `exception` is "type: message"."""

    stage: Stage
    exit: int | None = None
    exception: str | None = None
    signal: int | str | None = None
    oom_killed: bool = False
    timed_out: bool = False
    disk_full: bool = False
    orderly: bool | None = None
    """True where the interpreter shut down in order; None where that is not known."""
    at_import: bool = False
    """True where the exception was raised inside the import of an installed distribution."""
    exit_code: ExitCode = "zero"
    """`any`: how the script ended after the training does not matter."""
    in_fit: bool = True
    """False where no `fit` was under way, and so nothing tells whether the training was over."""
    message: str | None = None
    """The engine's words about the end."""
    text: str = ""
    """More of what the trial said of its end (a chain of exceptions, the tail of the log), searched for lack of memory
    and failed downloads."""

    @property
    def ended_well(self) -> bool:
        """True where the script ran to its own end; one that was told to stop did not, whatever it then returned."""
        return self.exit == 0 and not self.timed_out

    @property
    def is_judged(self) -> bool:
        """True where the trial is judged by its series."""
        return self.ended_well or (self.exit_code == "any" and (self.stage == "after-training" or self._left_a_loop))

    @property
    def _left_a_loop(self) -> bool:
        """True where a script that trains in a way of its own ended by `sys.exit`: then its training was over."""
        own = self.stage == "training" and not self.in_fit
        by_itself = self.exception is None and self.exit is not None and not (self.oom_killed or self.timed_out)
        return own and by_itself and self.orderly is True

    @property
    def left_early(self) -> bool:
        """True where it gave exit code 0 without a shutdown: `os._exit(0)`, from anywhere in the script."""
        return self.ended_well and self.orderly is False

    @property
    def in_words(self) -> str:
        """The ending in a few words."""
        if self.disk_full:
            return f"ran out of disk space{f' ({self.exception})' if self.exception else ''}"
        if self.message:
            return self.message
        if self.exception:
            return self.exception
        if self.signal is not None:
            return f"ended by {signal_name(self.signal)}"
        if self.exit is None:
            return "ended, nobody knows how"
        return f"ended with exit code {self.exit}{', with no shutdown (os._exit)' if self.orderly is False else ''}"


def failure(ending: TrialEnding) -> tuple[Label, str]:
    """The label and reason of a process that did not end well (docs/verdicts.md: the first row that matches)."""
    where = f"in stage {ending.stage}"
    text = f"{ending.exception or ''}\n{ending.text}"
    if ending.oom_killed:
        return Label.OUT_OF_MEMORY, f"killed {where}: it needed more memory than it may have"
    if found := _OUT_OF_MEMORY.search(text):
        return Label.OUT_OF_MEMORY, f"out of memory {where} ({found.group()}): {ending.in_words}"
    if found := _DOWNLOAD.search(text):
        return Label.DOWNLOAD_FAILED, f"wanted something from outside {where} ({found.group()}): {ending.in_words}"
    if ending.timed_out:
        return Label.TIMEOUT, f"the time was up {where}"
    by_signal = ending.stage == "import" and ending.signal is not None
    imports = by_signal or ending.at_import or _exception_name(ending.exception) in _IMPORT_ERRORS
    label = Label.CRASHED_IMPORT if imports else _crash(ending.stage)
    return label, ending.in_words if label is Label.CRASHED_AFTER_TRAINING else f"{ending.in_words} {where}"


def _exception_name(exception: str | None) -> str:
    """`ImportError` of "builtins.ImportError: No module named …"."""
    return (exception or "").partition(":")[0].strip().rpartition(".")[2]


def _crash(stage: Stage) -> Label:
    match stage:
        case "image-build":
            return Label.IMAGE_BUILD_FAILED
        case "install":
            return Label.INSTALL_FAILED
        case "import":
            return Label.CRASHED_AT_START
        case "build-model":
            return Label.CRASHED_BUILD_MODEL
        case "training":
            return Label.CRASHED_TRAINING
        case "after-training":
            return Label.CRASHED_AFTER_TRAINING
        case _:
            assert_never(stage)


_AS_USUAL = Judging()
_ANY_LOSS = JudgingTerms()
_IN_PLACE_OF_LOSS = ("train_loss", "training_loss", "score")
"""How custom loops call their loss; and what `score` returned."""


def label_trial(
    ending: TrialEnding,
    values: Sequence[Value] = (),
    terms: JudgingTerms = _ANY_LOSS,
    *,
    probe_started: bool = True,
) -> Verdict:
    """Label a trial by how its process ended and by the series of its judged metric, of which `values` are an epoch's.

    There is no label of its own for a full disk: it is the crash of the stage that it happened in, and the reason says
    so.
    """
    if ending.stage in {"image-build", "install"}:
        label, reason = failure(ending)
        return Verdict(label=label, basis=Basis.PROCESS, reason=reason)
    if not probe_started:
        reason = f"the probe never said that it started: nothing is known of the script ({ending.in_words})"
        return Verdict(label=Label.UNKNOWN, basis=Basis.PROCESS, reason=reason)
    if not ending.is_judged and ending.stage != "after-training":
        terms = replace(terms, planned=None, complete=False)  # a script that was stopped did not stop itself
    return _ended(ending, judge(values, terms))


def _ended(ending: TrialEnding, verdict: Verdict) -> Verdict:
    """The verdict of the series, unless the way the process ended overrules it."""
    if ending.ended_well:
        return verdict.with_flags("left-without-shutdown") if ending.left_early else verdict
    label, reason = failure(ending)
    if ending.is_judged:
        verdict = replace(verdict, reason=f"{verdict.reason}; then: {reason}")
        return verdict.with_flags("crashed-after-training")
    if ending.stage == "after-training":
        reason = f"{_came_to(verdict)}, then {reason}"
    elif verdict.basis is Basis.TARGET:
        reason = f"{reason}; the target was met already: {verdict.reason}"
    shape = None if verdict.basis is Basis.NO_VALUE else verdict.label
    return replace(verdict, label=label, basis=Basis.PROCESS, reason=reason, shape=shape)


def _came_to(verdict: Verdict) -> str:
    """What the training had come to: `converged at loss 0.0056`."""
    if verdict.basis in {Basis.NO_VALUE, Basis.NON_FINITE} or verdict.end is None:
        return verdict.reason
    return f"{verdict.label} at {verdict.metric} {verdict.end:.3g}"


def verdict_of(
    record: Record,
    criterion: tuple[Comparison, ...] = (),
    *,
    judging: Judging = _AS_USUAL,
    reference: Reference | None = None,
) -> Verdict:
    """Judge a record by a criterion, whose comparisons must all hold; the first one names the judged metric.

    Without a criterion the shape of `judging.metric` is judged, and where a `reference` is known the level that it
    settled at. A trial that crashed can still have met its target before. Limits of what it may cost come last.
    """
    if record.stage in {"image-build", "install"}:
        return _without_trial(record)
    target = criterion[0] if criterion else None
    metric = _by_itself(record, judging.metric) if target is None else target.metric
    whole, record = record, judged_rank(record, metric)
    found = judged_fit(record, metric, judging, target)
    unmet = (_unmet(record, comparison, judging, found) for comparison in criterion[1:])
    terms = JudgingTerms(
        metric=metric,
        mode=judging.mode or found.mode,
        target=target,
        at=judging.at,
        planned=found.planned,
        skip=judging.skip,
        steps=found.steps,
        ref=None if reference is None else reference.final,
        ref_scale=None if reference is None else reference.scale,
        unmet=tuple(reason for reason in unmet if reason is not None),
        finite_weights=has_finite_weights(record, found.phases),
    )
    ending = _ending(record, judging)
    verdict = label_trial(ending, found.values, terms, probe_started=record.probe_started)
    verdict = _unreported(verdict, record, criterion)
    verdict = unconverged(verdict, record, found, has_criterion=bool(criterion))
    verdict = verdict.with_flags(*_flags(found, record))
    verdict = _with_companions(verdict, record, found, metric, judging, by_default=target is None and metric == "loss")
    children = of_children(whole, found, metric, judging.fits)
    verdict = verdict.noting(*children.notes, *advice(record)).with_flags(*children.flags)
    return within_costs(verdict, whole, judging.costs, alone=not criterion)


def _ending(record: Record, judging: Judging) -> TrialEnding:
    """The end of a trial, as its record has it."""
    return TrialEnding(
        stage=record.stage,
        exit=record.exit_code,
        exception=_in_words(record.exception),
        signal=record.signal,
        oom_killed=record.oom_killed,
        timed_out=record.timed_out,
        disk_full=record.disk_full,
        orderly=record.orderly,
        at_import=record.exception is not None and raised_at_import(record.exception),
        exit_code=judging.exit_code,
        in_fit=any(kind_of(phase.name) == "fit" and not phase.finished for phase in record.phases),
        message=record.message,
        text=_chain(record.exception) if record.exception is not None else record.log_tail,
    )


def _by_itself(record: Record, metric: str) -> str:
    """The metric that is judged without a criterion: where no training tells a loss, what else may stand for it."""
    others = _IN_PLACE_OF_LOSS if metric == "loss" and not trainings(record, metric) else ()
    return next((name for name in others if trainings(record, name)), metric)


def _with_companions(
    verdict: Verdict, record: Record, judged: ReportedMetric, metric: str, judging: Judging, *, by_default: bool
) -> Verdict:
    """The verdict with what is to be told of other trainings of the process, and of how it came about."""
    beside = companions(record, judged, metric, judging)
    notes = [*beside.notes]
    if by_default and (adversary := adversaries(record, judged)) is not None:
        notes.insert(0, adversary)
    if verdict.label is Label.NO_METRICS and is_of_before(record, metric):
        notes.insert(0, "the trial ran before such results were recorded: `run --again` runs it once more")
    return verdict.noting(*notes).with_flags(*beside.flags)


def _unreported(verdict: Verdict, record: Record, criterion: tuple[Comparison, ...]) -> Verdict:
    """`no-metrics` where a metric of the criterion has no value, with what was reported and what to do.

    NaN stands: a training that ended there has failed by any criterion.
    """
    if verdict.basis in {Basis.PROCESS, Basis.NON_FINITE}:
        return verdict
    missing = [verdict.metric] if verdict.label is Label.NO_METRICS else []
    missing += [one.metric for one in criterion[1:] if set(reported(record, one.metric).values) <= {None}]
    if not missing:
        return verdict
    return replace(
        verdict,
        label=Label.NO_METRICS,
        basis=Basis.NO_VALUE,
        metric=missing[0],
        reason=unreported(record, missing),
    )


def _without_trial(record: Record) -> Verdict:
    """The verdict of a cell that no trial could be run of."""
    label, _ = failure(TrialEnding(stage=record.stage))
    return Verdict(
        label=Label.UNRESOLVABLE if record.unresolvable else label,
        basis=Basis.PROCESS,
        reason=record.message or "no reason was given",
        flags=(NOT_NOW,) if record.passing else (),
    )


def _unmet(record: Record, comparison: Comparison, judging: Judging, beside: ReportedMetric) -> str | None:
    """Why a comparison does not hold in a record; None where it does."""
    found = judged_fit(record, comparison.metric, judging, comparison, beside)
    terms = JudgingTerms(target=comparison, at=judging.at, skip=judging.skip, steps=found.steps)
    verdict = judge(found.values, terms)
    if verdict.label is Label.CONVERGED:
        return None
    if verdict.end is None:
        return f"{comparison} ({comparison.metric} has no value)"
    return f"{comparison} (ended at {verdict.end:.4g})"


def _in_words(exception: ScriptException | None) -> str | None:
    return None if exception is None else f"{exception.type}: {message_told(exception.message)}"


def _chain(exception: ScriptException) -> str:
    """The exceptions of a traceback that led to the last one: its lines but for frames and their source."""
    return "\n".join(line for line in exception.traceback.splitlines() if not line.startswith(" "))


def _flags(found: ReportedMetric, record: Record) -> tuple[str, ...]:
    joined = (f"joined-{len(found.phases)}-phases",) if len(found.phases) > 1 else ()
    cut = ("log-truncated",) if record.log_truncated and PRINTED_PHASE in found.phases else ()
    return (*joined, *cut, *(f"nonfinite:{name}" for name in found.non_finite))
