"""The series of a metric as the numbers that are judged, and one name for the names that its Keras gave it.

Smaller is always better in a `Series`: a maximised metric is negated on the way in. Up to TensorFlow 2.1 a step reports
its batch's own loss, from 2.2 on the running mean of the epoch so far (tensorflow#58098, #36400).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING

from runner.trials.script_metrics import metric_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.model import Mode
    from runner.trials.record import Epoch, Record

_ALIASES = {
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}
_MAXIMISED = (
    *("acc", "auc", "precision", "recall", "f1", "iou", "io_u", "dice_coef", "r2"),
    *("psnr", "ssim", "bleu", "top_k", "reward", "classification_rate"),
    *("validation_score", "best_score", "oob_score", "train_score", "lower_bound", "loglike"),
)
MOST_POINTS = 120
"""Of a longer series so many epochs are kept."""
NOT_METRICS = frozenset({"lr", "learning_rate", "global_step"})
"""Values that Keras and estimators write into their logs beside the metrics."""


@functools.lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """One name for the names of the same metric: `val_acc` is `val_accuracy`, `top-5` is `top_5`.

    Versions of Keras give some metrics different ones, and a criterion can't have all characters.
    """
    before, dot, last = metric_name(name).rpartition(".")
    prefix, plain = ("val_", last[4:]) if last.startswith("val_") else ("", last)
    return f"{before}{dot}{prefix}{_ALIASES.get(plain, plain)}"


def direction(name: str) -> Mode:
    """The direction that is better, by the metric's name (docs/verdicts.md, "Judged metric")."""
    lower = name.lower()
    return "max" if "loss" not in lower and any(part in lower for part in _MAXIMISED) else "min"


@dataclass(frozen=True, kw_only=True)
class Series:
    """The finite values `y` with the epochs that reported them, and what was known of the others."""

    y: tuple[float, ...]
    epochs: tuple[int, ...]
    first_reported: int | None
    """The first epoch with a value, finite or not."""
    first_non_finite: int | None
    ended_finite: bool
    """True where the last reported value was finite."""


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
_DIGITS = 5


def read_steps(steps: Sequence[float | str | None]) -> tuple[float, ...]:
    """The reported steps as floats; "nan", "inf" and "-inf" may be text."""
    return tuple(float(step) for step in steps if step is not None)


def first_non_finite(steps: Sequence[float]) -> int | None:
    """The first step (from 1) that was not finite; true of both kinds of report."""
    return next((number for number, step in enumerate(steps, 1) if not math.isfinite(step)), None)


def running_means(steps: Sequence[float], epoch_value: float | None) -> bool:
    """True where steps are running means: then the last one is the epoch's value, else their mean is.

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


_MOST_NUMBERS = 2_000_000


def numbers_of(epochs: Sequence[Epoch]) -> Sequence[int]:
    """The numbers of epochs among all that were told, from 1, where some of them were left out.

    Their positions where one of them claims to come later than two million others.
    """
    numbers, last, number = [], dict[str, int](), 0
    for epoch in epochs:
        before = last.get(epoch.phase, 0)
        number += max(1, epoch.epoch - before)
        last[epoch.phase] = max(before, epoch.epoch)
        numbers.append(number)
    return numbers if number <= _MOST_NUMBERS else range(1, len(epochs) + 1)


def drawn(record: Record, metric: str, most: int) -> list[str]:
    """The metrics of a trial whose curves are shown, in the order in which they came; the judged one is among them."""
    names = list(dict.fromkeys(name for epoch in record.epochs for name in epoch.logs if name not in NOT_METRICS))
    judged = [name for name in names if canonical(name) == canonical(metric)]
    kept = {*judged[:1], *names[: most - len(judged[:1])]}
    return [name for name in names if name in kept]


def short(value: float | None) -> float | None:
    """A value to draw, short as JSON."""
    return value if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")
