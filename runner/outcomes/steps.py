"""Per-step losses: the batch's own loss, whichever TensorFlow reported them, and the shape of a single epoch.

Up to TensorFlow 2.1 a step reports its batch's own loss, from 2.2 on the running mean of the epoch so far
(tensorflow#58098, #36400).
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from runner.outcomes.quantities import split

if TYPE_CHECKING:
    from collections.abc import Sequence

ENOUGH_STEPS = 100
_BINS = 20


def read_steps(steps: Sequence[float | str | None]) -> tuple[float, ...]:
    """The reported steps as floats; "nan", "inf" and "-inf" may be text."""
    return tuple(float(step) for step in steps if step is not None)


def first_non_finite(steps: Sequence[float]) -> int | None:
    """The first step (from 1) that was not finite; true of both kinds of report."""
    return next((number for number, step in enumerate(steps, 1) if not math.isfinite(step)), None)


def running_means(steps: Sequence[float], epoch_value: float | None) -> bool:
    """Whether steps are running means: then the last one is the epoch's value, else their mean is.

    The values tell by themselves which it was, so that no list of versions has to.
    """
    finite = [step for step in steps if math.isfinite(step)]
    if not finite or epoch_value is None or not math.isfinite(epoch_value):
        return False
    return abs(finite[-1] - epoch_value) < abs(sum(finite) / len(finite) - epoch_value)


def unaverage(means: Sequence[float]) -> tuple[float, ...]:
    """The single losses behind running means: k * m_k - (k - 1) * m_(k-1)."""
    return tuple(
        k * mean - (k - 1) * before for k, (before, mean) in enumerate(zip((0.0, *means), means, strict=False), 1)
    )


def binned(steps: Sequence[float], epoch_value: float | None) -> tuple[float, ...] | None:
    """The shape of one epoch, 20 medians of its steps; None where fewer than 100 steps are finite."""
    own = unaverage(steps) if running_means(steps, epoch_value) else steps
    finite = [step for step in own if math.isfinite(step)]
    if len(finite) < ENOUGH_STEPS:
        return None
    return tuple(median(part) for part in split(finite, _BINS))
