"""The page of accounts: why outcomes differ, with every experiment that the sentences rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.reports.templating import template

if TYPE_CHECKING:
    from runner.outcomes.result import Result

_KINDS = {"good": "good", "bad": "bad", "ambiguous": "undecided", "untestable": "untestable", "untold": "undecided"}
_STANDINGS = {"caused by": "good", "goes with": "undecided", "does not matter": "untestable"}
"""The colour of each standing; those that are not named say nothing of the cause."""


def why_page(report: Result) -> str:
    """`why.html`."""
    standings = {
        one.standing: _STANDINGS.get(one.standing, "untestable") for a in report.accounts for one in a.switches
    }
    return template("why.html").render(report=report, root="", page="why", kinds=_KINDS, standings=standings)
