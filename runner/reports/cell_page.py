"""The page of one cell: its outcome with all the evidence, and how to see it again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.reports.history import strips
from runner.reports.nearest import Nearness
from runner.reports.script_data import lock_name
from runner.reports.templating import template
from runner.reports.untrusted import capped, terminal_html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template
    from markupsafe import Markup

    from runner.reports.model import Cell, Lock, Report, Seen, Trial


@dataclass(frozen=True)
class CellPages:
    """The pages of all cells of one report."""

    report: Report

    def page(self, cell: Cell) -> str:
        """`cells/<id>.html`."""
        other = self._nearness.other(cell)
        lock = self.report.locks.get(cell.lock)
        shown = next((trial for trial in cell.trials if trial.log), None)
        return self._template.render(
            report=self.report,
            root="../",
            page="cell",
            cell=cell,
            neighbours=list(self._nearness.neighbours(cell)),
            other=other,
            differs=list(environment_difference(cell, other, self.report)) if other else [],
            lock=lock,
            lock_name=lock_name(cell.lock),
            diff=list(_diff_lines(cell.diff)),
            logged=shown,
            log=_log(shown),
            messages=list(dict.fromkeys(trial.message for trial in cell.trials if trial.message)),
            drawn=any(trial.curves for trial in cell.trials),
            strip=list(zip(self._runs, self._strips[cell.id], strict=True)) if self.report.history else [],
        )

    @cached_property
    def _template(self) -> Template:
        return template("cell.html")

    @cached_property
    def _nearness(self) -> Nearness:
        return Nearness(self.report)

    @cached_property
    def _strips(self) -> dict[str, list[Seen | None]]:
        return strips(self.report)

    @cached_property
    def _runs(self) -> list[str]:
        return [*(run.made_at for run in self.report.history), self.report.made_at]


def environment_difference(cell: Cell, other: Cell, report: Report) -> Iterator[tuple[str, str, str]]:
    """What two cells differ in: name, here, there; axis values first, then all that is installed."""
    for name in dict.fromkeys((*cell.values, *other.values)):
        if cell.values.get(name) != other.values.get(name):
            yield name, cell.values.get(name, ""), other.values.get(name, "")
    if cell.python != other.python:
        yield "CPython", cell.python, other.python
    if cell.engine != other.engine:
        yield "engine", cell.engine, other.engine
    if cell.lock == other.lock:
        return
    here, there = (_versions(report.locks.get(one.lock)) for one in (cell, other))
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name) and name not in cell.values:
            yield name, here.get(name, ""), there.get(name, "")


def _versions(lock: Lock | None) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages} if lock else {}


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


def _log(trial: Trial | None) -> Markup | str:
    return terminal_html(capped(trial.log)) if trial else ""
