"""The page of one cell: its outcome with all the evidence, and how to see it again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runner.reports.history import strips
from runner.reports.nearest import Nearness
from runner.reports.script_data import lock_name
from runner.reports.templating import template
from runner.reports.untrusted import capped, terminal_html

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from jinja2 import Template
    from markupsafe import Markup

    from runner.outcomes.result import CellResult, PastCell, Result, TrialResult

_TARGET = re.compile(r"([\w/]+)\s*[<>]=?\s*([-+.\de]+\d)")
"""A criterion that is a level of one metric."""


@dataclass(frozen=True)
class CellPages:
    """The pages of all cells of one report."""

    report: Result

    def page(self, cell: CellResult) -> str:
        """`cells/<id>.html`."""
        other = self._nearness.other(cell)
        lock = self.report.locks.get(cell.lock)
        shown = next((trial for trial in cell.trials if trial.log), None)
        return self._template.render(
            report=self.report,
            root="../",
            page="cell",
            cell=cell,
            words=cell_words(cell),
            neighbours=list(self._nearness.neighbours(cell)),
            other=other,
            other_words=cell_words(other) if other else "",
            differs=list(difference(cell, other)) if other else [],
            packages=self._packages(cell.lock, other.lock) if other else "",
            lock=lock,
            lock_name=lock_name(cell.lock),
            diff=list(_diff_lines(cell.diff)),
            logged=shown,
            log=_log(shown),
            messages=list(dict.fromkeys(trial.message for trial in cell.trials if trial.message)),
            drawn=any(trial.curves for trial in cell.trials),
            targets=self._targets,
            strip=list(zip(self._runs, self._strips[cell.id], strict=True)) if self.report.history else [],
        )

    def _packages(self, here: str, there: str) -> Markup:
        """The rows of what is installed otherwise under two locks; many pairs of cells have the same two."""
        if (here, there) not in self._rows:
            mine, theirs = (self._versions.get(digest, {}) for digest in (here, there))
            self._rows[here, there] = self._parts.rows(list(package_difference(mine, theirs, self._axes)))
        return self._rows[here, there]

    @cached_property
    def _parts(self) -> Any:
        return template("parts.html").module

    @cached_property
    def _versions(self) -> dict[str, dict[str, str]]:
        """By lock, the version of each package."""
        return {
            digest: {package.name: package.version for package in lock.packages}
            for digest, lock in self.report.locks.items()
        }

    @cached_property
    def _rows(self) -> dict[tuple[str, str], Markup]:
        return {}

    @cached_property
    def _targets(self) -> str:
        """The values that a criterion sets, by metric, as JSON: charts draw a line there."""
        found = map(_TARGET.fullmatch, self.report.criterion)
        return json.dumps({one[1]: float(one[2]) for one in found if one})

    @cached_property
    def _axes(self) -> set[str]:
        return {axis.name for axis in self.report.axes}

    @cached_property
    def _template(self) -> Template:
        return template("cell.html")

    @cached_property
    def _nearness(self) -> Nearness:
        return Nearness(self.report)

    @cached_property
    def _strips(self) -> dict[str, list[PastCell | None]]:
        return strips(self.report)

    @cached_property
    def _runs(self) -> list[str]:
        return [*(run.made_at for run in self.report.history), self.report.made_at]


def cell_words(cell: CellResult) -> str:
    """The axis values of a cell in one line."""
    return ", ".join(f"{name} {value}" for name, value in cell.values.items())


def difference(cell: CellResult, other: CellResult) -> Iterator[tuple[str, str, str]]:
    """What two cells differ in but for their packages: name, here, there; axis values first."""
    for name in dict.fromkeys((*cell.values, *other.values)):
        if cell.values.get(name) != other.values.get(name):
            yield name, cell.values.get(name, ""), other.values.get(name, "")
    if cell.python and other.python and cell.python != other.python:
        yield "CPython", cell.python, other.python
    if cell.engine != other.engine:
        yield "engine", cell.engine, other.engine


def package_difference(
    here: Mapping[str, str], there: Mapping[str, str], axes: Container[str]
) -> Iterator[tuple[str, str, str]]:
    """The packages that two locks have in other versions: name, here, there; those that are axes are told already."""
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name) and name not in axes:
            yield name, here.get(name, ""), there.get(name, "")


def _diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """Each line of a diff with what it is."""
    for line in diff.splitlines():
        match line[:1]:
            case "+" | "-" if line[:3] in {"+++", "---"}:
                yield "file", line
            case "+":
                yield "added", line
            case "-":
                yield "removed", line
            case "@":
                yield "place", line
            case _:
                yield "same", line


def _log(trial: TrialResult | None) -> Markup | str:
    return terminal_html(capped(trial.log)) if trial else ""
