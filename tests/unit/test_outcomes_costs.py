"""Limits of what a trial may cost: in terms of the baseline, beyond its noise, by records alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from outcomes_records import BREAKS, LEARNS, crash, record

from runner.matrix.cell_id import CellId
from runner.matrix.criterion import CostLimit, Measure, parse
from runner.matrix.model import Judging, Seeds
from runner.outcomes.costs import median_between
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Basis, Label

if TYPE_CHECKING:
    from runner.trials.record import Record

STEADY = (10.0, 10.1, 9.9, 10.2)
LIMIT = CostLimit(measure=Measure.SECONDS, factor=1.5)


def cell(name: str, seconds: tuple[float, ...], judging: Judging, criterion=(), losses=LEARNS, **changes):
    records = [record(*losses, seed=seed, weights="same", duration_s=s, **changes) for seed, s in enumerate(seconds)]
    return CellId.of({"tensorflow": name}), [(one, verdict_of(one, criterion, judging=judging)) for one in records]


def judged(*cells: tuple[str, tuple[float, ...]], limits=(LIMIT,), criterion=(), named="1", **changes):
    judging = Judging(costs=tuple(limits))
    made = [cell(name, seconds, judging, criterion, **changes) for name, seconds in cells]
    return judge_matrix(made, Seeds(), criterion=criterion, judging=judging, baseline={"tensorflow": named})


def outcomes(*cells, **changes):
    return [str(one.outcome) for one in judged(*cells, **changes).cells]


def test_a_cell_is_good_below_the_limit_bad_above_it_and_undecided_within_the_noise_of_the_baseline():
    below, above, within = (14.0,) * 4, (15.5,) * 4, (15.0,) * 4
    found = outcomes(("1", STEADY), ("2", below), ("3", above), ("4", within))
    assert found == ["converges", "converges", "fails (missed)", "undecided"]
    noisy = (6.0, 10.0, 10.0, 14.0)  # the limit lies anywhere between 9 and 21 seconds
    assert outcomes(("1", noisy), ("2", below), ("3", above)) == ["undecided", "undecided", "undecided"]


def test_trials_on_both_sides_of_the_limit_ask_for_more_and_are_no_copies_of_each_other():
    mixed = judged(("1", STEADY), ("2", (14.0, 16.0, 14.0, 16.0)))
    assert [str(one.outcome) for one in mixed.cells] == ["converges", "flaky (neither leads)"]
    assert [(one.converged, one.counted) for one in mixed.cells] == [(4, 4), (2, 4)]
    assert mixed.seeds_wanted(Seeds()) == (0, 4)


def test_the_numbers_stand_in_the_reason():
    found = judged(("1", STEADY), ("2", (20.0,) * 4)).cells[1].trials[0][1]
    assert (found.label, found.basis, found.exceeds) == (Label.MISSED, Basis.COST, Measure.SECONDS)
    assert found.reason == "seconds < 1.5x baseline: it took 20 s; the limit is 14.9 s to 15.3 s"


def test_nothing_is_known_of_the_limit_before_four_trials_of_the_baseline_are_good():
    assert outcomes(("1", STEADY[:3]), ("2", (1.0,) * 4)) == ["undecided", "undecided"]
    assert outcomes(("1", STEADY), ("2", (1.0,) * 4), named="9") == ["undecided", "undecided"]
    failing = judged(("1", STEADY), ("2", (1.0,) * 4), criterion=(parse("loss < 0.001"),))
    assert [str(one.outcome) for one in failing.cells] == ["fails (plateaued)", "fails (plateaued)"]


@pytest.mark.parametrize(
    ("measure", "cheap", "dear"),
    [
        (Measure.MEMORY, {"peak_memory_bytes": 10**8}, {"peak_memory_bytes": 2 * 10**8}),
        (Measure.EPOCH, {"times": 1.0}, {"times": 2.0}),
    ],
)
def test_memory_and_the_time_of_an_epoch_are_limited_as_the_time_of_a_trial_is(measure, cheap, dear):
    def made(seed: int, changes: dict[str, float]) -> Record:
        times = changes.get("times")
        one = record(*LEARNS, seed=seed, **{key: value for key, value in changes.items() if key != "times"})
        timed = [
            epoch.model_copy(update={"time_s": times * (50 if epoch.epoch == 1 else 1)})
            for epoch in one.epochs
            if times
        ]
        return one.model_copy(update={"epochs": tuple(timed)}) if times else one

    judging = Judging(costs=(CostLimit(measure=measure, factor=1.5),))
    cells = [
        (CellId.of({"tensorflow": name}), [(one, verdict_of(one, judging=judging)) for one in records])
        for name, records in (
            ("1", [made(seed, cheap) for seed in range(4)]),
            ("2", [made(seed, dear) for seed in range(4)]),
            ("3", [record(*LEARNS[:1], seed=seed) for seed in range(4)]),
        )
    ]
    found = judge_matrix(cells, Seeds(), judging=judging, baseline={"tensorflow": "1"})
    assert [str(one.outcome) for one in found.cells] == ["converges", "fails (missed)", "undecided"]
    assert found.cells[2].trials[0][1].label is Label.NO_METRICS
    assert found.cells[2].trials[0][1].reason == f"{measure} < 1.5x baseline: {measure} was not measured"


def test_beside_a_metric_both_must_hold_and_by_itself_a_limit_asks_for_no_metric():
    quick, slow = ("1", STEADY), ("2", (30.0,) * 4)
    assert outcomes(quick, slow, criterion=(parse("loss < 1"),)) == ["converges", "fails (missed)"]
    flat = (2.3, 2.3, 2.3, 2.3, 2.3, 2.3)
    assert outcomes(quick, slow, losses=flat) == ["converges", "fails (missed)"]
    assert outcomes(quick, slow, losses=flat, criterion=(parse("loss < 1"),))[0] == "fails (plateaued)"
    assert outcomes(quick, slow, losses=()) == ["converges", "fails (missed)"]


def test_a_trial_that_breaks_or_ends_in_nan_is_no_matter_of_cost():
    assert outcomes(("1", STEADY), ("2", STEADY), losses=BREAKS) == ["fails (nan)", "fails (nan)"]
    assert outcomes(("1", STEADY), ("2", STEADY), **crash()) == ["breaks (crashed-training)"] * 2


def test_all_limits_must_hold_and_the_worst_is_told():
    limits = (LIMIT, CostLimit(measure=Measure.MEMORY, factor=2.0))
    found = judged(("1", STEADY), ("2", STEADY), limits=limits, peak_memory_bytes=10**8)
    assert [str(one.outcome) for one in found.cells] == ["converges", "converges"]
    assert outcomes(("1", STEADY), ("2", (30.0,) * 4), limits=limits, peak_memory_bytes=10**8)[1] == "fails (missed)"


@pytest.mark.parametrize(
    ("values", "between"),
    [
        ([3.0, 1.0, 2.0, 4.0], (1.0, 4.0)),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (1.0, 6.0)),
        ([float(n) for n in range(1, 11)], (2.0, 9.0)),
        ([float(n) for n in range(1, 41)], (14.0, 27.0)),
    ],
)
def test_the_median_lies_between_order_statistics(values: list[float], between: tuple[float, float]) -> None:
    """Those of tables of the sign test: n = 10 leaves out 1 at each end, n = 40 leaves out 13."""
    assert median_between(values) == between


def test_the_interval_of_the_median_holds_it_as_often_as_it_says() -> None:
    import random

    draws = random.Random(1)
    held = 0
    for _ in range(2000):
        low, high = median_between([draws.expovariate(1) for _ in range(10)])
        held += low <= math.log(2) <= high
    assert 0.96 < held / 2000 < 0.99
