"""The result as JUnit XML, a test case for each cell.

A case passes where its cell has the expected outcome, or a good one where nothing is expected. A missed expectation and
a bad outcome are a `failure`. An undecided cell is an `error`: what nobody knows is never green. A blocked cell is
`skipped`, with the reason: the combination can't run, as some of old versions can't. A matrix that is not green as a
whole (nothing was executed) has a case of its own, in error.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Self
from xml.etree import ElementTree as ET

from runner.outcomes.tally import LEFT_OUT
from runner.reports.notation import cause, cell_name, final_figure
from runner.reports.untrusted import one_line, stripped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.outcomes.result import CellResult, Result


_LONGEST = 300
_IN_MEMORY, _PART = 8 * 1024**2, 1024**2
_CASES = "cases"
"""Stands for all of them where the element around them is written."""


def junit(report: Result) -> str:
    """The XML; valid whatever characters a script printed."""
    with JUnitCases(report) as cases:
        for cell in report.told_cells():
            cases.add(cell)
        return b"".join(cases.parts()).decode()


class JUnitCases:
    """The XML of a report, taken cell by cell: the cases of a large one wait in a temporary file for their sums."""

    def __init__(self, report: Result) -> None:
        """No case is there yet."""
        self._report = report
        self._text = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `__exit__`
        self._counts: Counter[str] = Counter()
        self._durations = array("d")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def add(self, cell: CellResult) -> None:
        """Add the case of a cell that has its trials."""
        self._durations.extend(trial.duration_s for trial in cell.trials)
        self._keep(_case(self._report, cell))

    def parts(self) -> Iterator[bytes]:
        """The XML in parts; no case is added after it."""
        if self._report.complaint:
            self._keep(_whole(self._report))
        figures = {
            "tests": str(self._counts["tests"]),
            "failures": str(self._counts["failure"]),
            "errors": str(self._counts["error"]),
            "skipped": str(self._counts["skipped"]),
            "time": _seconds(self._durations),
        }
        name = one_line(self._report.title)
        root = ET.Element("testsuites", {"name": name, **figures})
        made_at = self._report.made_at.partition("+")[0]
        suite = ET.SubElement(root, "testsuite", {"name": name, **figures, "timestamp": one_line(made_at)})
        if self._counts["tests"]:
            suite.append(ET.Element(_CASES))
        ET.indent(root)
        before, cases, after = ET.tostring(root, "unicode").partition(f"    <{_CASES} />\n")
        yield f'<?xml version="1.0" encoding="utf-8"?>\n{before}'.encode()
        if cases:
            self._text.seek(0)
            yield from iter(lambda: self._text.read(_PART), b"")
        yield f"{after}\n".encode()

    def _keep(self, case: ET.Element) -> None:
        self._counts["tests"] += 1
        self._counts.update(name for name in ("failure", "error", "skipped") if case.find(name) is not None)
        ET.indent(case, level=2)
        self._text.write(f"    {ET.tostring(case, 'unicode')}\n".encode())


def _case(report: Result, cell: CellResult) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": one_line(report.title),
            "name": one_line(cell_name(cell)),
            "time": _seconds(trial.duration_s for trial in cell.trials),
        },
    )
    properties = ET.SubElement(case, "properties")
    for name, value in _properties(report, cell):
        ET.SubElement(properties, "property", {"name": one_line(name), "value": one_line(value)})
    case.extend(_troubles(cell))
    log = next((trial.log for trial in cell.trials if trial.log), "")
    if log and len(case) > 1:
        ET.SubElement(case, "system-out").text = stripped(log)
    return case


def _properties(report: Result, cell: CellResult) -> Iterator[tuple[str, str]]:
    yield from cell.values.items()
    yield "outcome", str(cell.outcome)
    yield "converged", f"{cell.converged}/{cell.counted}"
    for name, value in (("cpython", cell.python), ("engine", cell.engine), ("lock", cell.lock)):
        if value:
            yield name, value
    if final := final_figure(cell, 6):
        yield f"final_{report.metric}", final
    if cell.comparison:
        yield "comparison", cell.comparison.label


def _troubles(cell: CellResult) -> Iterator[ET.Element]:
    """The one element that JUnit has for what is wrong with a cell, or nothing."""
    if LEFT_OUT in cell.flags:
        yield ET.Element("skipped", {"message": one_line(f"{cell.outcome}: {cell.reason}", _LONGEST)})
    elif cell.expected:
        if not cell.as_expected:
            yield _trouble("failure", "expectation", f"expected {cell.expected}, got {cell.told}", cell)
    elif cell.kind == "bad":
        yield _trouble("failure", str(cell.outcome), f"{cell.told}: {cause(cell)}", cell)
    elif cell.kind == "undecided":
        yield _trouble("error", str(cell.outcome), f"{cell.told}: {cell.reason}", cell)
    elif cell.kind == "untestable":
        yield ET.Element("skipped", {"message": one_line(f"{cell.outcome}: {cause(cell)}", _LONGEST)})


def _trouble(tag: str, kind: str, message: str, cell: CellResult) -> ET.Element:
    found = ET.Element(tag, {"type": one_line(kind), "message": one_line(message, _LONGEST)})
    parts = [cell.reason, *([cell.exception.traceback] if cell.exception else [])]
    parts += [f"To see it again: {cell.commands.with_runner[0]}"] if cell.commands else []
    found.text = stripped("\n\n".join(part for part in parts if part))
    return found


def _whole(report: Result) -> ET.Element:
    case = ET.Element("testcase", {"classname": one_line(report.title), "name": "the whole matrix", "time": "0.000"})
    ET.SubElement(case, "error", {"type": "not green", "message": one_line(report.complaint)})
    return case


def _seconds(values: Iterable[float]) -> str:
    return f"{math.fsum(values):.3f}"
