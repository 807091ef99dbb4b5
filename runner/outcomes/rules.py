"""The rules R2 to R11 of docs/verdicts.md: each measures a series and finds a label or leaves it to the next."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, assert_never

from runner.matrix.criterion import Comparison, Operator
from runner.outcomes.series import split
from runner.outcomes.verdict import Basis, Label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.outcomes.series import Series


MATERIAL = 0.10
"""A change that counts, as a share of the starting loss S."""
TREND = 0.025
"""A fall that is still going on, as a share of S."""


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """The quantities of docs/verdicts.md, of at least one finite value."""

    n: int
    y0: float
    end: float
    final: float
    lowest: float
    best: float
    """The lowest level that lasted: single lucky dips do not count once n >= 15."""
    scale: float
    """The starting loss S."""
    before_last: float
    """L4, the level of the fourth fifth."""
    reversals: int
    window: int
    """The number of last values that the reversals were counted in."""


def measure(y: Sequence[float]) -> Quantities:
    """Measure a series of at least one finite value."""
    n, y0 = len(y), y[0]
    final = median(y[-max(3, n // 10) :]) if n >= 15 else y[-1]
    levels = [median(part) for part in split(y, 5) if part]
    best = min(y0, final, *levels)
    scale = max(abs(y0), y0 - best)
    window = min(n, max(10, -(-6 * n // 10)))
    return Quantities(
        n=n,
        y0=y0,
        end=y[-1],
        final=final,
        lowest=min(y),
        best=best,
        scale=scale,
        before_last=levels[-2] if len(levels) > 1 else y0,
        reversals=reversals(y[-window:], MATERIAL * scale),
        window=window,
    )


def reversals(values: Sequence[float], leg: float) -> int:
    """The number of turning points that have a leg longer than `leg` on both sides (a zigzag)."""
    turns, direction = 0, 0  # 1: rising, -1: falling, 0: has not moved by a leg yet
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
        if direction >= 0 and high - value > leg:
            turns, direction, low = turns + direction, -1, value
        elif direction <= 0 and value - low > leg:
            turns, direction, high = turns - direction, 1, value
    return turns


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The place where a series meets its target."""

    by_end: bool
    by_final: bool
    first_epoch: int | None


def reach(comparison: Comparison, series: Series, quantities: Quantities, sign: int) -> Reach:
    """Compare a series (negated where `sign` is -1) with a target in the metric's own units.

    With `within` it is enough that an epoch up to that one met the target, unless the series then left its start
    behind (R3).
    """
    first = next(
        (epoch for epoch, y in zip(series.epochs, series.y, strict=True) if holds(comparison, sign * y)),
        None,
    )
    by_end = holds(comparison, sign * quantities.end)
    if comparison.within is not None:
        in_time = first is not None and first <= comparison.within
        return Reach(by_end=in_time and by_end, by_final=in_time, first_epoch=first)
    return Reach(by_end=by_end, by_final=holds(comparison, sign * quantities.final), first_epoch=first)


def holds(comparison: Comparison, value: float) -> bool:
    """True where one value meets the target."""
    match comparison.operator:
        case Operator.LESS:
            return value < comparison.target
        case Operator.LESS_EQUAL:
            return value <= comparison.target
        case Operator.GREATER:
            return value > comparison.target
        case Operator.GREATER_EQUAL:
            return value >= comparison.target
        case _:
            assert_never(comparison.operator)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A measured series with all that the rules ask about it; smaller is better, `sign` leads back to the metric."""

    metric: str
    sign: int
    quantities: Quantities
    target: Comparison | None = None
    reach: Reach | None = None
    unmet: tuple[str, ...] = ()
    """Of several criteria: why others than `target` do not hold."""
    stopped_itself: bool = False
    complete: bool = True
    """True where the script ended by itself: what it came to is all that it would."""
    ref: float | None = None
    ref_scale: float | None = None

    def say(self, value: float) -> str:
        """A value in the metric's own units."""
        return f"{self.sign * value:.4g}"

    def share(self, change: float) -> str:
        """A change as a share of the starting loss S."""
        scale = self.quantities.scale
        return f"{100 * change / scale:.3g} % of S = {scale:.4g}" if scale else "S = 0"


