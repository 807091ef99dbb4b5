"""GitHub workflow commands: an error, warning or notice on each line of a script that raised, or that will."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from runner.check.sarif import LEVELS, sentence
from runner.plurals import counted
from runner.reports.notation import cell_name
from runner.reports.untrusted import one_line, stripped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.check.findings import Finding
    from runner.outcomes.result import CellResult, Result
    from runner.scripts.source import NotRewritableError

MOST = 10
"""Annotations of each level that GitHub shows for a step."""
_MOST_NAMES = 5
_OF_SARIF = {"note": "notice"}
_LONGEST_TYPE = 60


class _Place(NamedTuple):
    level: str
    file: str
    line: int
    cell: int | None
    type: str
    message: str


def workflow_commands(report: Result, folder: str = "") -> str:
    """The commands, a line each, worst first; `folder` is where the matrix stands below the root of the repository.

    An error where a cell is not as it should be, a warning where it can't run and nothing was expected of it, a notice
    where the exception is what the matrix expects, or did not keep the cell from being good. The same exception on the
    same line appears once, with its cells. A notebook's line is told in the message: the lines of its file are others.
    """
    found: dict[_Place, list[CellResult]] = {}
    for cell in report.cells:
        raised = cell.exception
        if raised is None or raised.file is None or raised.line is None:
            continue
        place = _Place(_level(cell), raised.file, raised.line, raised.cell, raised.type, stripped(raised.message))
        found.setdefault(place, []).append(cell)
    lines = []
    for level in ("error", "warning", "notice"):
        of_level = [(place, cells) for place, cells in found.items() if place.level == level]
        of_level.sort(key=lambda one: -len(one[1]))
        lines += [_command(place, cells, _advice(report, place, cells), folder) for place, cells in of_level[:MOST]]
    return "".join(f"{line}\n" for line in lines)


def finding_commands(findings: Iterable[Finding], refused: Iterable[NotRewritableError] = ()) -> str:
    """The commands for what `check` finds, a line each, and warnings for files that could not be checked."""
    lines = [
        f"::{_OF_SARIF.get(LEVELS[one.kind], LEVELS[one.kind])} file={_property(one.file)},line={one.line}"
        f",col={one.column},title={one.kind.value}::{_data(sentence(one))}\n"
        for one in findings
    ]
    lines += [
        f"::warning file={_property(one.path)},line={one.line},title=not checked::{_data(_unchecked(one))}\n"
        for one in refused
    ]
    return "".join(lines)


def _unchecked(refused: NotRewritableError) -> str:
    return f"This can't be checked: {refused.reason}."


def _level(cell: CellResult) -> str:
    if not cell.as_expected:
        return "error"
    return "notice" if cell.expected or cell.kind == "good" else "warning"


def _advice(report: Result, place: _Place, cells: Iterable[CellResult]) -> tuple[str, ...]:
    """What can be done about an exception, where something is known."""
    groups = [report.failures[index] for index in sorted({index for cell in cells for index in cell.failures})]
    fitting = [one for one in groups if one.type == place.type.rpartition(".")[2]]
    return tuple(dict.fromkeys(stripped(one.advice) for one in fitting if one.advice))


def _command(place: _Place, cells: list[CellResult], advice: Iterable[str], folder: str) -> str:
    path = posixpath.normpath(posixpath.join(folder, one_line(place.file)))
    title = f"{one_line(place.type, _LONGEST_TYPE)} in {counted(len(cells), 'cell')}"
    names = [one_line(cell_name(cell)) for cell in cells[:_MOST_NAMES]]
    names += [f"and {len(cells) - _MOST_NAMES} more"] if len(cells) > _MOST_NAMES else []
    within = "" if place.cell is None else f"cell {place.cell}, line {place.line}: "
    message = "\n".join((f"{within}{stripped(place.type)}: {place.message}", *advice, *names))
    line = f",line={place.line}" if place.cell is None else ""
    return f"::{place.level} file={_property(path)}{line},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """A message escaped as GitHub's own toolkit does it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
