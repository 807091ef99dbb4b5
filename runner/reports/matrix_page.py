"""The first page: what the matrix says in a sentence, and the grid that scripts draw from the data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from runner.reports.script_data import KINDS
from runner.reports.templating import template

if TYPE_CHECKING:
    from runner.outcomes.result import Result


def matrix_page(report: Result) -> str:
    """`index.html`."""
    counts = Counter[str](cell.kind for cell in report.cells)
    return template("matrix.html").render(
        report=report,
        root="",
        page="matrix",
        counts=[(kind, counts[kind]) for kind in KINDS],
        baseline=next((cell for cell in report.cells if cell.id == report.baseline), None),
        missed=[cell for cell in report.cells if not cell.as_expected and cell.expected],
    )