@dataclass(frozen=True, kw_only=True)
class RuleFinding:
    """The label that a rule gives, and why."""

    label: Label
    basis: Basis
    reason: str


def decide(case: Case) -> RuleFinding:
    """The label by the first rule that matches (R2 to R10), else `settled` (R11)."""
    for rule in _RULES:
        if (finding := rule(case)) is not None:
            return finding
    q = case.quantities
    reason = (
        f"{case.metric} got better from {case.say(q.y0)} to {case.say(q.final)} ({case.share(q.y0 - q.final)}) and "
        "flattened; with no target and no baseline its level is not judged"
    )
    return RuleFinding(label=Label.SETTLED, basis=Basis.SHAPE, reason=reason)


def ended_above_start(q: Quantities) -> bool:
    """R3: whether the series ended at more than twice its start."""
    return q.end > q.y0 + max(abs(q.y0), q.y0 - q.lowest)


def still_falling(q: Quantities) -> bool:
    """R8: whether the last fifth still fell by more than the trend."""
    return q.before_last - q.final > TREND * q.scale


def _target_met(case: Case) -> RuleFinding | None:
    q, reach = case.quantities, case.reach
    if case.target is None or reach is None or case.unmet:
        return None
    if not (reach.by_end or (reach.by_final and not ended_above_start(q))):
        return None
    if case.target.within is not None:
        reason = f"{case.target}: first met in epoch {reach.first_epoch}"
    elif reach.by_end:
        reason = f"{case.target}: ended at {case.say(q.end)}"
        if case.say(q.final) != case.say(q.end):
            reason += f" (final {case.say(q.final)}: the median of its last values)"
    else:
        reason = (
            f"{case.target}: the median of the last values is {case.say(q.final)} (the last one is {case.say(q.end)})"
        )
    return RuleFinding(label=Label.CONVERGED, basis=Basis.TARGET, reason=reason)


def _above_start(case: Case) -> RuleFinding | None:
    q = case.quantities
    if not ended_above_start(q):
        return None
    limit = max(abs(q.y0), q.y0 - q.lowest)
    reason = (
        f"{case.metric} ended at {case.say(q.end)}, worse than its start {case.say(q.y0)} by {q.end - q.y0:.4g} "
        f"(the limit is {limit:.4g})"
    )
    return RuleFinding(label=Label.DIVERGED, basis=Basis.ABOVE_START, reason=reason)


def _few_epochs(case: Case) -> RuleFinding | None:
    q = case.quantities
    if q.n >= 5:
        return None
    if case.target is not None and case.complete:
        reason = f"{_not_met(case, f'ended at {case.say(q.end)}')} ({_values(q)})"
        return RuleFinding(label=Label.MISSED, basis=Basis.TARGET_MISSED, reason=reason)
    if q.y0 - q.best > MATERIAL * q.scale and q.end <= q.lowest:
        reason = (
            f"{case.metric} got better from {case.say(q.y0)} to {case.say(q.end)} ({case.share(q.y0 - q.end)}) in "
            f"{_values(q)}, its best at the end"
        )
        return RuleFinding(label=Label.IMPROVING, basis=Basis.FEW_EPOCHS, reason=reason)
    reason = f"{case.metric} has {_values(q)} from {case.say(q.y0)} to {case.say(q.end)}: fewer than 5 show no shape"
    return RuleFinding(label=Label.TOO_SHORT, basis=Basis.FEW_EPOCHS, reason=reason)


def _values(q: Quantities) -> str:
    return "1 value" if q.n == 1 else f"{q.n} values"


