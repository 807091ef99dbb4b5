from __future__ import annotations

import pytest

from runner.matrix.declaration import MEANT, OUTCOME_LABELS, outcome_words
from runner.matrix.mistakes import RefusedError
from runner.outcomes.verdict import Label, Standing, standing


def test_the_labels_in_brackets_are_those_that_outcomes_gives_to_failures_and_to_blocked_trials() -> None:
    by_standing = {kind: {str(label.value) for label in Label if standing(label) is kind} for kind in Standing}
    assert set(OUTCOME_LABELS["fails"]) == by_standing[Standing.FAILURE]
    assert set(OUTCOME_LABELS["blocked"]) == by_standing[Standing.BLOCKED]


def test_every_trial_label_leads_to_the_outcome_that_goes_with_it() -> None:
    wrong = {str(label.value): MEANT.get(str(label.value)) for label in Label if str(label.value) not in MEANT}
    assert not wrong
    for meant in MEANT.values():
        assert outcome_words(meant) == meant


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ("fails", "fails"),
        (" fails( nan ) ", "fails (nan)"),
        ("flaky (neither leads)", "flaky (neither leads)"),
        ("unresolvable", "blocked (unresolvable)"),
    ],
)
def test_an_outcome_is_given_in_the_runners_own_form(written: str, outcome: str) -> None:
    assert outcome_words(written) == outcome


@pytest.mark.parametrize("written", ["", "()", "fails ()", "fails (nan) (nan)", "fails (timeout)", "x" * 10_000])
def test_what_is_no_outcome_is_refused(written: str) -> None:
    with pytest.raises(RefusedError, match="is not an outcome"):
        outcome_words(written)
