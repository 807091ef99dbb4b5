"""What a trial costs, and the limits that a baseline's trials set: within their noise nothing is said; pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.matrix.criterion import Measure
from runner.outcomes.machine_kind import UNKNOWN, machine_kind, named
from runner.outcomes.tally import ENOUGH_RUNS
from runner.outcomes.verdict import Basis, Label, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.matrix.criterion import CostLimit
    from runner.matrix.model import Judging
    from runner.outcomes.observation import Observation
    from runner.outcomes.tally import Trial
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record

_TAIL = 0.025
"""How often the median may lie beyond one end of its interval."""
_NOT_JUDGED_ALONE = frozenset({Basis.PROCESS, Basis.NON_FINITE})


def cost_of(record: Record | Observation, measure: Measure) -> float | None:
    """The cost of a trial, in seconds or bytes; None where it was not measured."""
    match measure:
        case Measure.SECONDS:
            return record.duration_s if record.ran else None
        case Measure.EPOCH:
            return record.epoch_s
        case Measure.MEMORY:
            return float(record.peak_memory_bytes) if record.peak_memory_bytes else None


def cost_in_words(measure: Measure, value: float) -> str:
    """`3.2 s`, `410 MB`."""
    return f"{value / 1e6:.0f} MB" if measure is Measure.MEMORY else f"{value:.3g} s"


def against_baseline(judging: Judging, baseline: Iterable[Trial]) -> Judging:
    """The terms of judging with the limits that the baseline's trials set; they count where only cost is in question.

    Of fewer than four trials no limit is known, and nothing lies on either side of it.
    """
    records = [record for record, verdict in baseline if verdict.basis is Basis.COST]
    costs = tuple(replace(one, bands=tuple(_bands(one, records))) for one in judging.costs)
    return replace(judging, costs=costs)


def _bands(limit: CostLimit, records: Sequence[Observation]) -> Iterator[tuple[str, float, float]]:
    """The limit on every kind of machine that the baseline ran on."""
    by_kind: dict[str, list[float]] = {}
    for record in records:
        cost = cost_of(record, limit.measure)
        if cost is not None and comparable_cost(limit.measure, record):
            by_kind.setdefault(cost_kind(limit.measure, record), []).append(cost)
    for kind, costs in sorted(by_kind.items()):
        low, high = median_between(costs) if len(costs) >= ENOUGH_RUNS else (0.0, math.inf)
        yield kind, limit.factor * low, limit.factor * high


def cost_kind(measure: Measure, record: Record | Observation) -> str:
    """The kind of machine on which alone a cost can be compared; memory is the same on all."""
    return UNKNOWN if measure is Measure.MEMORY else machine_kind(record)


def comparable_cost(measure: Measure, record: Record | Observation) -> bool:
    """False for a time that an emulator took."""
    return measure is Measure.MEMORY or not record.emulated


def median_between(values: Sequence[float]) -> tuple[float, float]:
    """The values between which the median lies, whatever the distribution: 95 %, of fewer than six values less.

    Order statistics (David and Nagaraja, Order Statistics, 7.1): of n values it lies below the k-th one with the
    probability that fewer than k of n tosses of a coin are heads. Of 4 values these are the least and the largest.
    """
    ordered, n = sorted(values), len(values)
    below, k = 0.5**n, 1
    while (more := below + math.comb(n, k) * 0.5**n) <= _TAIL:
        below, k = more, k + 1
    return ordered[k - 1], ordered[n - k]


def within_costs(verdict: Verdict, record: Record, limits: Sequence[CostLimit], *, alone: bool) -> Verdict:
    """The verdict of a trial that is good so far, by what it costs; `alone`: no criterion names a metric.

    Then what the metrics did does not matter, but that the training must not end in NaN. A limit of which nobody has
    looked at the baseline yet holds nothing back.
    """
    good = standing(verdict.label) is Standing.SUCCESS or (alone and verdict.basis not in _NOT_JUDGED_ALONE)
    if not limits or not good:
        return verdict
    held = [_held(one, record) for one in limits]
    label = next(one for one in _WORST_FIRST if one in {found for found, _ in held})
    said = [reason for found, reason in held if found is label]
    before = () if alone else (verdict.reason,)
    exceeded = next((one.measure for one, (found, _) in zip(limits, held, strict=True) if found is Label.MISSED), None)
    return replace(
        verdict,
        label=label,
        basis=Basis.COST,
        reason="; ".join((*before, *said)),
        exceeds=exceeded,
    )


_WORST_FIRST = (Label.MISSED, Label.NO_METRICS, Label.TOO_CLOSE, Label.CONVERGED)


def _held(limit: CostLimit, record: Record) -> tuple[Label, str]:
    cost = cost_of(record, limit.measure)
    if cost is None:
        return Label.NO_METRICS, f"{limit}: {limit.measure} was not measured"
    took = f"{limit}: it took {cost_in_words(limit.measure, cost)}"
    if not comparable_cost(limit.measure, record):
        return Label.TOO_CLOSE, f"{took}, emulating {record.emulated}: times of what is emulated are compared with none"
    if limit.bands is None:
        return Label.CONVERGED, f"{took}; the baseline was not looked at yet"
    return _within(limit, cost_kind(limit.measure, record), cost, took)


def _within(limit: CostLimit, kind: str, cost: float, took: str) -> tuple[Label, str]:
    """How a cost lies to the limit on a kind of machine; nothing can be said where the baseline never ran on it."""
    bands = {known: (low, high) for known, low, high in limit.bands or ()}
    if bands and kind not in bands:
        others = " and ".join(map(named, bands))
        return Label.TOO_CLOSE, (
            f"{took} on {named(kind)}, and the baseline ran on {others}: times are compared only within a kind of"
            " machine; `run --again` with the baseline measures it where the others ran"
        )
    low, high = bands.get(kind, (0.0, math.inf))
    if math.isinf(high):
        return Label.TOO_CLOSE, f"{took}; the limit is not known before {ENOUGH_RUNS} trials of the baseline are good"
    between = f"{cost_in_words(limit.measure, low)} to {cost_in_words(limit.measure, high)}"
    if cost < low:
        return Label.CONVERGED, f"{took}; the limit is {between}"
    if cost > high:
        return Label.MISSED, f"{took}; the limit is {between}"
    return Label.TOO_CLOSE, f"{took}; the limit is {between}: within the noise of the baseline"
