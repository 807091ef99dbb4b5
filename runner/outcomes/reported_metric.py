"""The values of a metric as a record has them, from fits and loops, and from `evaluate` and `score`.

A name is that of the logs (`loss`, `val_accuracy`); `evaluate.NAME` or `score` is what the last call of those returned,
`evaluate.2.NAME` or `score.2` what the second one did; `critic.loss` is the loss of the model of that name, and
`loop_2.loss` that of the second loop around an optimizer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.series import NOT_METRICS, canonical, numbers_of
from runner.trials.script_metrics import metric_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.model import Mode
    from runner.trials.record import Epoch, Phase, Record

_ASKED = re.compile(r"(evaluate|score)(?:\.([1-9][0-9]*))?(?:\.(.+))?")


@dataclass(frozen=True, kw_only=True)
class ReportedMetric:
    """The values of one metric in one training: a value an epoch, None where the epoch did not report it."""

    values: tuple[float | None, ...]
    phases: tuple[str, ...] = ()
    """The names of the fits or loops that the values come from, or that the model was asked for results after."""
    steps: tuple[float, ...] = ()
    planned: int | None = None
    non_finite: tuple[str, ...] = ()
    """Other metrics of the same epochs that were NaN or infinite once."""
    mode: Mode | None = None
    """The direction that is better where the source of the values tells it."""


def reported(record: Record, metric: str) -> ReportedMetric:
    """The metric's series in the last training that has it; without values where none has it."""
    found = trainings(record, metric)
    if found:
        return found[-1]
    name = record.phases[-1].name if record.phases else ""
    return ReportedMetric(values=(), steps=_steps(record, name, metric))


def trainings(record: Record, metric: str) -> tuple[ReportedMetric, ...]:
    """The metric's series in every training that has it, in the order in which they began.

    A script that calls `fit` once an epoch (as stateful networks are trained) makes a phase of each epoch: phases of a
    single epoch, each starting from the very weights that the one before ended with, are one training.
    """
    return _of_phases(record, metric) or _asked_for(record, metric) or _of_model(record, metric)


def seen(record: Record) -> tuple[str, ...]:
    """The names of all metrics that were reported, as a criterion can have them, sorted."""
    names = {name for epoch in record.epochs for name in epoch.logs} - NOT_METRICS
    asked = {name if name == one.kind else f"{one.kind}.{name}" for one in record.evaluations for name in one.logs}
    return tuple(sorted(set(map(metric_name, names | asked))))


def is_of_before(record: Record, metric: str) -> bool:
    """True where a metric is a result that was asked for, and the trial ran before such results were recorded."""
    return record.ran and record.probe is None and _ASKED.fullmatch(metric) is not None


def has_finite_weights(record: Record, phases: tuple[str, ...]) -> bool:
    """False where the last of the phases ended with a weight that is NaN or infinite.

    Values that were printed or written belong to no phase: there, and where there are no values, all phases must have.
    """
    norms = {phase.name: phase.weight_norm for phase in record.phases if phase.weight_norm is not None}
    own = [norms[name] for name in phases if name in norms][-1:]
    return not norms or any(map(math.isfinite, own or norms.values()))


def value_of(logs: Mapping[str, float], metric: str) -> float | None:
    """The value of a metric among others: by its exact name, else by one that means the same."""
    if metric in logs:
        return logs[metric]
    wanted = canonical(metric)
    return next((value for name, value in logs.items() if canonical(name) == wanted), None)


def _of_phases(record: Record, metric: str, among: frozenset[str] | None = None) -> tuple[ReportedMetric, ...]:
    by_phase: dict[str, list[Epoch]] = {}
    for epoch in record.epochs:
        if among is None or epoch.phase in among:
            by_phase.setdefault(epoch.phase, []).append(epoch)
    phases = {phase.name: phase for phase in record.phases}
    order = {name: number for number, name in enumerate(phases)}
    names = [name for name, epochs in by_phase.items() if any(value_of(e.logs, metric) is not None for e in epochs)]
    names.sort(key=lambda name: order.get(name, len(order)))
    return tuple(_joined(record, metric, chain, by_phase, phases) for chain in _chains(names, by_phase, phases))


