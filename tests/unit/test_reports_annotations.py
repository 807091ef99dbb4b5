"""Notes on script lines as GitHub workflow commands: one line each, whatever an exception says."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from reports_made import HOSTILE, cell, exception, hostile_report, report

from runner.outcomes.result import FailureResult
from runner.reports.annotations import MOST, workflow_commands

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)")


def parsed(text: str) -> list[tuple[str, ...]]:
    found = [COMMAND.fullmatch(line) for line in text.removesuffix("\n").split("\n")] if text else []
    assert all(found)
    return [tuple(map(unquote, one.groups())) for one in found if one]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_command_is_one_line_whatever_an_exception_says(text: str) -> None:
    found = workflow_commands(hostile_report(text))
    assert [level for level, *_ in parsed(found)] == ["error", "warning"]
    assert "\r" not in found
    assert found.count("\n") == 2


def test_what_was_printed_is_what_is_read() -> None:
    made = report(cell(1, outcome="breaks (crashed-training)", kind="bad", exception=exception("50%, a:b\nnext %0A")))
    [(level, file, line, title, message)] = parsed(workflow_commands(made, "sub/dir"))
    assert (level, file, line, title) == ("error", "sub/dir/a.py", "7", "ValueError in 1 cell")
    assert message == "ValueError: 50%, a:b\nnext %0A\nsix=1.1.0,script=a.py"


def test_the_same_exception_on_a_line_is_told_once_with_its_cells() -> None:
    crashed = {"outcome": "breaks (crashed-import)", "kind": "bad", "exception": exception()}
    [(level, _, _, title, message)] = parsed(workflow_commands(report(*(cell(n, **crashed) for n in range(8)))))
    assert (level, title) == ("error", "ValueError in 8 cells")
    assert message.endswith("\nand 3 more")


def test_what_can_be_done_about_an_exception_is_told_with_it() -> None:
    failing = cell(1, outcome="breaks (crashed-at-start)", kind="bad", exception=exception(), failures=(0,))
    known = FailureResult(
        label="crashed-at-start",
        reason="x",
        advice="`files: [a.csv]`",
        type="ValueError",
        cells=(failing.id,),
        trials=2,
    )
    [(*_, message)] = parsed(workflow_commands(report(failing, failures=(known,))))
    assert message == "ValueError: bad shape\n`files: [a.csv]`\nsix=1.1.0,script=a.py"


def test_the_level_says_whether_it_should_be_so() -> None:
    crashed = {"outcome": "breaks (crashed-import)", "kind": "bad"}
    made = report(
        cell(1, **crashed, exception=exception("a"), expected="breaks", as_expected=True),
        cell(2, outcome="blocked (download-failed)", kind="untestable", exception=exception("b")),
        cell(3, **crashed, exception=exception("c")),
        cell(4, outcome="fails (nan)", kind="bad"),
    )
    assert [level for level, *_ in parsed(workflow_commands(made))] == ["error", "warning", "notice"]


def test_of_each_level_as_many_are_told_as_are_shown() -> None:
    crashed = {"outcome": "breaks (crashed-import)", "kind": "bad"}
    many = [cell(n, **crashed, exception=exception(line=n + 1)) for n in range(50)]
    assert len(parsed(workflow_commands(report(*many)))) == MOST
