"""The series of one metric out of a record: the last phase that reported it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from runner.outcomes.metrics import NOT_METRICS, canonical

if TYPE_CHECKING:
    from runner.trials.record import Epoch, Phase, Record


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What a record has of one metric: a value an epoch, None where the epoch did not report it."""

    values: tuple[float | None, ...]
    steps: tuple[float, ...] = ()
    planned: int | None = None
    joined: int = 1
    """How many phases the values come from."""
    non_finite: tuple[str, ...] = ()
    """Other metrics of the same epochs that were NaN or infinite once."""


def reported(record: Record, metric: str) -> Reported:
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
        return Reported(values=(), steps=steps)
    phases = {phase.name: phase for phase in record.phases}
    joined = _continued(names, by_phase, phases)
    epochs = [epoch for name in joined for epoch in by_phase[name]]
    last = phases.get(names[-1])
    return Reported(
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
