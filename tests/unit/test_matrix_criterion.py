from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.matrix.criterion import Comparison, CostLimit, CriterionError, Measure, Operator, parse

COMPARISONS = st.builds(
    Comparison,
    metric=st.from_regex(r"[A-Za-z_][A-Za-z0-9_./]*", fullmatch=True),
    operator=st.sampled_from(Operator),
    target=st.floats(allow_nan=False, allow_infinity=False),
    within=st.none() | st.integers(min_value=1, max_value=999_999_999),
)


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("loss < 1e-4", Comparison(metric="loss", operator=Operator.LESS, target=1e-4)),
        ("val_accuracy>=.9", Comparison(metric="val_accuracy", operator=Operator.GREATER_EQUAL, target=0.9)),
        (" r2.val/1 >\n-2. ", Comparison(metric="r2.val/1", operator=Operator.GREATER, target=-2.0)),
        ("loss <= 3 within 1 epoch", Comparison(metric="loss", operator=Operator.LESS_EQUAL, target=3.0, within=1)),
        ("within < 1 within 20 epochs", Comparison(metric="within", operator=Operator.LESS, target=1.0, within=20)),
    ],
)
def test_a_criterion_is_read(text: str, comparison: Comparison) -> None:
    assert parse(text) == comparison


@pytest.mark.parametrize(
    ("comparison", "text"),
    [
        (Comparison(metric="loss", operator=Operator.LESS, target=1e-4), "loss < 0.0001"),
        (Comparison(metric="acc", operator=Operator.GREATER, target=90.0, within=5), "acc > 90 within 5 epochs"),
        (Comparison(metric="acc", operator=Operator.GREATER, target=0.5, within=1), "acc > 0.5 within 1 epoch"),
    ],
)
def test_a_comparison_reads_as_a_user_writes_it(comparison: Comparison, text: str) -> None:
    assert str(comparison) == text


@given(COMPARISONS)
def test_the_text_of_a_comparison_is_read_back_to_the_same(comparison: Comparison) -> None:
    assert parse(str(comparison)) == comparison


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "the criterion '' does not parse: expected the name of a metric, found the end"),
        ("< 3", 1, "the criterion '< 3' does not parse: expected the name of a metric, found '<'"),
        ("loss", 5, "the criterion 'loss' does not parse: expected <, <=, > or >=, found the end"),
        ("loss = 3", 6, "the criterion 'loss = 3' does not parse: expected <, <=, > or >=, found '='"),
        ("loss ≤ 3", 6, "the criterion 'loss ≤ 3' does not parse: expected <, <=, > or >=, found '≤'"),
        ("loss < low", 8, "the criterion 'loss < low' does not parse: expected a number, found 'low'"),
        ("loss < nan", 8, "the criterion 'loss < nan' does not parse: expected a number, found 'nan'"),
        (
            "loss < 1 in 5",
            10,
            "the criterion 'loss < 1 in 5' does not parse: expected the end or 'within N epochs', found 'in'",
        ),
        (
            "l < 1 within 0 epochs",
            14,
            (
                "the criterion 'l < 1 within 0 epochs' does not parse: "
                "expected a whole number of epochs from 1 on, found '0'"
            ),
        ),
        (
            "l < 1 within 5",
            15,
            "the criterion 'l < 1 within 5' does not parse: expected the word 'epochs', found the end",
        ),
        ("loss <\n x", 9, "the criterion 'loss <  x' does not parse: expected a number, found 'x'"),
        ("loss < 1e999", 8, "'1e999' is too large for a number"),
        (
            "__import__('os')",
            11,
            "the criterion \"__import__('os')\" does not parse: expected <, <=, > or >=, found \"('os')\"",
        ),
    ],
)
def test_what_does_not_parse_says_what_was_expected_at_which_column(text: str, column: int, message: str) -> None:
    with pytest.raises(CriterionError) as caught:
        parse(text)
    assert (caught.value.column, str(caught.value)) == (column, message)


@given(st.text())
def test_any_text_is_read_or_refused_within_its_length(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert isinstance(error, CriterionError)  # noqa: PT017 - most texts are refused, some are not
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017


def test_importing_the_criterion_does_not_import_its_parser() -> None:
    code = "import sys, runner.matrix.criterion; print('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("seconds < 1.5x baseline", CostLimit(measure=Measure.SECONDS, factor=1.5)),
        (" epoch<2x  baseline", CostLimit(measure=Measure.EPOCH, factor=2.0)),
        ("memory < 1.25x\nbaseline ", CostLimit(measure=Measure.MEMORY, factor=1.25)),
    ],
)
def test_a_limit_of_what_a_trial_may_cost_is_read_and_its_text_is_read_back(text: str, limit: CostLimit) -> None:
    assert parse(text) == limit
    assert parse(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("loss < 1.5x baseline", 1, "only seconds, epoch, memory are held against the baseline's, and not 'loss'"),
        ("seconds > 1.5x baseline", 9, "a limit that the baseline sets is written with <"),
        ("seconds < 1x baseline", 11, "the limit is what the baseline takes times a number above 1, and not 1"),
        ("seconds < 1.5x", 14, "expected the end or 'within N epochs', found 'x'"),
        ("seconds < 1.5x baselines", 14, "expected the end or 'within N epochs', found 'x'"),
    ],
)
def test_a_limit_that_means_nothing_is_refused_at_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(CriterionError, match=re.escape(message)) as raised:
        parse(text)
    assert raised.value.column == column
