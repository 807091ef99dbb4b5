"""One golden page for each kind of output: what a reader sees, whole; other tests of drawing ask for values.

`RUNNER_ACCEPT=1 python -m pytest tests/unit/test_reports_golden.py` accepts what reads otherwise; look at it with
`git diff tests/unit/golden`.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from made_account import made_account
from results_made import accuracies
from rich.console import Console

from runner.reports.cell_page import CellPages
from runner.reports.feed import feed
from runner.reports.junit import junit
from runner.reports.markdown import report_md, table_lines
from runner.reports.notebook import html_of
from runner.reports.site import badge
from runner.reports.spreadsheet import csv_lines, json_rows
from runner.reports.terminal.cell_sheet import print_account, print_cell
from runner.reports.terminal.matrix_sheet import print_result, print_verdicts

if TYPE_CHECKING:
    from collections.abc import Callable

    Golden = Callable[[str, str], None]

RESULT = accuracies()
FORMATS = {
    "results.csv": csv_lines,
    "table.json": json_rows,
    "table.md": table_lines,
    "report.md": report_md,
    "junit.xml": junit,
    "badge.svg": badge,
    "feed.xml": feed,
    "notebook.html": html_of,
}


@pytest.mark.parametrize("name", FORMATS)
def test_files_and_formats(golden: Golden, name: str) -> None:
    golden(name, "".join(FORMATS[name](RESULT)))


def test_the_page_of_a_cell(golden: Golden) -> None:
    page = CellPages(RESULT).page(RESULT.cells[1])
    golden("cell.html", re.sub(r"vega-[\w.]+\.js", "vega.js", page))


def test_the_matrix_on_a_terminal(
    golden: Golden, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    print_result(RESULT, "table", executed=10, missed=["expected converges (line 7), got fails (nan)"])
    golden("terminal_table.txt", capsys.readouterr().out)
    print_result(RESULT, "table", wide=True)
    golden("terminal_wide.txt", capsys.readouterr().out)
    monkeypatch.setenv("COLUMNS", "260")
    print_verdicts(RESULT, "json")
    golden("verdicts.json", capsys.readouterr().out)


def test_a_cell_on_a_terminal(golden: Golden) -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    print_cell(RESULT.model_copy(update={"cells": RESULT.cells[1:2]}), console)
    golden("terminal_show.txt", console.file.getvalue())


def test_an_account_on_a_terminal(golden: Golden) -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    print_account(made_account(), console)
    golden("terminal_account.txt", console.file.getvalue())
