"""The verdict of one trial: its label, the rule behind it, a sentence to check it by, and its numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.matrix.model import Mode
    from runner.outcomes.labels import Label


class Basis(enum.StrEnum):
    """What a label rests on; R1 to R11 are the rules of VERDICTS.md, 2."""

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
    TARGET_MISSED = "target-missed"  # R9
    ABOVE_BASELINE = "above-baseline"  # R10
    REFERENCE = "reference"  # R10
    SHAPE = "shape"  # R11


@dataclass(frozen=True, kw_only=True)
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
    """Which way the metric gets better."""
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
    """How many finite values were judged."""
    first_non_finite_epoch: int | None = None
    first_non_finite_step: int | None = None
    first_met_epoch: int | None = None
    """The first epoch that met the target."""

    def with_flags(self, *flags: str) -> Verdict:
        """The same verdict with more flags."""
        return replace(self, flags=(*self.flags, *(flag for flag in flags if flag not in self.flags)))


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The level of a baseline: medians over its successful trials, in the metric's own units (VERDICTS.md, R10)."""

    final: float
    scale: float
    """The starting loss S."""
