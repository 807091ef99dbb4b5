"""The page that sets two cells side by side; which two stands in its address, so scripts fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.reports.templating import template

if TYPE_CHECKING:
    from runner.outcomes.result import Result


def compare_page(report: Result) -> str:
    """`compare.html`."""
    return template("compare.html").render(report=report, root="", page="compare")
