"""The page of what changed since the run that was published before, and how each cell went through all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from runner.reports.history import News, gone, news_of, strips
from runner.reports.templating import template

if TYPE_CHECKING:
    from runner.outcomes.result import PastCell, Result

MOST_ROWS = 500
"""Cells that a section lists one by one."""
_QUIET = {News.SAME}


def changes_page(report: Result) -> str:
    """`changes.html`."""
    news = news_of(report)
    sections = [(kind, [one for one in news if one.news is kind]) for kind in News if kind not in _QUIET]
    went = strips(report)
    return template("changes.html").render(
        report=report,
        root="",
        page="changes",
        sections=[(kind, found[:MOST_ROWS], len(found)) for kind, found in sections if found],
        quiet=sum(one.news in _QUIET for one in news),
        gone=gone(report),
        runs=[*(run.made_at for run in report.history), report.made_at],
        strips=went,
        moved=_moved(report, went),
    )


def _moved(report: Result, went: dict[str, list[PastCell | None]]) -> list[str]:
    """The ids of the cells that were ever otherwise, those that turned most often first."""
    turns = {cell.id: _turns(went[cell.id]) for cell in report.cells}
    return sorted((cell for cell, count in turns.items() if count), key=lambda cell: -turns[cell])[:MOST_ROWS]


def _turns(strip: list[PastCell | None]) -> int:
    outcomes = [seen.outcome for seen in strip if seen is not None]
    return sum(one != other for one, other in pairwise(outcomes))