def _not_met(case: Case, level: str) -> str:
    """Why the criterion does not hold; `level` says where the series was at its end."""
    if case.unmet:
        return f"{case.metric} {level}; not met: {'; '.join(case.unmet)}"
    if case.target is not None and case.target.within and case.reach is not None and case.reach.first_epoch is not None:
        return f"{case.target}: first met in epoch {case.reach.first_epoch}, too late"
    return f"{case.target}: {level}"


def _oscillating(case: Case) -> RuleFinding | None:
    q = case.quantities
    if q.reversals < max(4, 0.15 * q.window):
        return None
    reason = (
        f"{case.metric} turned {q.reversals} times by more than {MATERIAL * q.scale:.4g} (10 % of S = {q.scale:.4g}) "
        f"in its last {q.window} values"
    )
    return RuleFinding(label=Label.OSCILLATING, basis=Basis.REVERSALS, reason=reason)


def _above_own_best(case: Case) -> RuleFinding | None:
    q = case.quantities
    if not q.final - q.best > MATERIAL * q.scale:
        return None
    reason = (
        f"{case.metric} ended at {case.say(q.final)}, worse than its own best level {case.say(q.best)} by "
        f"{case.share(q.final - q.best)}"
    )
    return RuleFinding(label=Label.DIVERGED, basis=Basis.ABOVE_OWN_BEST, reason=reason)


def _never_learned(case: Case) -> RuleFinding | None:
    q = case.quantities
    if not q.y0 - q.best <= MATERIAL * q.scale:
        return None
    reason = (
        f"{case.metric} never got better by 10 % of its start: {case.say(q.y0)} at first, {case.say(q.best)} at best "
        f"({case.share(q.y0 - q.best)}) in {q.n} values"
    )
    return RuleFinding(label=Label.PLATEAUED, basis=Basis.NEVER_LEARNED, reason=reason)


def _improving(case: Case) -> RuleFinding | None:
    q = case.quantities
    if case.stopped_itself or not still_falling(q):
        return None
    reason = (
        f"{case.metric} was still getting better: from {case.say(q.before_last)} in the fourth fifth to "
        f"{case.say(q.final)} at the end ({case.share(q.before_last - q.final)}; the limit is 2.5 %)"
    )
    return RuleFinding(label=Label.IMPROVING, basis=Basis.TREND, reason=reason)


def _target_missed(case: Case) -> RuleFinding | None:
    q = case.quantities
    if case.target is None:
        return None
    ended = "" if case.unmet else f" (ended at {case.say(q.end)})"
    reason = _not_met(case, f"flattened at {case.say(q.final)}{ended}")
    return RuleFinding(label=Label.PLATEAUED, basis=Basis.TARGET_MISSED, reason=reason)


def _against_reference(case: Case) -> RuleFinding | None:
    q = case.quantities
    if case.ref is None:
        return None
    ref = case.sign * case.ref
    limit = ref + MATERIAL * (q.scale if case.ref_scale is None else case.ref_scale)
    level = f"{case.metric} flattened at {case.say(q.final)}"
    if q.final > limit:
        reason = f"{level}, worse than the baseline's {case.ref:.4g} (limit {case.say(limit)})"
        return RuleFinding(label=Label.PLATEAUED, basis=Basis.ABOVE_BASELINE, reason=reason)
    reason = f"{level}, level with the baseline's {case.ref:.4g} (limit {case.say(limit)})"
    return RuleFinding(label=Label.CONVERGED, basis=Basis.REFERENCE, reason=reason)


_RULES: tuple[Callable[[Case], RuleFinding | None], ...] = (
    _target_met,  # R2
    _above_start,  # R3
    _few_epochs,  # R4
    _oscillating,  # R5
    _above_own_best,  # R6
    _never_learned,  # R7
    _improving,  # R8
    _target_missed,  # R9
    _against_reference,  # R10
)
