"""The verdict of one trial: its label, how that counts, the rule behind it, a sentence to check it by, its numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from runner.matrix.criterion import Measure
    from runner.matrix.model import Mode


class Label(enum.StrEnum):
    """The label of one trial.

    The order breaks ties: of two labels seen equally often a cell is named after the first.
    """

    UNRESOLVABLE = "unresolvable"
    IMAGE_BUILD_FAILED = "image-build-failed"
    INSTALL_FAILED = "install-failed"
    UNKNOWN = "unknown"
    OUT_OF_MEMORY = "out-of-memory"
    DOWNLOAD_FAILED = "download-failed"
    TIMEOUT = "timeout"
    CRASHED_IMPORT = "crashed-import"
    CRASHED_AT_START = "crashed-at-start"
    CRASHED_BUILD_MODEL = "crashed-build-model"
    CRASHED_TRAINING = "crashed-training"
    CRASHED_AFTER_TRAINING = "crashed-after-training"
    NO_METRICS = "no-metrics"
    NAN = "nan"
    CONVERGED = "converged"
    DIVERGED = "diverged"
    TOO_SHORT = "too-short"
    TOO_CLOSE = "too-close"
    OSCILLATING = "oscillating"
    PLATEAUED = "plateaued"
    MISSED = "missed"
    IMPROVING = "improving"
    UNCONVERGED = "unconverged"
    SETTLED = "settled"


CRASHES = frozenset(
    {
        Label.CRASHED_IMPORT,
        Label.CRASHED_AT_START,
        Label.CRASHED_BUILD_MODEL,
        Label.CRASHED_TRAINING,
        Label.CRASHED_AFTER_TRAINING,
    }
)
"""The labels of trials that ended with an exception of their own, a signal or an exit code that is not 0."""


BY_CHANCE = frozenset({Label.CRASHED_TRAINING, Label.CRASHED_AFTER_TRAINING})
"""Of these those that broke when chance had played its part already."""


class Standing(enum.Enum):
    """The way that a label counts for its cell."""

    SUCCESS = "success"
    FAILURE = "failure"
    BREAK = "break"
    """A failure too: the trial ended in a way that is not training."""
    NOT_COUNTED = "not counted"
    BLOCKED = "blocked"
    """The script was never put to the test."""

    @property
    def counts(self) -> bool:
        """True where the trial is an observation of its cell."""
        return self in {Standing.SUCCESS, Standing.FAILURE, Standing.BREAK}


def standing(label: Label) -> Standing:
    """The standing of `label` for its cell; a new label must be given its standing here."""
    match label:
        case Label.CONVERGED | Label.SETTLED:
            return Standing.SUCCESS
        case (
            Label.IMPROVING
            | Label.UNCONVERGED
            | Label.PLATEAUED
            | Label.MISSED
            | Label.DIVERGED
            | Label.NAN
            | Label.OSCILLATING
        ):
            return Standing.FAILURE
        case (
            Label.CRASHED_IMPORT
            | Label.CRASHED_AT_START
            | Label.CRASHED_BUILD_MODEL
            | Label.CRASHED_TRAINING
            | Label.CRASHED_AFTER_TRAINING
            | Label.TIMEOUT
            | Label.OUT_OF_MEMORY
        ):
            return Standing.BREAK
        case Label.TOO_SHORT | Label.TOO_CLOSE | Label.NO_METRICS | Label.UNKNOWN:
            return Standing.NOT_COUNTED
        case Label.UNRESOLVABLE | Label.IMAGE_BUILD_FAILED | Label.INSTALL_FAILED | Label.DOWNLOAD_FAILED:
            return Standing.BLOCKED
        case _:
            assert_never(label)


def runs_alike(label: Label) -> int:
    """The number of trials with this label, ending alike, that decide a cell; what never ran the script needs one."""
    return 1 if label in {Label.UNRESOLVABLE, Label.IMAGE_BUILD_FAILED, Label.INSTALL_FAILED} else 2


class Basis(enum.StrEnum):
    """The rule that a label rests on; R1 to R11 are the rules of docs/verdicts.md."""

    PROCESS = "process"  # how the trial ended
    NO_VALUE = "no-value"  # the judged metric was never reported
    NON_FINITE = "non-finite"  # R1
    TARGET = "target"  # R2
    ABOVE_START = "above-start"  # R3
    FEW_EPOCHS = "few-epochs"  # R4
    REVERSALS = "reversals"  # R5
    ABOVE_OWN_BEST = "above-own-best"  # R6
    NEVER_LEARNED = "never-learned"  # R7
    TREND = "trend"  # R8
    TARGET_MISSED = "target-missed"  # R4, R9
    ABOVE_BASELINE = "above-baseline"  # R10
    REFERENCE = "reference"  # R10
    SHAPE = "shape"  # R11
    WARNING = "convergence-warning"  # in the place of R4, R11 and no value
    COST = "cost"  # what it may cost is all that is in question


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The label of one trial with all that explains it.

    Values are in the metric's own units, whichever direction is better; epochs and steps count from 1.
    """

    label: Label
    basis: Basis
    reason: str
    flags: tuple[str, ...] = ()
    metric: str = "loss"
    mode: Mode = "min"
    """The direction in which the metric gets better."""
    shape: Label | None = None
    """Where the way the trial ended decided the label: what the series looked like until then."""
    y0: float | None = None
    """The first finite value."""
    end: float | None = None
    """The last finite value (the best one so far with `at="best"`)."""
    final: float | None = None
    """The median of the last max(3, n // 10) values; `end` where n < 15."""
    best: float | None = None
    scale: float | None = None
    """The starting loss S: every threshold is a share of it."""
    n: int = 0
    """The number of finite values that were judged."""
    first_non_finite_epoch: int | None = None
    first_non_finite_step: int | None = None
    first_met_epoch: int | None = None
    """The first epoch that met the target."""
    exceeds: Measure | None = None
    """What it takes too much of, where that decides."""

    @property
    def called(self) -> str:
        """The label as it is listed: `no-metrics (test_mae)` names the metric that has no value."""
        return f"{self.label} ({self.metric})" if self.label is Label.NO_METRICS else str(self.label)

    def with_flags(self, *flags: str) -> Verdict:
        """The same verdict with more flags."""
        if not flags:
            return self
        new = [flag for flag in flags if flag not in self.flags]
        return replace(self, flags=(*self.flags, *new)) if new else self

    def noting(self, *notes: str) -> Verdict:
        """The same verdict with more sentences after its reason."""
        return replace(self, reason="; ".join((self.reason, *notes))) if notes else self


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The level of a baseline: medians over its successes, in the metric's own units (docs/verdicts.md, R10)."""

    final: float
    scale: float
    """The starting loss S."""
