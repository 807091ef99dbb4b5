"""Tests and intervals of rates and samples: held against SciPy where it is exact, and what must hold of each.

SciPy and statsmodels are imported where they are used: of the processes that share the tests, most need neither.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, mannwhitneyu

from runner.outcomes.significance import (
    SAME_DECADES,
    DifferenceLabel,
    difference_of,
    equivalence,
    fisher,
    holm,
    mann_whitney,
    median_interval,
    rate_interval,
    seeds_for_equivalence,
    seeds_to_tell_apart,
)

LEVELS = st.lists(st.floats(1e-9, 1e3), min_size=4, max_size=7)
LOW, HIGH = (1.0, 1.1, 1.2, 1.3), (2.0, 2.1, 2.2, 2.3)


def test_four_of_four_against_none_of_four_is_what_one_comparison_needs():
    assert fisher((0, 4), (4, 4)) == pytest.approx(2 / 70)
    assert mann_whitney(LOW, HIGH) == (pytest.approx(2 / 70), 0.0)
    assert [seeds_to_tell_apart(tests) for tests in (0, 1, 2, 6, 7, 23, 24, 85, 86)] == [4, 4, 5, 5, 6, 6, 7, 7, 8]


def test_rates_without_an_observation_are_not_told_apart():
    assert fisher((0, 3), (0, 3)) == 1.0


@pytest.mark.parametrize(("c", "n"), [((0, 4), (4, 4)), ((3, 4), (4, 10)), ((5, 2), (10, 5))])
def test_the_interval_of_two_rates_mirrors_and_is_wider_than_newcombes_own(c, n):
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = rate_interval(c, n)
    narrow_low, narrow_high = confint_proportions_2indep(c[0], n[0], c[1], n[1], method="newcomb")
    assert -1 <= low <= narrow_low < c[0] / n[0] - c[1] / n[1] + 1e-9
    assert narrow_high < high <= 1
    assert rate_interval(c[::-1], n[::-1]) == (pytest.approx(-high), pytest.approx(-low))


@pytest.mark.parametrize(("x", "y"), [((1, 1, 2, 3), (2, 2, 3, 4)), ((1, 1, 1, 1), (2, 2, 2, 2)), ((1, 2, 2), (2, 2))])
def test_with_ties_the_orders_are_counted(x, y):
    from scipy.stats import PermutationMethod, mannwhitneyu

    counted, _ = mann_whitney(x, y)
    assert counted == pytest.approx(mannwhitneyu(x, y, method=PermutationMethod()).pvalue)


def test_scipys_approximation_with_ties_goes_below_the_smallest_p_there_is():
    from scipy.stats import mannwhitneyu

    x, y = [1.0] * 4, [2.0] * 4
    assert mannwhitneyu(x, y, method="auto").pvalue < 0.014
    assert mann_whitney(x, y) == (pytest.approx(2 / 70), 0.0)


@given(LEVELS, LEVELS)
def test_swapping_two_samples_mirrors_what_is_said_of_them(x, y):
    one, other = difference_of(x, y), difference_of(y, x)
    assert (one.p, one.superiority) == (pytest.approx(other.p), pytest.approx(1 - other.superiority))
    mirrored = {DifferenceLabel.LOWER: DifferenceLabel.HIGHER, DifferenceLabel.HIGHER: DifferenceLabel.LOWER}
    assert one.label is mirrored.get(other.label, other.label)


@given(LEVELS, LEVELS, st.integers(-40, 40), st.randoms(use_true_random=False))
def test_neither_the_scale_nor_the_order_of_values_matters(x, y, power, shuffler):
    scaled = [value * 2.0**power for value in x]
    shuffler.shuffle(scaled)
    one, other = difference_of(x, y), difference_of(scaled, [value * 2.0**power for value in y])
    assert (one.p, one.superiority) == (other.p, other.superiority)
    assert one.equivalence_p == pytest.approx(other.equivalence_p, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("ours", "theirs"), [(4, 4), (5, 9), (8, 6)])
def test_the_bootstrap_and_the_exact_test_are_those_of_scipy_to_the_last_bit(ours: int, theirs: int):
    rng = np.random.default_rng(ours)
    x, y = rng.random(ours).tolist(), (rng.random(theirs) + 0.3).tolist()
    found = bootstrap(
        sorted((sorted(x), sorted(y))),
        lambda a, b, axis: np.median(a, axis=axis) - np.median(b, axis=axis),
        n_resamples=9999,
        paired=False,
        method="percentile",
        rng=np.random.default_rng(20260131),
    ).confidence_interval
    same_order = sorted(x) < sorted(y)
    assert median_interval(x, y) == ((found.low, found.high) if same_order else (-found.high, -found.low))
    assert mann_whitney(x, y)[0] == mannwhitneyu(x, y, method="exact").pvalue


def test_the_bootstrap_is_the_same_each_time_and_mirrors():
    low, high = median_interval(LOW, HIGH)
    assert (low, high) == median_interval(tuple(reversed(LOW)), HIGH)
    assert median_interval(HIGH, LOW) == (-high, -low)
    assert -1.3 <= low < -1.0 < high <= -0.7
    assert median_interval((1.0,) * 4, (2.0,) * 4) == (-1.0, -1.0)


def test_samples_without_any_spread_are_compared_by_their_values():
    assert difference_of([1.0] * 4, [1.0] * 4).label is DifferenceLabel.EQUIVALENT
    assert difference_of([1.0] * 4, [1.2] * 4).equivalence_p == 0.0
    assert difference_of([1.0] * 4, [1.3] * 4).equivalence_p == 1.0
    assert difference_of([1.0] * 4, [1.2] * 4).label is DifferenceLabel.LOWER
    assert equivalence([1e200, -1e200, 1e200, 3.0], [0.0] * 4, 0.1) == 1.0


def test_values_that_are_no_numbers_are_left_out_and_fewer_than_four_are_not_compared():
    assert difference_of([*LOW[:3], math.nan, None], HIGH) is None
    assert difference_of([*LOW, math.nan, math.inf, None], HIGH).cell == LOW


def test_positive_values_are_compared_in_powers_of_ten_and_others_by_their_start():
    assert difference_of(LOW, HIGH).margin == SAME_DECADES
    negative = difference_of([-1.0, *LOW], [-1.0, *LOW], scale=2.0)
    assert (negative.logarithmic, negative.margin) == (False, pytest.approx(0.1))
    assert difference_of([-1.0, *LOW], [-1.0, *LOW]).label is DifferenceLabel.INCONCLUSIVE


def test_accuracies_within_a_factor_of_a_quarter_are_not_the_same():
    poor, good = (0.80, 0.801, 0.802, 0.803), (0.95, 0.951, 0.952, 0.953)
    assert difference_of(poor, good).equivalence_p < 0.05
    assert difference_of(poor, good, maximised=True, scale=0.85).equivalence_p > 0.99


def test_more_seeds_are_foreseen_for_more_spread():
    tight, wide = (0.0, 0.02, 0.04, 0.06), (0.0, 0.1, 0.2, 0.3)
    assert seeds_for_equivalence(tight, tight, 0.1) == 4
    assert seeds_for_equivalence(wide, wide, 0.1) == 30
    assert seeds_for_equivalence(tight, (1.0, 1.1, 1.2, 1.3), 0.1) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_keep_the_order_and_never_make_a_p_smaller(ps):
    corrected = holm(ps)
    assert all(p <= adjusted + 1e-12 for p, adjusted in zip(ps, corrected, strict=True))
    assert sorted(corrected) == [adjusted for _, adjusted in sorted(zip(ps, corrected, strict=True))]


def test_holm_multiplies_by_the_hypotheses_that_are_left():
    from statsmodels.stats.multitest import multipletests

    ps = [0.01, 0.04, 0.03, 0.01, 0.9, 0.002]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
    assert holm([]) == []
    assert holm(ps, len(ps) + 3) == holm([*ps, 1.0, 1.0, 1.0])[: len(ps)], "further tests have a p of 1"


@pytest.mark.parametrize(
    ("x", "y", "margin", "p"),
    [
        ((1.0, 1.0, 1.0, 1.00001), (1.0,) * 4, 0.1, 1.7230320185209614e-14),
        ((0.1, 0.2, 0.3, 0.4), (0.11, 0.21, 0.31, 0.42), 0.2, 0.044779289472673345),
        ((1.0, 2.0, 3.0, 4.0, 5.0), (2.0, 2.5, 3.0, 3.5), 2.0, 0.034566796596196186),
    ],
)
def test_equivalence_is_what_statsmodels_ttost_ind_recorded(x, y, margin, p):
    assert equivalence(x, y, margin) == pytest.approx(p, rel=1e-12)
