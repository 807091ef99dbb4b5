"""`matrix.yaml` → `Matrix`: reads the file, checks its shape, then its meaning; all mistakes are reported together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.matrix.axes import AxisReader
from runner.matrix.expand import adds_cell, cells
from runner.matrix.expectations import outcome_words
from runner.matrix.experiment import read_criterion, read_experiment, read_packages
from runner.matrix.mistakes import Mistakes, RefusedError
from runner.matrix.model import RESERVED_AXES, AxisKind, Expectation, Matrix, Position, Resources, Seeds
from runner.matrix.nodes import Text, compose, read_text
from runner.matrix.structure import shaped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.matrix.border import MatrixFile, PartialNode
    from runner.matrix.structure import Shaped

_TOP = Position(line=1, column=1)


def load(path: Path) -> Matrix:
    """Read a matrix file.

    Raises MatrixError with every mistake that is in it, UsageError where the file can't be read.
    """
    mistakes = Mistakes(path)
    parts = shaped(compose(read_text(path), mistakes), mistakes)
    file = parts.file
    reader = AxisReader(folder=path.parent, mistakes=mistakes, left_out=parts.left_out)
    axes = reader.axes(file.axes)
    before = len(mistakes.found)
    exclude = reader.matches(file.exclude)  # before include: what that adds is not excluded
    include = reader.includes(file.include)
    cells_known = reader.all_known and len(mistakes.found) == before and not _any_of(parts, "include", "exclude")
    matrix = Matrix(
        path=path,
        axes=axes,
        include=include,
        exclude=exclude,
        experiment=read_experiment(file.experiment, path.parent, mistakes),
        packages=read_packages(file.packages, path.parent, {axis.name for axis in axes}, mistakes),
        criterion=read_criterion(file.criterion, mistakes),
        seeds=_seeds(file),
        resources=_resources(file),
        expect=tuple(_expectations(file.expect, reader)),
        flavour=file.flavour,
    )
    _check_axes(parts, mistakes)
    _check_script(matrix, parts, mistakes)
    if cells_known and any(axis.kind is AxisKind.PACKAGE for axis in axes):
        named = replace(matrix, experiment=replace(matrix.experiment, script=matrix.experiment.script or "unnamed"))
        _check_cells(named, mistakes)  # a missing script is a mistake already, and no reason to hide these
    mistakes.raise_any()
    return matrix


def _any_of(parts: Shaped, *names: str) -> bool:
    """Whether a section of these names, or anything in it, was left out."""
    return any(left.partition(".")[0] in names or left in names for left in parts.left_out)


def _seeds(file: MatrixFile) -> Seeds:
    match file.seeds:
        case "as-written":
            return Seeds(as_written=True)
        case int() as number:
            return Seeds(lead=number, cap=number, fixed=True)
        case section:
            return Seeds(lead=section.lead, cap=section.cap)


def _resources(file: MatrixFile) -> Resources:
    own = file.resources
    return Resources(cpus=own.cpus, memory_bytes=own.memory, disk_bytes=own.disk, processes=own.processes)


def _expectations(entries: Iterable[PartialNode], reader: AxisReader) -> Iterable[Expectation]:
    for entry in entries:
        place = next(iter(entry)).position
        node = next((value for key, value in entry.items() if key == "outcome"), None)
        match = reader.match({key: value for key, value in entry.items() if key != "outcome"}, place)
        if not isinstance(node, Text):
            reader.mistakes.add(place, "this expectation has no outcome", "such as outcome: converges")
            continue
        try:
            yield Expectation(match=match, outcome=outcome_words(node))
        except RefusedError as error:
            reader.mistakes.add(node.position, error.message, error.hint)


def _check_axes(parts: Shaped, mistakes: Mistakes) -> None:
    left_out = {name.partition(".")[2] for name in parts.left_out if name.startswith("axes.")}
    packages = (left_out | set(parts.file.axes)) - RESERVED_AXES
    if not packages and "axes" not in parts.left_out:
        place = next(iter(parts.file.axes), None)
        message = "there is no axis of package versions" if place is not None else "there are no axes"
        mistakes.add(
            place.position if place is not None else _TOP, message, "such as axes: {tensorflow: [1.13.1, 2.10.1]}"
        )


def _check_script(matrix: Matrix, parts: Shaped, mistakes: Mistakes) -> None:
    axis = next((axis for axis in matrix.axes if axis.kind is AxisKind.SCRIPT), None)
    written = parts.file.experiment.script
    if axis and written is not None:
        hint = f"the axis is on line {axis.position.line}"
        mistakes.add(written.position, "a script stands here, and there is an axis named script too", hint)
    elif not axis and written is None and not _any_of(parts, "experiment", "axes"):
        mistakes.add(_TOP, "there is no script", "write experiment: {script: train.py}, or an axis named script")
    for include in matrix.include:
        if "script" in include.values and not axis:
            hint = "an axis named script takes several"
            mistakes.add(
                include.positions["script"], "an included cell has a script, but no axis is named script", hint
            )


def _check_cells(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note included cells that lack something, expectations that no cell can meet, and a matrix without a cell."""
    needed = [matrix.base.name] + [axis.name for axis in matrix.axes if axis.kind is AxisKind.SCRIPT]
    for include in matrix.include:
        lacking = [name for name in needed if name not in include.values]
        if lacking and adds_cell(matrix, include):
            message = f"this makes a new cell, which needs a value for {' and '.join(lacking)}"
            mistakes.add(include.position, message, "no cell matches it, so it extends none")
    for expectation in matrix.expect:
        if not any(cell.matches(expectation.match.values) for cell in cells(matrix, expectation.match.values)):
            mistakes.add(expectation.match.position, "this expectation matches no cell", "each value alone is known")
    if next(cells(matrix), None) is None:
        place = matrix.exclude[0].position if matrix.exclude else _TOP
        mistakes.add(place, "no cell is left: every combination is excluded")
