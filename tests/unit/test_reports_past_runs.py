"""Published runs one after another: what is remembered, what is told as news, and what is not told twice."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import pytest
from made_report import report_of_sizes

from runner.outcomes.result import CellResult
from runner.outcomes.result_file import as_json, read_result
from runner.reports.past_runs import MOST_RUNS, News, continued, gone, news_of, states, strips

if TYPE_CHECKING:
    from pathlib import Path

    from runner.outcomes.result import Result


OF_KIND = {
    "good": "converges",
    "bad": "fails (nan)",
    "undecided": "flaky (neither leads)",
    "untestable": "blocked (unresolvable)",
}


@pytest.fixture(scope="module")
def first() -> Result:
    return report_of_sizes({"tensorflow": 3, "script": 2}, seeds=2, epochs=4)


def later(report: Result, day: int, **cell: object) -> Result:
    """The report of a later run, in which the first cell is otherwise; a kind alone stands for an outcome of it."""
    of_kind = {"outcome": OF_KIND[str(cell["kind"])]} if "kind" in cell else {}
    changed = CellResult.model_validate({**dict(report.cells[0]), **of_kind, **cell})
    cells = (changed, *report.cells[1:])
    return report.model_copy(update={"made_at": f"2026-04-{day:02}T00:00:00+00:00", "cells": cells, "history": ()})


def test_a_first_run_has_no_news(first: Result) -> None:
    assert continued(first, None).history == ()
    assert news_of(first) == []
    assert gone(first) == 0


def test_a_run_in_which_nothing_changed_is_the_previous_one_also_where_a_value_is_nan(
    first: Result, tmp_path: Path
) -> None:
    with_nan = later(first, 1, final=nan, kind="bad")
    (tmp_path / "results.json").write_text(as_json(with_nan))
    previous = read_result(tmp_path / "results.json")
    again = later(first, 2, final=float("nan"), kind="bad")
    assert as_json(continued(again, previous)) == as_json(previous)


def test_where_only_words_changed_the_run_is_not_added_to_the_history(first: Result) -> None:
    second = continued(later(first, 2, kind="undecided", outcome="flaky (mostly fails)"), first)
    third = continued(later(second, 3, reason="said otherwise"), second)
    assert [run.made_at for run in third.history] == [first.made_at]


def test_a_run_keeps_only_what_was_otherwise_before(first: Result) -> None:
    second = continued(later(first, 2, kind="good", outcome="converges"), first)
    third = continued(later(first, 3, kind="bad", outcome="fails (diverged)"), second)
    assert [len(run.cells) for run in third.history] == [len(first.cells), 1]
    assert [str(state[first.cells[0].id].outcome) for _, state in states(third.history)] == [
        "fails (nan)",
        "converges",
    ]
    strip = strips(third)[first.cells[0].id]
    assert [seen.kind for seen in strip if seen] == ["bad", "good", "bad"]


def test_a_cell_that_is_gone_and_comes_back_is_known_as_such(first: Result) -> None:
    without = first.model_copy(update={"cells": first.cells[1:], "made_at": "2026-04-02"})
    second = continued(without, first)
    assert gone(second) == 1
    third = continued(later(first, 3), second)
    assert [one.news for one in news_of(third)] == [News.ADDED, *[one.news for one in news_of(third)[1:]]]
    assert [seen is None for seen in strips(third)[first.cells[0].id]] == [False, True, False]


def test_the_history_is_no_longer_than_it_may_be(first: Result) -> None:
    report = first
    for run in range(MOST_RUNS + 5):
        report = continued(later(first, 1 + run % 28, final=float(run + 10)), report)
    assert len(report.history) == MOST_RUNS
    assert len(report.history[0].cells) == len(first.cells)
    last = states(report.history)[-1][1][first.cells[0].id]
    assert last.final == MOST_RUNS + 5 - 1 + 10 - 1


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ({"kind": "good"}, {"kind": "bad"}, News.NEWLY_FAILING),
        ({"kind": "undecided"}, {"kind": "bad"}, News.NEWLY_FAILING),
        ({"kind": "bad"}, {"kind": "bad", "outcome": "fails (diverged)"}, News.STILL_FAILING),
        ({"kind": "good"}, {"kind": "untestable"}, News.UNTESTABLE),
        ({"kind": "untestable"}, {"kind": "untestable", "final": 2.0}, News.SAME),
        ({"kind": "good"}, {"kind": "undecided"}, News.FLAKY),
        ({"kind": "undecided"}, {"kind": "undecided", "final": 2.0}, News.SAME),
        ({"kind": "bad"}, {"kind": "good"}, News.BETTER),
        ({"kind": "good", "epoch_s": 1.0}, {"kind": "good", "epoch_s": 1.3}, News.SLOWER),
        ({"kind": "good", "epoch_s": 1.3}, {"kind": "good", "epoch_s": 1.0}, News.FASTER),
        ({"kind": "good", "epoch_s": 1.0}, {"kind": "good", "epoch_s": 1.2}, News.SAME),
        ({"kind": "good", "epoch_s": None}, {"kind": "good", "epoch_s": 1.2}, News.SAME),
    ],
)
def test_the_news_of_a_cell_follow_from_what_it_was(
    first: Result, before: dict[str, object], after: dict[str, object], news: News
) -> None:
    report = continued(later(first, 2, **after), later(first, 1, **before))
    assert news_of(report)[0].news is news
