"""`matrix.yaml` → `Matrix`: reads the file, checks its shape, then its meaning; all mistakes are reported together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.matrix.axes import AxisReader
from runner.matrix.checks import TOP, check_cells
from runner.matrix.dates import read_as_of
from runner.matrix.eras import BASES, PACKAGES
from runner.matrix.expectations import outcome_words
from runner.matrix.experiment import read_criterion, read_experiment, read_judging
from runner.matrix.mistakes import Mistakes, RefusedError, quoted
from runner.matrix.model import RESERVED_AXES, Axis, AxisKind, Expectation, Matrix, Resources, Seeds, axis_kind
from runner.matrix.nodes import Text, compose, read_text
from runner.matrix.packages import read_packages
from runner.matrix.rules import Era
from runner.matrix.structure import shaped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.matrix.border import MatrixFile, PartialNode
    from runner.matrix.model import Partial, Position
    from runner.matrix.structure import Shaped


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
    axes = axes if file.axes else _axes_of(include)
    as_of, dates = read_as_of(file.as_of, mistakes)
    criterion = read_criterion(file.criterion, mistakes)
    matrix = Matrix(
        path=path,
        axes=axes,
        include=include,
        exclude=exclude,
        experiment=read_experiment(file.experiment, path.parent, mistakes),
        packages=read_packages(file.packages, {axis.name for axis in axes}, reader),
        criterion=criterion,
        judging=read_judging(file, criterion, mistakes),
        baseline=_baseline(file, reader),
        control=file.control,
        seeds=_seeds(file),
        resources=_resources(file),
        expect=tuple(_expectations(file.expect, reader)),
        flavour=file.flavour,
        as_of=as_of,
        dates=dates,
    )
    _check_axes(matrix, parts, mistakes)
    _check_script(matrix, parts, mistakes)
    if cells_known and any(axis.kind is AxisKind.PACKAGE for axis in axes):
        named = replace(matrix, experiment=replace(matrix.experiment, script=matrix.experiment.script or "unnamed"))
        check_cells(named, mistakes)  # a missing script is a mistake already, and no reason to hide these
    mistakes.raise_any()
    return matrix


def _axes_of(include: Iterable[Partial]) -> tuple[Axis, ...]:
    """The axes of a matrix that has no others, without values: there is no product, each entry is a cell."""
    positions: dict[str, Position] = {}
    for entry in include:
        for name, place in entry.positions.items():
            positions.setdefault(name, place)
    return tuple(Axis(name=name, kind=axis_kind(name), values=(), position=place) for name, place in positions.items())


def _any_of(parts: Shaped, *names: str) -> bool:
    """Whether a section of these names, or anything in it, was left out."""
    return any(left.partition(".")[0] in names or left in names for left in parts.left_out)


def _baseline(file: MatrixFile, reader: AxisReader) -> Partial | None:
    return next(iter(reader.matches(filter(None, (file.baseline,)))), None)


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
            reader.mistakes.refuse(error, node.position)


def _check_axes(matrix: Matrix, parts: Shaped, mistakes: Mistakes) -> None:
    left_out = {name.partition(".")[2] for name in parts.left_out if name.startswith("axes.")}
    packages = (left_out | set(parts.file.axes) | {axis.name for axis in matrix.axes}) - RESERVED_AXES
    unread = "axes" in parts.left_out or (not matrix.axes and _any_of(parts, "include"))
    if not packages and not unread:
        place = next(iter(parts.file.axes), None)
        message = "there is no axis of package versions" if place is not None else "there are no axes"
        mistakes.add(
            place.position if place is not None else TOP, message, "such as axes: {tensorflow: [1.13.1, 2.10.1]}"
        )
    elif packages and not left_out:
        _check_eras(matrix, mistakes)


def _check_eras(matrix: Matrix, mistakes: Mistakes) -> None:
    base = next((axis.name for axis in matrix.axes if axis.kind is AxisKind.PACKAGE), "")
    for axis in matrix.axes:
        for value in axis.values:
            if not isinstance(value.rule, Era):
                continue
            if axis.name not in PACKAGES:
                hint = "for others: versions, a range or latest"
                mistakes.add(value.position, f"{axis.name}: era is known of {' and '.join(PACKAGES)} only", hint)
            elif base not in BASES:
                message = f"{axis.name}: era goes with tensorflow as the base, which is {quoted(base)} here"
                mistakes.add(value.position, message, "the first package axis is the base")


def _check_script(matrix: Matrix, parts: Shaped, mistakes: Mistakes) -> None:
    axis = next((axis for axis in matrix.axes if axis.kind is AxisKind.SCRIPT), None)
    written = parts.file.experiment.script
    if axis and written is not None:
        hint = f"the axis is on line {axis.position.line}"
        mistakes.add(written.position, "a script stands here, and there is an axis named script too", hint)
    elif not axis and written is None and not _any_of(parts, "experiment", "axes"):
        mistakes.add(TOP, "there is no script", "write experiment: {script: train.py}, or an axis named script")
    for include in matrix.include:
        if "script" in include.values and not axis:
            hint = "an axis named script takes several"
            mistakes.add(
                include.positions["script"], "an included cell has a script, but no axis is named script", hint
            )
