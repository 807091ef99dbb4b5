"""The comparisons that a run kept are taken only where they follow from the same trials, verdicts and baseline."""

from __future__ import annotations

import pytest
from outcomes_records import BREAKS, cell, settling

from runner.matrix.criterion import parse
from runner.matrix.model import Seeds
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.kept_comparisons import compared, kept_comparisons

CELLS = [cell("1", *map(settling, (0.1, 0.11, 0.12, 0.13))), cell("2", *[BREAKS] * 4), cell("3", *[settling(0.2)] * 4)]


def judged_by(cells=CELLS, criterion=(), baseline=None):
    known = [(name, [(record, verdict_of(record, criterion)) for record, _ in trials]) for name, trials in cells]
    return judge_matrix(known, Seeds(), criterion=criterion, baseline=baseline)


@pytest.fixture(scope="module")
def marked():
    """Kept comparisons that say of every cell what no test would say."""
    judged = judged_by(baseline={"tensorflow": "1"})
    found = {name: one.model_copy(update={"reason": "kept"}) for name, one in compared(judged).items()}
    return kept_comparisons(judged, found)


def taken(marked, judged):
    return all(one.reason == "kept" for one in compared(judged, marked).values())


def test_the_same_matrix_takes_what_was_kept(marked):
    assert taken(marked, judged_by(baseline={"tensorflow": "1"}))


@pytest.mark.parametrize(
    "changed",
    [
        {"baseline": {"tensorflow": "3"}},
        {"baseline": {"tensorflow": "1"}, "criterion": (parse("loss < 0.15"),)},
        {"baseline": {"tensorflow": "1"}, "cells": [*CELLS[:2], cell("3", *[settling(0.3)] * 4)]},
    ],
    ids=["baseline", "criterion", "record"],
)
def test_what_changed_is_noticed(marked, changed):
    assert not taken(marked, judged_by(**changed))
