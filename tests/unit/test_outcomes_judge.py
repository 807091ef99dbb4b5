"""The rules for one series: the conformance cases, then what must hold for every series."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.matrix.criterion import Comparison, Operator
from runner.outcomes.judge import JudgingTerms, judge
from runner.outcomes.verdict import Basis, Label

CASES = json.loads(Path(__file__).with_name("verdict_cases.json").read_text())["series"]

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-9)
REPORTS = st.one_of(st.floats(), st.none(), st.sampled_from(["nan", "inf", "-inf"]))


def judged(values, **terms):
    return judge(values, JudgingTerms(**terms))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_conformance_series_gets_its_label(case):
    verdict = judged(case["series"], **case["judge"])
    assert verdict.label == case["label"], verdict.reason


@given(
    st.lists(REPORTS, max_size=60),
    st.sampled_from(["last", "best"]),
    st.lists(REPORTS, max_size=130),
    st.integers(0, 5),
)
def test_no_series_is_too_strange_to_be_judged(values, at, steps, skip):
    for target in (None, Comparison(metric="loss", operator=Operator.LESS, target=0.5, within=3)):
        verdict = judged(values, at=at, steps=steps, skip=skip, target=target, planned=10, ref=0.1)
        assert verdict.reason


@given(st.lists(FINITE, max_size=60), st.integers(-50, 50))
def test_a_label_without_a_target_does_not_depend_on_the_scale(values, power):
    scaled = judged([value * 2.0**power for value in values])
    assert (scaled.label, scaled.basis) == (judged(values).label, judged(values).basis)


@given(st.lists(FINITE, max_size=60))
def test_a_metric_that_is_maximised_is_judged_as_its_negative_is_minimised(values):
    mirrored = judged([-value for value in values], mode="max")
    straight = judged(values, mode="min")
    assert (mirrored.label, mirrored.flags) == (straight.label, straight.flags)
    assert mirrored.final == (None if straight.final is None else -straight.final)


def test_a_verdict_reports_the_numbers_that_the_rules_compared():
    values = [2.0 - 0.1 * epoch if epoch < 15 else 0.5 for epoch in range(20)]
    verdict = judged(values, target="loss < 0.75")
    assert (verdict.y0, verdict.end, verdict.final, verdict.best, verdict.scale, verdict.n) == (
        2.0,
        0.5,
        0.5,
        0.5,
        2.0,
        20,
    )
    assert verdict.first_met_epoch == 14
    assert verdict.reason == "loss < 0.75: ended at 0.5"


def test_the_reason_of_a_plateau_says_how_little_it_fell():
    verdict = judged([0.70, 0.69, 0.69, 0.69, 0.69, 0.69])
    assert verdict.basis is Basis.NEVER_LEARNED
    assert verdict.reason == (
        "loss never got better by 10 % of its start: 0.7 at first, 0.69 at best (1.43 % of S = 0.7) in 6 values"
    )


def test_a_nan_names_its_first_epoch_and_step():
    verdict = judged([1.0, "nan", "nan"], steps=[1.0, 2.0, "inf"])
    assert (verdict.label, verdict.first_non_finite_epoch, verdict.first_non_finite_step) == (Label.NAN, 2, 3)
    assert verdict.reason == "loss ended at NaN or infinity, first in epoch 2 (step 3)"


def test_skipped_epochs_are_not_judged_but_keep_their_number():
    verdict = judged(["nan", 1.0, "nan", "nan"], skip=1)
    assert verdict.first_non_finite_epoch == 3


@pytest.mark.parametrize(
    ("metric", "falls_well"),
    [("loss", True), ("val_loss", True), ("accuracy", False), ("top_k_loss", True), ("my_mIoU", False), ("mae", True)],
)
def test_the_name_of_a_metric_tells_which_way_is_better(metric, falls_well):
    falling = judged([1.0, 0.3, 0.2, 0.2, 0.2, 0.2], metric=metric).label
    assert (falling is Label.SETTLED) == falls_well


def test_the_operator_of_a_target_wins_over_the_metrics_name():
    assert judged([0.9, 0.2, 0.1, 0.1, 0.1], target="accuracy < 0.5").label is Label.CONVERGED


def test_a_target_within_epochs_must_be_met_in_time():
    values = [1.0, 0.5, 0.2, 0.05, 0.05, 0.05, 0.05, 0.05]
    assert judged(values, target="loss < 0.1 within 4 epochs").label is Label.CONVERGED
    late = judged(values, target="loss < 0.1 within 3 epochs")
    assert (late.label, late.basis) == (Label.PLATEAUED, Basis.TARGET_MISSED)
    assert late.reason == "loss < 0.1 within 3 epochs: first met in epoch 4, too late"


def test_a_target_met_in_time_does_not_excuse_an_explosion():
    assert judged([1.0, 0.05, 0.5, 3.0, 30.0], target="loss < 0.1 within 2 epochs").label is Label.DIVERGED


def test_a_target_met_by_the_last_value_alone_is_borderline():
    values = [1.0] * 19 + [0.1]
    assert judged(values, target="loss < 0.5").flags == ("target-borderline",)


def test_a_met_target_does_not_suffice_while_another_criterion_does_not_hold():
    verdict = judged([1.0, 0.1, 0.05, 0.05, 0.05], target="loss < 0.1", unmet=["accuracy >= 0.9 (ended at 0.5)"])
    assert (verdict.label, verdict.basis) == (Label.PLATEAUED, Basis.TARGET_MISSED)
    assert verdict.reason == "loss flattened at 0.05; not met: accuracy >= 0.9 (ended at 0.5)"


def test_a_target_that_does_not_parse_is_one_clear_message():
    with pytest.raises(UsageError, match="the criterion 'loss below 1' does not parse: expected <, <=, > or >="):
        judged([1.0], target="loss below 1")


def test_running_means_of_steps_are_judged_as_the_losses_behind_them():
    own = [2.0 - 0.018 * step if step < 100 else 0.2 for step in range(400)]
    means = [math.fsum(own[: step + 1]) / (step + 1) for step in range(400)]
    of_means, of_own = judged([means[-1]], steps=means), judged([means[-1]], steps=own)
    assert of_means.label is of_own.label is Label.SETTLED
    assert of_means.final == pytest.approx(of_own.final)
    assert judged(means[::20]).label is Label.IMPROVING  # what the means look like


def test_the_steps_of_one_epoch_need_a_hundred_values():
    assert judged([1.0], steps=[2.0 - 0.01 * step for step in range(99)]).label is Label.TOO_SHORT


def test_an_epoch_that_meets_its_target_is_not_judged_by_its_steps():
    verdict = judged([0.4], target="loss < 0.5", steps=[1.0] * 200)
    assert (verdict.label, verdict.flags) == (Label.CONVERGED, ())


@pytest.mark.parametrize(
    ("values", "arguments", "flag"),
    [
        ([1.0, "nan", 0.3, 0.2, 0.2, 0.2], {}, "transient-non-finite"),
        ([1.0, 0.3, 0.2, 0.2, "nan"], {"at": "best"}, "nonfinite:loss"),
        ([None, 1.0, 0.3, 0.2, 0.2, 0.2], {}, "first-reported-epoch-2"),
        ([500.0, 1.0, 0.9, 0.8, 0.7, 0.6], {}, "first-epoch-dominates"),
        ([1.0, 0.8, 0.6, 0.4, 0.2], {"planned": 9}, "stopped-early-while-improving"),
    ],
)
def test_what_a_reader_should_know_is_flagged(values, arguments, flag):
    assert judged(values, **arguments).flags == (flag,)


def test_the_baseline_is_in_the_metrics_own_units():
    rises = [0.1, 0.5, 0.8, 0.8, 0.8, 0.8]
    assert judged(rises, metric="accuracy", ref=0.82, ref_scale=0.7).label is Label.CONVERGED
    below = judged(rises, metric="accuracy", ref=0.95, ref_scale=0.7)
    assert (below.label, below.basis) == (Label.PLATEAUED, Basis.ABOVE_BASELINE)
    assert below.reason == "accuracy flattened at 0.8, worse than the baseline's 0.95 (limit 0.88)"