def _joined(
    record: Record, metric: str, names: list[str], by_phase: dict[str, list[Epoch]], phases: dict[str, Phase]
) -> ReportedMetric:
    epochs = [epoch for name in names for epoch in by_phase[name]]
    last = phases.get(names[-1])
    values = tuple([value_of(epoch.logs, metric) for epoch in epochs])
    return ReportedMetric(
        values=_at_their_epochs(epochs, values) if record.thinned else values,
        phases=tuple(names),
        steps=_steps(record, names[-1], metric),
        planned=last.planned_epochs if last is not None and len(names) == 1 else None,
        non_finite=_non_finite(epochs, metric),
    )


def _at_their_epochs(epochs: list[Epoch], values: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """The values of a training of which some epochs were left out, each at the place of its own epoch."""
    numbers = numbers_of(epochs)
    places: list[float | None] = [None] * numbers[-1]
    for number, value in zip(numbers, values, strict=True):
        places[number - 1] = value
    return tuple(places)


def _chains(names: list[str], by_phase: dict[str, list[Epoch]], phases: dict[str, Phase]) -> list[list[str]]:
    """The names, those together that have one epoch each and go on with the weights of the one before."""
    chains: list[list[str]] = []
    for name in names:
        if chains and _goes_on(chains[-1][-1], name, by_phase, phases):
            chains[-1].append(name)
        else:
            chains.append([name])
    return chains


def _goes_on(before: str, name: str, by_phase: dict[str, list[Epoch]], phases: dict[str, Phase]) -> bool:
    earlier, later = phases.get(before), phases.get(name)
    one_epoch_each = len(by_phase[before]) == 1 and len(by_phase[name]) == 1
    if not one_epoch_each or earlier is None or later is None:
        return False
    return earlier.final_weights is not None and earlier.final_weights == later.initial_weights


def _of_model(record: Record, metric: str) -> tuple[ReportedMetric, ...]:
    """The series of `MODEL.METRIC` in the trainings of the model, or in the loop, of that name."""
    model, dot, name = metric.partition(".")
    if not dot:
        return ()
    among = frozenset(phase.name for phase in record.phases if model in {_last_word(phase.model), called(phase)})
    return _of_phases(record, name, among) if among else ()


def _last_word(model: str | None) -> str:
    return model.split()[-1] if model else ""


def called(phase: Phase) -> str:
    """The name of a loop as a criterion can have it: `loop_2`."""
    return phase.name.rpartition(":")[2].replace("-", "_")


def _asked_for(record: Record, metric: str) -> tuple[ReportedMetric, ...]:
    """The series of what `evaluate` or `score` returned: a value for each stretch of training, by its last call."""
    match = _ASKED.fullmatch(metric)
    if match is None or (match[1] == "evaluate") != (match[3] is not None):
        return ()
    kind, number, name = match[1], match[2], match[3] or "score"
    by_model: dict[object, dict[int, float]] = {}
    phases: dict[object, str] = {}
    for one in record.evaluations:
        value = value_of(one.logs, name) if one.kind == kind and number in (None, str(one.number)) else None
        if value is not None:
            model = one.process, one.model if one.model_number is None else one.model_number
            rounds = by_model.pop(model, {})  # so that the last one asked is the last one here
            by_model[model] = {**rounds, one.round: value}
            phases[model] = one.phase
    return tuple(
        ReportedMetric(
            values=tuple(rounds.values()),
            phases=(phases[model],) if phases[model] else (),
            non_finite=_non_finite([epoch for epoch in record.epochs if epoch.phase == phases[model]], metric),
            mode="max" if kind == "score" else None,
        )
        for model, rounds in by_model.items()
    )


def _steps(record: Record, phase: str, metric: str) -> tuple[float, ...]:
    return tuple(record.steps.get(phase, ())) if canonical(metric) == "loss" else ()


def _non_finite(epochs: list[Epoch], metric: str) -> tuple[str, ...]:
    names = {name for epoch in epochs for name, value in epoch.logs.items() if not math.isfinite(value)}
    return tuple(sorted(name for name in names - NOT_METRICS if canonical(name) != canonical(metric)))
