"""The pages of the whole matrix, and what every page is filled in with: templates, filters, the rules' sentences.

Everything that is filled in is escaped, and its control characters are made visible.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.reports.charts import bundle_name
from runner.reports.notation import ANSWER_KINDS, SYMBOLS, epoch_time, figure, kind_counts, minute, size
from runner.reports.past_runs import News, gone, news_of, strips
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from jinja2 import Template

    from runner.outcomes.result import PastCell, Result

MOST_ROWS = 500
"""Cells that a section of the page of changes lists one by one."""
RULES = {
    "process": "how the process ended decides, before any series is looked at",
    "no-value": "the judged metric was never reported",
    "non-finite": "the last value is NaN or infinite",
    "target": "the criterion holds at the end",
    "above-start": "it ended at more than twice its start",
    "few-epochs": "fewer than five values: is the last the lowest, 10 % of the start below it?",
    "reversals": "it zigzags by more than 10 % of its start, several times to the end",
    "above-own-best": "it ended more than 10 % of its start above its own best",
    "never-learned": "it never fell by 10 % of its start",
    "trend": "it was still falling over the last fifth",
    "target-missed": "there is a criterion, and it does not hold",
    "above-baseline": "it ended more than 10 % of the start above the baseline",
    "reference": "it came as low as the baseline",
    "shape": "it fell and flattened, and there is nothing to hold its level against",
}
"""By `Trial.basis`."""
_STANDINGS = {"caused by": "good", "goes with": "undecided", "does not matter": "untestable"}
"""The colour of each standing of a switch; those that are not named say nothing of the cause."""


def matrix_page(result: Result) -> str:
    """`index.html`: what the matrix says in a sentence, and the grid that scripts draw from the data."""
    return template("matrix.html").render(
        report=result,
        root="",
        page="matrix",
        counts=list(kind_counts(result).items()),
        baseline=next((cell for cell in result.cells if cell.id == result.baseline), None),
        missed=[cell for cell in result.cells if not cell.as_expected and cell.expected],
    )


def compare_page(result: Result) -> str:
    """`compare.html`: two cells side by side; which two stands in its address, so scripts fill it."""
    return template("compare.html").render(report=result, root="", page="compare")


def changes_page(result: Result) -> str:
    """`changes.html`: what changed since the run that was published before, and each cell through all runs."""
    news = news_of(result)
    sections = [(kind, [one for one in news if one.news is kind]) for kind in News if kind is not News.SAME]
    through = strips(result)
    return template("changes.html").render(
        report=result,
        root="",
        page="changes",
        sections=[(kind, found[:MOST_ROWS], len(found)) for kind, found in sections if found],
        quiet=sum(one.news is News.SAME for one in news),
        gone=gone(result),
        runs=[*(run.made_at for run in result.history), result.made_at],
        strips=through,
        moved=_moved(result, through),
    )


def why_page(result: Result) -> str:
    """`why.html`: why outcomes differ, with every experiment that the sentences rest on."""
    standings = {
        one.standing: _STANDINGS.get(one.standing, "untestable") for a in result.accounts for one in a.switches
    }
    return template("why.html").render(report=result, root="", page="why", kinds=ANSWER_KINDS, standings=standings)


def template(name: str) -> Template:
    """One template, compiled once."""
    return _environment().get_template(name)


def _moved(result: Result, through: dict[str, list[PastCell | None]]) -> list[str]:
    """The ids of the cells that were ever otherwise, those that turned most often first."""
    turns = {cell.id: _turns(through[cell.id]) for cell in result.cells}
    return sorted((cell for cell, count in turns.items() if count), key=lambda cell: -turns[cell])[:MOST_ROWS]


def _turns(strip: list[PastCell | None]) -> int:
    outcomes = [seen.outcome for seen in strip if seen is not None]
    return sum(one != other for one, other in pairwise(outcomes))


def _shown(value: object) -> object:
    if value.__class__ is str:
        return visible(value)
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.reports"),
        autoescape=True,
        auto_reload=False,  # else each page asks the disk whether its template is still the same
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "seconds": epoch_time, "size": size, "day": minute}
    environment.globals |= {"symbols": SYMBOLS, "rules": RULES, "vega": bundle_name()}
    return environment
