"""The page of one cell: its outcome with all the evidence, the cells near it, and the commands that reproduce it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.outcomes.tally import LEFT_OUT
from runner.reports.notation import MOST_TRIALS, minute
from runner.reports.pages import lock_name, number, template
from runner.reports.past_runs import strips
from runner.reports.untrusted import capped, terminal_html, visible

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from jinja2 import Template
    from markupsafe import Markup
    from numpy.typing import NDArray

    from runner.outcomes.account import Account
    from runner.outcomes.result import CellResult, PastCell, Result, TrialResult

    Places = NDArray[np.int_]

PAGE_BYTES = 300_000
"""A page is not larger, whatever its cell wrote."""
_SHORTER = (8192, 2048, 512, 128, 32)
_TARGET = re.compile(r"([\w/]+)\s*[<>]=?\s*([-+.\de]+\d)")
"""A criterion that is a level of one metric."""
_AXIS = 10_000
"""Another value of one more axis is further away than any step along a single one."""


@dataclass(frozen=True)
class CellPages:
    """The pages of all cells of one report."""

    report: Result

    def page(self, cell: CellResult) -> str:
        """`cells/<id>.html`, of bounded size: where a cell's texts are too long, head and tail of each are shown."""
        text = self._page(cell)
        for most in _SHORTER:
            if len(text.encode()) <= PAGE_BYTES:
                break
            text = self._page(shortened(cell, most))
        return text

    def _page(self, cell: CellResult) -> str:
        other = self._nearness.other(cell)
        lock = self.report.locks.get(cell.lock)
        shown = next((trial for trial in cell.trials if trial.log), None)
        return self._template.render(
            report=self.report,
            root="../",
            page="cell",
            cell=cell,
            name=spoken_name(cell),
            neighbours=list(self._nearness.neighbours(cell)),
            other=other,
            other_name=spoken_name(other) if other else "",
            differs=list(difference(cell, other)) if other else [],
            packages=self._packages(cell.lock, other.lock) if other else "",
            lock=lock,
            lock_name=lock_name(cell.lock),
            diff=list(_diff_lines(cell.diff)),
            trials=cell.trials[:MOST_TRIALS],
            logged=shown,
            log=_log(shown),
            messages=list(dict.fromkeys(trial.message for trial in cell.trials if trial.message)),
            drawn=any(trial.curves for trial in cell.trials),
            accounts=list(self._accounts(cell)),
            targets=self._targets,
            strip=list(zip(self._runs, self._strips[cell.id], strict=True)) if self.report.history else [],
            past=self._past(cell) if self.report.history else "",
        )

    def _past(self, cell: CellResult) -> str:
        """The cell in each run that has it, as the chart of its history takes it."""
        found = [
            {"run": minute(run), "kind": seen.kind.value, "outcome": str(seen.outcome), "final": number(seen.final)}
            for run, seen in zip(self._runs, self._strips[cell.id], strict=True)
            if seen is not None
        ]
        return visible(json.dumps(found))

    def _accounts(self, cell: CellResult) -> Iterator[tuple[Account, str]]:
        """The accounts of a cell, then those of cells that fail for one of its reasons, with the reason."""
        known = {account.id: account for account in self.report.accounts}
        alike = {
            account: failure.reason
            for failure in (self.report.failures[index] for index in cell.failures if index < len(self.report.failures))
            for account in failure.accounts
            if account not in cell.accounts
        }
        for account, reason in {**dict.fromkeys(cell.accounts, ""), **alike}.items():
            if account in known:
                yield known[account], reason

    def _packages(self, here: str, there: str) -> Markup:
        """The rows of the packages that differ between two locks; many pairs of cells have the same two."""
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


