"""The verdict of one trial: how its process ended first, then the series of the judged metric."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

from runner.matrix.model import Judging
from runner.outcomes.child_processes import of_children
from runner.outcomes.fingerprint import signal_name
from runner.outcomes.fits import adversaries, companions, judged_fit
from runner.outcomes.judge import Value
from runner.outcomes.judge import judge as judge_series
from runner.outcomes.reported_metric import ReportedMetric, seen
from runner.outcomes.verdict import Basis, Label, Reference, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.criterion import Comparison
    from runner.trials.record import Record, ScriptException, Stage

_OUT_OF_MEMORY = re.compile(r"ResourceExhausted|OOM when allocating|CUDA_ERROR_OUT_OF_MEMORY|MemoryError|bad_alloc")
_DOWNLOAD = re.compile(
    r"gaierror|name resolution|Name or service not known|urlopen error|URL fetch failure|ConnectionError"
    r"|Max retries exceeded|Failed to establish a new connection|Network is unreachable"
)
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True, kw_only=True)
class TrialEnding:
    """The end of a trial's process. `exception` is "type: message"; `text` is where other causes are looked for."""

    stage: Stage
    exit: int | None = None
    exception: str | None = None
    signal: int | str | None = None
    oom_killed: bool = False
    timed_out: bool = False
    disk_full: bool = False
    orderly: bool | None = None
    """True where the interpreter shut down in order; None where that is not known."""
    message: str | None = None
    """The engine's words about the end."""
    text: str = ""

    @property
    def ended_well(self) -> bool:
        """True where the script ran to its own end; one that was told to stop did not, whatever it then returned."""
        return self.exit == 0 and not self.timed_out

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
    if _exception_name(ending.exception) in _IMPORT_ERRORS:
        return Label.CRASHED_IMPORT, f"{ending.in_words} {where}"
    return _crash(ending.stage), f"{ending.in_words} {where}"


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
            return Label.CRASHED_IMPORT
        case "build-model":
            return Label.CRASHED_BUILD_MODEL
        case "training":
            return Label.CRASHED_TRAINING
        case "after-training":  # what the training did was not reported: a crash after it says nothing of it
            return Label.NO_METRICS
        case _:
            assert_never(stage)


_AS_USUAL = Judging()


def label_trial(
    *,
    stage: Stage,
    exit: int | None = None,  # noqa: A002 - the word of docs/verdicts.md and of its conformance cases
    exception: str | None = None,
    signal: int | str | None = None,
    oom_killed: bool = False,
    timed_out: bool = False,
    disk_full: bool = False,
    orderly: bool | None = None,
    probe_started: bool = True,
    series: Sequence[Value] | None = None,
    judge: Mapping[str, Any] | None = None,
    message: str | None = None,
    text: str = "",
) -> Verdict:
    """Label a trial by how its process ended and by the series of its judged metric.

    `exception` is "type: message"; `message` is what the engine says of the end; `orderly` whether the interpreter shut
    down in order (None: not known). `judge` holds arguments of `judge`.
    `text` is more of what the trial said of its end (a chain of exceptions, the tail of the log), searched for lack of
    memory and failed downloads. There is no label of its own for a full disk: it is the crash of the stage that it
    happened in, and the reason says so.
    """
    ending = TrialEnding(
        stage=stage,
        exit=exit,
        exception=exception,
        signal=signal,
        oom_killed=oom_killed,
        timed_out=timed_out,
        disk_full=disk_full,
        orderly=orderly,
        message=message,
        text=text,
    )
    if stage in {"image-build", "install"}:
        label, reason = failure(ending)
        return Verdict(label=label, basis=Basis.PROCESS, reason=reason)
    if not probe_started:
        reason = f"the probe never said that it started: nothing is known of the script ({ending.in_words})"
        return Verdict(label=Label.UNKNOWN, basis=Basis.PROCESS, reason=reason)
    arguments = dict(judge or {})
    if not ending.ended_well:
        arguments["planned"] = None  # a script that was stopped did not stop itself
    return _ended(ending, judge_series(series or (), **arguments))


