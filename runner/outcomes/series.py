"""The series of a metric: out of a record, under whichever name its Keras gave it, and as the numbers that are judged.

Smaller is always better in a `Series`: a maximised metric is negated on the way in. Up to TensorFlow 2.1 a step reports
its batch's own loss, from 2.2 on the running mean of the epoch so far (tensorflow#58098, #36400).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.model import Mode
    from runner.trials.record import Epoch, Phase, Record

_ALIASES = {
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}
_MAXIMISED = (
    *("acc", "auc", "precision", "recall", "f1", "iou", "io_u", "dice_coef", "r2"),
    *("psnr", "ssim", "bleu", "top_k", "reward"),
)
MOST_POINTS = 120
"""Of a longer series so many epochs are kept."""
NOT_METRICS = frozenset({"lr", "learning_rate"})
"""What Keras writes into its logs beside the metrics."""


def canonical(name: str) -> str:
    """One name for the names that versions of Keras give the same metric: `val_acc` is `val_accuracy`."""
    prefix, plain = ("val_", name[4:]) if name.startswith("val_") else ("", name)
    return prefix + _ALIASES.get(plain, plain)


def direction(name: str) -> Mode:
    """Which way is better, by the metric's name (docs/verdicts.md, "Judged metric")."""
    lower = name.lower()
    return "max" if "loss" not in lower and any(part in lower for part in _MAXIMISED) else "min"


@dataclass(frozen=True, kw_only=True)
class ReportedMetric:
    """What a record has of one metric: a value an epoch, None where the epoch did not report it."""

    values: tuple[float | None, ...]
    steps: tuple[float, ...] = ()
    planned: int | None = None
    joined: int = 1
    """How many phases the values come from."""
    non_finite: tuple[str, ...] = ()
    """Other metrics of the same epochs that were NaN or infinite once."""


def reported(record: Record, metric: str) -> ReportedMetric:
    """The metric's series in the last phase that has it, under whichever name its Keras gave it.

    A script that calls `fit` once an epoch (as stateful networks are trained) makes a phase of each epoch: phases of a
    single epoch, each starting from the very weights that the one before ended with, are one series.
    """
    by_phase: dict[str, list[Epoch]] = {}
    for epoch in record.epochs:
        by_phase.setdefault(epoch.phase, []).append(epoch)
    names = [name for name, epochs in by_phase.items() if any(value_of(e, metric) is not None for e in epochs)]
    steps = tuple(record.steps.get(_last_phase(record, names), ())) if canonical(metric) == "loss" else ()
    if not names:
        return ReportedMetric(values=(), steps=steps)
    phases = {phase.name: phase for phase in record.phases}
    joined = _continued(names, by_phase, phases)
    epochs = [epoch for name in joined for epoch in by_phase[name]]
    last = phases.get(names[-1])
    return ReportedMetric(
        values=tuple(value_of(epoch, metric) for epoch in epochs),
        steps=steps,
        planned=last.planned_epochs if last is not None and len(joined) == 1 else None,
        joined=len(joined),
        non_finite=_non_finite(epochs, metric),
    )


def seen(record: Record) -> tuple[str, ...]:
    """The names of all metrics that were reported, sorted."""
    return tuple(sorted({name for epoch in record.epochs for name in epoch.logs} - NOT_METRICS))


def value_of(epoch: Epoch, metric: str) -> float | None:
    """The epoch's value of a metric: by its exact name, else by one that means the same."""
    if metric in epoch.logs:
        return epoch.logs[metric]
    wanted = canonical(metric)
    return next((value for name, value in epoch.logs.items() if canonical(name) == wanted), None)


def epoch_seconds(record: Record) -> float | None:
    """The median seconds of an epoch, the first one, which also builds and traces, left out; None with fewer than 2."""
    later = [epoch.time_s for epoch in record.epochs[1:] if epoch.time_s is not None]
    return median(later) if later else None


def _last_phase(record: Record, with_metric: list[str]) -> str:
    if with_metric:
        return with_metric[-1]
    return record.phases[-1].name if record.phases else ""


def _continued(names: list[str], by_phase: dict[str, list[Epoch]], phases: dict[str, Phase]) -> list[str]:
    """The last name, with the names before it while all have one epoch and each goes on with the other's weights."""
    joined = [names[-1]]
    for before in reversed(names[:-1]):
        earlier, later = phases.get(before), phases.get(joined[0])
        one_epoch_each = len(by_phase[before]) == 1 and len(by_phase[joined[0]]) == 1
        if not one_epoch_each or earlier is None or later is None:
            break
        if earlier.final_weights is None or earlier.final_weights != later.initial_weights:
            break
        joined.insert(0, before)
    return joined


def _non_finite(epochs: list[Epoch], metric: str) -> tuple[str, ...]:
    names = {name for epoch in epochs for name, value in epoch.logs.items() if not math.isfinite(value)}
    return tuple(sorted(name for name in names - NOT_METRICS if canonical(name) != canonical(metric)))


@dataclass(frozen=True, kw_only=True)
class Series:
    """The finite values `y` with the epochs that reported them, and what was known of the others."""

    y: tuple[float, ...]
    epochs: tuple[int, ...]
    first_reported: int | None
    """The first epoch with a value, finite or not."""
    first_non_finite: int | None
    ended_finite: bool
    """Whether the last reported value was finite."""


def read(values: Sequence[float | str | None], *, sign: int = 1, skip: int = 0, running_best: bool = False) -> Series:
    """Read a series as it was reported: None is "not in this epoch"; "nan", "inf" and "-inf" may be text.

    Epochs count from 1 and keep their number when the first `skip` are left out.
    """
    reported = [(epoch, float(value)) for epoch, value in enumerate(values, 1) if value is not None and epoch > skip]
    finite = [(epoch, sign * value) for epoch, value in reported if math.isfinite(value)]
    y = tuple(value for _, value in finite)
    return Series(
        y=tuple(accumulate(y, min)) if running_best else y,
        epochs=tuple(epoch for epoch, _ in finite),
        first_reported=reported[0][0] if reported else None,
        first_non_finite=next((epoch for epoch, value in reported if not math.isfinite(value)), None),
        ended_finite=bool(reported) and math.isfinite(reported[-1][1]),
    )


def split(values: Sequence[float], parts: int) -> list[Sequence[float]]:
    """Cut into consecutive parts whose lengths differ by at most one, longer ones first (as `numpy.array_split`)."""
    length, longer = divmod(len(values), parts)
    bounds = [0, *accumulate(length + (i < longer) for i in range(parts))]
    return [values[a:b] for a, b in pairwise(bounds)]


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


def thinned(epochs: Sequence[Mapping[str, float]]) -> list[int]:
    """The positions of at most `MOST_POINTS` epochs: spread evenly, and those where values stop being finite."""
    if len(epochs) <= MOST_POINTS:
        return list(range(len(epochs)))
    finite = [all(map(math.isfinite, logs.values())) for logs in epochs]
    turns = [i for i in range(1, len(epochs)) if finite[i] != finite[i - 1]][: MOST_POINTS // 4]
    left = MOST_POINTS - len(turns)
    spread = {round(i * (len(epochs) - 1) / (left - 1)) for i in range(left)}
    return sorted(spread.union(turns))