def shortened(cell: CellResult, most: int) -> CellResult:
    """The cell with no text of more than about `most` characters, and no long list of texts."""

    def shorter(value: Any) -> Any:
        if isinstance(value, str):
            return capped(value, most)
        if isinstance(value, dict):
            texts = all(isinstance(inner, str) for inner in value.values())
            return {name: shorter(inner) for name, inner in list(value.items())[: most // 4 if texts else None]}
        if isinstance(value, list):
            texts = all(isinstance(inner, str) for inner in value)
            return [shorter(inner) for inner in value[: most // 4 if texts else None]]
        return value

    data = cell.model_dump(mode="json")
    return type(cell).model_validate({**shorter(data), **{name: data[name] for name in ("values", "lock", "outcome")}})


def spoken_name(cell: CellResult) -> str:
    """The axis values of a cell in one line."""
    return ", ".join(f"{name} {value}" for name, value in cell.values.items())


def difference(cell: CellResult, other: CellResult) -> Iterator[tuple[str, str, str]]:
    """The differences of two cells but for their packages: name, here, there; axis values first."""
    for name in dict.fromkeys((*cell.values, *other.values)):
        if cell.values.get(name) != other.values.get(name):
            yield name, cell.values.get(name, ""), other.values.get(name, "")
    if cell.python and other.python and cell.python != other.python:
        yield "CPython", cell.python, other.python
    if cell.engine != other.engine:
        yield "engine", cell.engine, other.engine
    ran = cell.base_identity and other.base_identity
    if ran and cell.base_image != other.base_image and cell.base_identity != other.base_identity:
        yield "base image", cell.base_image or "the usual one", other.base_image or "the usual one"


def package_difference(
    here: Mapping[str, str], there: Mapping[str, str], axes: Container[str]
) -> Iterator[tuple[str, str, str]]:
    """The packages that two locks have in other versions: name, here, there; axes are listed elsewhere."""
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


# -- cells that are near ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """The cells before and after one along an axis, all else equal; None at the end of the axis."""

    axis: str
    before: CellResult | None
    after: CellResult | None


@dataclass(frozen=True)
class Nearness:
    """The cells of a report by where they stand in the matrix."""

    report: Result

    def neighbours(self, cell: CellResult) -> Iterator[Neighbours]:
        """The neighbours of a cell along every axis that has any; axes that move together are listed once."""
        cells, place, seen = self.report.cells, self._places[cell.id], []
        for axis in self._free_axes:
            line, position = self._lines[axis][place]
            if len(line) < 2 or line in seen:
                continue
            seen.append(line)
            yield Neighbours(
                axis=self.report.axes[axis].name,
                before=cells[line[position - 1]] if position else None,
                after=cells[line[position + 1]] if position + 1 < len(line) else None,
            )

    def other(self, cell: CellResult) -> CellResult | None:
        """The nearest cell that came to another kind of outcome; None where all that were run came to the same.

        One that differs along a single axis, else in the fewest axes; then in the fewest steps; of equals rather one
        that is good or bad.
        """
        place = self._places[cell.id]
        near = {other for axis in self._free_axes for other in self._near[axis][place]}
        if near:
            return self.report.cells[min(sorted(near), key=lambda other: self._distance(place, other))]
        others = self._of_other_kind[self._kinds[place]]
        if not others.size:
            return None
        steps = np.abs(self._codes[others] - self._codes[place])
        distances = (steps > 0).sum(axis=1) * _AXIS + steps.sum(axis=1)
        return self.report.cells[int(others[np.argmin(distances)])]

    def _distance(self, place: int, other: int) -> float:
        """The number of steps between two cells, a half more to one that is neither good nor bad."""
        steps = sum(abs(one - two) for one, two in zip(self._code_rows[place], self._code_rows[other], strict=True))
        return steps + (self._kinds[other] in {"undecided", "untestable"}) / 2

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.id: place for place, cell in enumerate(self.report.cells)}

    @cached_property
    def _kinds(self) -> list[str]:
        return [LEFT_OUT if LEFT_OUT in cell.flags else cell.kind for cell in self.report.cells]

    @cached_property
    def _of_other_kind(self) -> dict[str, Places]:
        kinds = np.array(self._kinds)
        return {kind: np.flatnonzero((kinds != kind) & (kinds != LEFT_OUT)) for kind in set(self._kinds)}

    @cached_property
    def _codes(self) -> Places:
        """The position of each cell along each axis."""
        positions = [{value: at for at, value in enumerate(axis.values)} for axis in self.report.axes]
        return np.array(
            [
                [
                    at.get(cell.values.get(axis.name, ""), -1)
                    for axis, at in zip(self.report.axes, positions, strict=True)
                ]
                for cell in self.report.cells
            ]
        ).reshape(len(self.report.cells), len(self.report.axes))

    @cached_property
    def _free_axes(self) -> list[int]:
        """The axes that have more than one value; what follows another axis has no neighbours of its own."""
        return [index for index, axis in enumerate(self.report.axes) if len(axis.values) > 1]

    @cached_property
    def _lines(self) -> dict[int, list[tuple[list[int], int]]]:
        """By axis, for each cell: those that differ from it along this axis only, by value, and where it stands."""
        return {axis: self._lines_along(axis) for axis in self._free_axes}

    def _lines_along(self, axis: int) -> list[tuple[list[int], int]]:
        bound = {axis} | {other for other in self._free_axes if self._settles(axis, other)}
        kept = [other for other in range(len(self.report.axes)) if other not in bound]
        rests = [tuple(row[other] for other in kept) for row in self._code_rows]
        lines: dict[tuple[int, ...], list[int]] = {}
        for place in sorted(range(len(rests)), key=lambda one: self._code_rows[one][axis]):
            lines.setdefault(rests[place], []).append(place)
        found = {place: (line, at) for line in lines.values() for at, place in enumerate(line)}
        return [found[place] for place in range(len(rests))]

    @cached_property
    def _near(self) -> dict[int, list[list[int]]]:
        """By axis, for each cell: the first cells of another kind on both sides of it along this axis."""
        return {axis: self._near_along(axis) for axis in self._free_axes}

    def _near_along(self, axis: int) -> list[list[int]]:
        near: list[list[int]] = [[] for _ in self._kinds]
        for line in {line[0]: line for line, _ in self._lines[axis]}.values():
            for side in (reversed(line), line):
                last: dict[str, tuple[int, int]] = {}  # by kind, where it was seen last
                for at, place in enumerate(side):
                    kind = self._kinds[place]
                    others = [seen for other, seen in last.items() if other not in {kind, LEFT_OUT}]
                    near[place] += [max(others)[1]] if others else []
                    last[kind] = (at, place)
        return near

    @cached_property
    def _code_rows(self) -> list[list[int]]:
        rows: list[list[int]] = self._codes.tolist()
        return rows

    def _settles(self, axis: int, other: int) -> bool:
        """True where one axis determines the other, as the TensorFlow of an era determines its Keras."""
        pairs = {(row[axis], row[other]) for row in self._code_rows}
        return other != axis and len(pairs) == len({one for one, _ in pairs})
