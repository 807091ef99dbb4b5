"""The report as Markdown: complete for a reader, and nothing that a script printed becomes markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports_made import HOSTILE, cell, exception, hostile_report, report

from runner.outcomes.earlier import against
from runner.outcomes.result import ComparisonResult, FailureResult, NeighbourChange
from runner.reports.markdown import MOST_ROWS, escaped, report_md
from runner.reports.untrusted import one_line, stripped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

GITHUB = MarkdownIt("gfm-like", {"html": True})
if GITHUB.linkify:
    GITHUB.linkify.set({"fuzzy_link": False})  # GitHub makes a link of an address and of `www.`, not of every a.py
OURS = {"text", "softbreak", "strong_open", "strong_close"}


def inline(text: str) -> Iterator[Token]:
    for token in GITHUB.parse(text):
        yield from token.children or ()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_script_printed_becomes_markup(text: str) -> None:
    found = report_md(hostile_report(text), source="https://github.com/o/r/blob/main")
    tokens = GITHUB.parse(found)
    assert {token.type for token in inline(found)} <= OURS | {"link_open", "link_close"}
    addresses = [str(token.attrs["href"]) for token in inline(found) if token.type == "link_open"]
    assert all(address.startswith("https://github.com/o/r/blob/main/") for address in addresses)
    assert not {token.type for token in tokens} & {"fence", "code_block", "html_block", "list_item_open", "hr"}
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2"]
    rows = GITHUB.render(found).split("</tr>")
    assert {row.count("<td") for row in rows if "<td" in row} == {3, 8}, "every row has its columns"
    assert not re.search(r"(?i)\bwww\.", found)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", found)


@given(st.text())
def test_any_text_reads_as_it_is(text: str) -> None:
    tokens = list(inline(f"x {escaped(text)} x"))
    assert [token.type for token in tokens] == ["text"] * len(tokens)
    shown = "".join(token.content for token in tokens).replace("\N{ZERO WIDTH SPACE}", "")
    assert shown.split() == ["x", *one_line(text).split(), "x"]
    assert "|" not in escaped(text)


def test_a_report_has_its_sentences_table_changes_and_failures() -> None:
    made = report(
        cell(1),
        cell(2, outcome="fails (nan)", kind="bad", final=7.0, comparison=ComparisonResult(label="worse", reason="r")),
        cell(3, outcome="breaks (crashed-import)", kind="bad", exception=exception("no | pipe")),
        sentences=("It breaks from 1.2.0 on.",),
        changes=(NeighbourChange(axis="six", before=f"{1:012x}", after=f"{2:012x}"),),
        failures=(FailureResult(label="nan", reason="nan", cells=(f"{2:012x}",), trials=4),),
        control="1 of 1 alike",
    )
    found = report_md(made, source="https://x/blob/c")
    assert found.startswith("# here\n\nIt breaks from 1.2.0 on.\n\n1 of 3 cells converge, 2 fail.\n")
    assert "| 1.1.0 | a.py | ✓ converges | 4/4 | 40-100 % | 2.5e-06 |  |  |  |\n" in found
    assert "| 1.2.0 | a.py | ✗ fails (nan) | 0/4 |  | NaN |  | worse |" in found
    assert "ValueError: no &#124; pipe ([a.py:7](https://x/blob/c/a.py#L7))" in found
    assert "| six 1.1.0 → 1.2.0 | converges → fails (nan) | script a.py |" in found
    assert "| nan | 4 | six=1.2.0,script=a.py |" in found
    assert "Compared with six=1.1.0,script=a.py: named.\n" in found
    assert "Control: 1 of 1 alike.\n" in found


def test_what_is_not_green_comes_first() -> None:
    found = report_md(report(complaint="Nothing was executed: no cell has a finished trial."))
    assert found.startswith("# here\n\n**Nothing was executed: no cell has a finished trial.**\n")


def test_what_is_new_against_an_earlier_result_is_told_and_what_is_not_is_counted() -> None:
    earlier = report(cell(1), cell(2))
    now = report(cell(1), cell(2, outcome="breaks (crashed-import)", kind="bad"))
    found = report_md(now, earlier=against(now, earlier))
    assert "1 equivalent, 1 worse.\n" in found
    assert "| six=1.2.0,script=a.py | worse | breaks (crashed-import), was converges" in found


def test_of_very_many_cells_those_that_fail_are_shown_and_the_page_fits() -> None:
    many = [cell(number, reason="x" * 1000) for number in range(900)]
    many += [cell(number, outcome="fails (nan)", kind="bad", reason="x" * 1000) for number in range(900, 1500)]
    found = report_md(report(*many))
    assert found.count("✗ fails (nan)") == MOST_ROWS
    assert "1000 more cells" in found
    assert len(found.encode()) < 1_000_000


def test_plain_text_keeps_its_lines_and_loses_what_does_not_show() -> None:
    assert stripped("a\x1b[1;31mb\x1b[0m\tc\r\nd\re") == "ab\tc\nd\ne"
    assert stripped("\x1b]0;title\x07x\x1b(Bz") == "xz"
    assert stripped("\u202ex\x00") == "\ufffdx\ufffd"
    assert stripped("\x1b]never ended" * 3) == ""
    assert one_line("a\n\n b", 3) == "a b"
    assert one_line("abcdef", 4) == "abc…"
