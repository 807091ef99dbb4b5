"""The curves of a cell as a chart, for notebooks: the judged metric of every seed, with the epochs where it broke."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.outcomes.reported_metric import reported
from runner.outcomes.verdict import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import altair as alt

    from runner.outcomes.outcome import Outcome
    from runner.outcomes.tally import Trial

_MOST_POINTS = 300
"""Of a longer series so many are drawn: altair refuses more than 5,000 in all."""
_MOST_SEEDS = 12
_WIDE = 100.0
"""From which ratio on positive values are drawn in powers of ten."""
_LOOKS: dict[str, tuple[str, list[int]]] = {
    Standing.SUCCESS.value: ("#0072b2", [1, 0]),
    Standing.FAILURE.value: ("#d55e00", [6, 3]),
    Standing.BREAK.value: ("#d55e00", [6, 2, 1, 2]),
    Standing.NOT_COUNTED.value: ("#767676", [2, 2]),
    Standing.BLOCKED.value: ("#767676", [1, 4]),
}
"""Colours that colour-blind readers tell apart; the dashes say the same."""


def plot(name: str, outcome: Outcome, trials: Sequence[Trial]) -> alt.LayerChart:
    """The chart of a cell under a name; a cross marks the last finite value before NaN or infinity.

    Raises UsageError where altair is not installed, and where no trial reported the metric.
    """
    try:
        import altair as alt  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "Charts are drawn by altair, which is not installed: pip install 'convergence-matrix[notebook]'"
        ) from error
    points = [point for trial in trials[:_MOST_SEEDS] for point in _points(trial)]
    if not points:
        raise UsageError(f"There is nothing to draw: {outcome}, and no trial reported its metric.")
    metric = next(verdict.metric for _, verdict in trials)
    values = [point["value"] for point in points]
    scale = alt.Scale(type="log") if min(values) > 0 and max(values) >= _WIDE * min(values) else alt.Scale(zero=False)
    kinds = [kind for kind in _LOOKS if any(point["trial"] == kind for point in points)]
    chart = alt.Chart(alt.InlineData(values=points))
    line = chart.mark_line().encode(
        x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("value:Q", title=metric, scale=scale),
        detail="seed:N",
        color=alt.Color("trial:N", scale=alt.Scale(domain=kinds, range=[_LOOKS[kind][0] for kind in kinds])),
        strokeDash=alt.StrokeDash("trial:N", scale=alt.Scale(domain=kinds, range=[_LOOKS[kind][1] for kind in kinds])),
        tooltip=["seed:N", "epoch:Q", "value:Q", "label:N"],
    )
    broken = chart.transform_filter("datum.broken").mark_point(shape="cross", angle=45, size=80, filled=True)
    broken = broken.encode(x="epoch:Q", y="value:Q", color="trial:N", tooltip=["seed:N", "epoch:Q", "broken:N"])
    both = alt.LayerChart(layer=[line, broken])
    return both.properties(title=f"{name}: {outcome}", width=480, height=260)


def _points(trial: Trial) -> Iterator[dict[str, Any]]:
    """The finite values of a trial's series, thinned, each with what comes after it."""
    record, verdict = trial
    series = reported(record, verdict.metric).values
    finite = [at for at, value in enumerate(series) if value is not None and math.isfinite(value)]
    step = max(1, math.ceil(len(finite) / _MOST_POINTS))
    kept = {*finite[::step], *finite[-1:]}
    for at in finite:
        after = series[at + 1] if at + 1 < len(series) else None
        breaks = after is not None and not math.isfinite(after)
        if at in kept or breaks:
            yield {
                "seed": record.seed,
                "epoch": at + 1,
                "value": series[at],
                "label": verdict.label.value,
                "trial": standing(verdict.label).value,
                "broken": f"{after} in epoch {at + 2}" if breaks else "",
            }