def _ended(ending: TrialEnding, verdict: Verdict) -> Verdict:
    """The verdict of the series, unless the way the process ended overrules it."""
    if ending.ended_well:
        return verdict.with_flags("left-without-shutdown") if ending.left_early else verdict
    label, reason = failure(ending)
    if ending.stage == "after-training" and (verdict.basis is not Basis.NO_VALUE or label is Label.NO_METRICS):
        verdict = replace(verdict, reason=f"{verdict.reason}; then: {reason}")
        return verdict.with_flags("crashed-after-training")
    if verdict.basis is Basis.TARGET:
        verdict = replace(verdict, reason=f"{verdict.reason}; then: {reason}")
        return verdict.with_flags(f"target-met-before-{label}")
    shape = None if verdict.basis is Basis.NO_VALUE else verdict.label
    return replace(verdict, label=label, basis=Basis.PROCESS, reason=reason, shape=shape)


def verdict_of(
    record: Record,
    criterion: tuple[Comparison, ...] = (),
    *,
    judging: Judging = _AS_USUAL,
    reference: Reference | None = None,
) -> Verdict:
    """Judge a record by a criterion, whose comparisons must all hold; the first one names the judged metric.

    Without a criterion the shape of `judging.metric` is judged, and where a `reference` is known the level that it
    settled at. A trial that crashed can still have met its target before.
    """
    if record.stage in {"image-build", "install"}:
        return _without_trial(record)
    target = criterion[0] if criterion else None
    metric = judging.metric if target is None else target.metric
    found = judged_fit(record, metric, judging, target)
    unmet = (_unmet(record, comparison, judging, found) for comparison in criterion[1:])
    arguments = {
        "metric": judging.metric,
        "mode": judging.mode or found.mode,
        "target": target,
        "at": judging.at,
        "planned": found.planned,
        "skip": judging.skip,
        "steps": found.steps,
        "ref": None if reference is None else reference.final,
        "ref_scale": None if reference is None else reference.scale,
        "unmet": tuple(reason for reason in unmet if reason is not None),
    }
    verdict = label_trial(
        stage=record.stage,
        exit=record.exit_code,
        exception=_in_words(record.exception),
        signal=record.signal,
        oom_killed=record.oom_killed,
        timed_out=record.timed_out,
        disk_full=record.disk_full,
        orderly=record.orderly,
        probe_started=record.probe_started,
        series=found.values,
        judge=arguments,
        message=record.message,
        text=_chain(record.exception) if record.exception is not None else record.log_tail,
    )
    if verdict.label is Label.NO_METRICS:
        names = ", ".join(seen(record)) or "nothing"
        verdict = replace(verdict, reason=f"{verdict.reason}; what was reported: {names}")
    beside, children = companions(record, found, metric, judging), of_children(record, found)
    adversary = adversaries(record, found) if target is None and metric == "loss" else None
    notes = (*filter(None, [adversary]), *beside.notes, *children.notes)
    verdict = replace(verdict, reason="; ".join((verdict.reason, *notes)))
    return verdict.with_flags(*_flags(found), *beside.flags, *children.flags)


def _without_trial(record: Record) -> Verdict:
    """The verdict of a cell that no trial could be run of."""
    label, _ = failure(TrialEnding(stage=record.stage))
    return Verdict(
        label=Label.UNRESOLVABLE if record.unresolvable else label,
        basis=Basis.PROCESS,
        reason=record.message or "no reason was given",
    )


def _unmet(record: Record, comparison: Comparison, judging: Judging, beside: ReportedMetric) -> str | None:
    """Why a comparison does not hold in a record; None where it does."""
    found = judged_fit(record, comparison.metric, judging, comparison, beside)
    verdict = judge_series(found.values, target=comparison, at=judging.at, skip=judging.skip, steps=found.steps)
    if verdict.label is Label.CONVERGED:
        return None
    if verdict.end is None:
        return f"{comparison} ({comparison.metric} has no value)"
    return f"{comparison} (ended at {verdict.end:.4g})"


def _in_words(exception: ScriptException | None) -> str | None:
    return None if exception is None else f"{exception.type}: {exception.message}"


def _chain(exception: ScriptException) -> str:
    """The exceptions of a traceback that led to the last one: its lines but for frames and their source."""
    return "\n".join(line for line in exception.traceback.splitlines() if not line.startswith(" "))


def _flags(found: ReportedMetric) -> tuple[str, ...]:
    joined = (f"joined-{len(found.phases)}-phases",) if len(found.phases) > 1 else ()
    return (*joined, *(f"nonfinite:{name}" for name in found.non_finite))
