"""`judge`: the label of one series of a metric by the rules of docs/verdicts.md; pure; scale-free without a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.errors import UsageError
from runner.outcomes.rules import MATERIAL, Case, Quantities, Reach, RuleFinding, decide, measure, reach, still_falling
from runner.outcomes.series import Series, binned, direction, first_non_finite, read, read_steps
from runner.outcomes.verdict import Basis, Label, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.criterion import Comparison
    from runner.matrix.model import Mode

Value = float | str | None
"""One report: None is "not in this epoch"; "nan", "inf" and "-inf" may be text."""


@dataclass(frozen=True, kw_only=True)
class JudgingTerms:
    """The terms that one series is judged by, beside its values."""

    metric: str = "loss"
    mode: Mode | None = None
    """The direction; None: the metric's name tells it. The target's metric and direction win over both."""
    target: str | Comparison | None = None
    at: Literal["last", "best"] = "last"
    """`best` judges the best value so far (a checkpointed run)."""
    planned: int | None = None
    """The number of epochs that a script which ended by itself had asked for."""
    complete: bool = True
    """True where the script ended by itself."""
    skip: int = 0
    """So many first epochs are left out."""
    steps: Sequence[Value] = ()
    """Per-step values, judged where a single epoch was reported."""
    ref: float | None = None
    """The baseline's final value."""
    ref_scale: float | None = None
    """The baseline's S."""
    unmet: Sequence[str] = ()
    """The other criteria that do not hold: then a met target does not suffice."""
    finite_weights: bool = True
    """False where the training ended with a weight that is NaN or infinite."""


_AS_USUAL = JudgingTerms()


def judge(values: Sequence[Value], terms: JudgingTerms = _AS_USUAL) -> Verdict:
    """Label one series, a value an epoch. Raises UsageError for a target that does not parse."""
    comparison = _parsed(terms.target)
    metric = terms.metric if comparison is None else comparison.metric
    sign = _sign(metric, terms.mode, comparison)
    step_values = read_steps(terms.steps)
    series = read(values, sign=sign, skip=terms.skip, running_best=terms.at == "best")
    flags: list[str] = []
    if (shape := _single_epoch(series, step_values, comparison, sign)) is not None:
        flags, series = ["judged-by-steps"], shape
    case = None
    if series.y:
        quantities = measure(series.y)
        case = Case(
            metric=metric,
            sign=sign,
            quantities=quantities,
            target=comparison,
            reach=None if comparison is None else reach(comparison, series, quantities, sign),
            unmet=tuple(terms.unmet),
            stopped_itself=terms.planned is not None and len(values) < terms.planned,
            complete=terms.complete,
            ref=terms.ref,
            ref_scale=terms.ref_scale,
        )
    bad_step = first_non_finite(step_values)
    finding = _finding(case, series, bad_step, metric, terms.at)
    if not terms.finite_weights and terms.at == "last" and finding.label is not Label.NAN:
        finding = _without_weights(case, metric)
    flags += [] if case is None else _flags(case, series, finding, terms.skip)
    broken = (series.first_non_finite, bad_step)
    return _verdict(case, finding, flags=flags, metric=metric, sign=sign, broken=broken)


def _parsed(target: str | Comparison | None) -> Comparison | None:
    if not isinstance(target, str):
        return target
    from runner.matrix.criterion import CostLimit, parse  # noqa: PLC0415 - the grammar is needed for text alone

    if isinstance(found := parse(target), CostLimit):
        raise UsageError(f"{target} is no level of a series.")
    return found


def _sign(metric: str, mode: Mode | None, comparison: Comparison | None) -> int:
    if comparison is not None:
        return 1 if comparison.operator.minimises else -1
    return 1 if (mode or direction(metric)) == "min" else -1


def _single_epoch(series: Series, steps: Sequence[float], target: Comparison | None, sign: int) -> Series | None:
    """The steps of a single finite epoch as a series of bins, unless the epoch's value meets the target already."""
    if len(series.y) > 1 or (series.first_reported is not None and not series.ended_finite):
        return None
    if target is not None and series.y and reach(target, series, measure(series.y), sign).by_end:
        return None
    bins = binned(steps, sign * series.y[0] if series.y else None)
    if bins is None:
        return None
    return Series(
        y=tuple(sign * value for value in bins),
        epochs=(1,) * len(bins),
        first_reported=1,
        first_non_finite=None,
        ended_finite=True,
    )


def _finding(case: Case | None, series: Series, bad_step: int | None, metric: str, at: str) -> RuleFinding:
    if series.first_reported is None:
        return RuleFinding(label=Label.NO_METRICS, basis=Basis.NO_VALUE, reason=f"{metric} was never reported")
    if case is None or (at == "last" and not series.ended_finite):  # R1
        step = "" if bad_step is None else f" (step {bad_step})"
        reason = f"{metric} ended at NaN or infinity, first in epoch {series.first_non_finite}{step}"
        return RuleFinding(label=Label.NAN, basis=Basis.NON_FINITE, reason=reason)
    return decide(case)


def _without_weights(case: Case | None, metric: str) -> RuleFinding:
    """R1 where the metric does not show it, or there is none."""
    told = f"{metric} was never reported" if case is None else f"{metric} ended at {case.say(case.quantities.end)}"
    reason = f"its weights ended at NaN or infinity; {told}"
    return RuleFinding(label=Label.NAN, basis=Basis.NON_FINITE, reason=reason)


def _flags(case: Case, series: Series, finding: RuleFinding, skip: int) -> list[str]:
    q = case.quantities
    flags = []
    if series.first_non_finite is not None and finding.label is not Label.NAN:
        flags.append("transient-non-finite" if series.ended_finite else f"nonfinite:{case.metric}")
    if series.first_reported is not None and series.first_reported > skip + 1:
        flags.append(f"first-reported-epoch-{series.first_reported}")
    # What is left after such a first epoch can't be material any more, however far it goes on falling.
    if q.n > 5 and q.y0 - series.y[1] >= (1 - MATERIAL) * q.scale > 0:
        flags.append("first-epoch-dominates")
    if finding.basis is Basis.TARGET and case.reach is not None and case.reach.by_end != case.reach.by_final:
        flags.append("target-borderline")
    passed_r8 = {Basis.TARGET_MISSED, Basis.ABOVE_BASELINE, Basis.REFERENCE, Basis.SHAPE}
    if case.stopped_itself and finding.basis in passed_r8 and still_falling(q):
        flags.append("stopped-early-while-improving")
    return flags


def _verdict(
    case: Case | None,
    finding: RuleFinding,
    *,
    flags: Sequence[str],
    metric: str,
    sign: int,
    broken: tuple[int | None, int | None],
) -> Verdict:
    """The verdict; `broken` is the first epoch and the first step that were NaN or infinite."""
    bad_epoch, bad_step = broken
    q: Quantities | None = None if case is None else case.quantities
    met: Reach | None = None if case is None else case.reach
    return Verdict(
        label=finding.label,
        basis=finding.basis,
        reason=finding.reason,
        flags=tuple(flags),
        metric=metric,
        mode="min" if sign == 1 else "max",
        y0=None if q is None else sign * q.y0,
        end=None if q is None else sign * q.end,
        final=None if q is None else sign * q.final,
        best=None if q is None else sign * q.best,
        scale=None if q is None else q.scale,
        n=0 if q is None else q.n,
        first_non_finite_epoch=bad_epoch,
        first_non_finite_step=bad_step,
        first_met_epoch=None if met is None else met.first_epoch,
    )
