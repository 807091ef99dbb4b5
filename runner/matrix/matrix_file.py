"""`matrix.yaml` → `Matrix`: reads the file, checks its shape, then its meaning; all mistakes are reported together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.matrix.axes import (
    BACKEND_VARIABLE,
    RESERVED_AXES,
    SAME_FILES,
    AxisKind,
    axis_kind,
    axis_name,
    env_pairs,
)
from runner.matrix.axis_reader import AxisReader, require_value
from runner.matrix.cells import adds_cell, cells
from runner.matrix.criterion import EXAMPLE, Comparison, CostLimit, CriterionError, parse
from runner.matrix.declaration import outcome_words, read_sections
from runner.matrix.experiment import read_experiment
from runner.matrix.metric_patterns import FROM, read_metrics
from runner.matrix.mistakes import Mistakes, Position, RefusedError, quoted
from runner.matrix.model import Axis, Expectation, Grid, Judging, Resources, Seeds
from runner.matrix.nodes import Text, compose, read_text
from runner.matrix.packages import read_base_images, read_packages
from runner.matrix.releases import ERA_BASES, Era
from runner.matrix.requirement_files import RequirementFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.matrix.declaration import AsOf, Match, MatrixSections
    from runner.matrix.model import Became, NamedBase, Partial, Requirement


TOP = Position(line=1, column=1)


@dataclass(frozen=True, kw_only=True)
class Matrix(Grid):
    """The whole of one `matrix.yaml`. `folder` is the folder of the file: scripts and data are relative to it."""

    path: Path
    title: str = ""
    """Of the report; empty: the name of the folder is."""
    description: str = ""
    packages: tuple[Requirement, ...] = ()
    """Those of `packages:`, then those of the files of `requirements:`."""
    notes: tuple[str, ...] = ()
    """What a user should know of those files: what was left to an axis, what was not taken."""
    indexes: tuple[str, ...] = ()
    """Further package indexes, beside the one that the user's configuration names."""
    criterion: tuple[Comparison, ...] = ()
    judging: Judging = field(default_factory=Judging)
    baseline: Partial | None = None
    """The cell that the others are compared with; None: the one that converges best."""
    ways: int = 0
    """So many values of different axes meet in one of the cells that are run first, wherever they can; 0: all are."""
    control: bool = False
    """True where the baseline is run a second time with other seeds, to see how often equal cells look different."""
    seeds: Seeds = field(default_factory=Seeds)
    resources: Resources = field(default_factory=Resources)
    expect: tuple[Expectation, ...] = ()
    flavour: str = "auto"
    base_images: tuple[NamedBase, ...] = ()
    """Those that the matrix names: a cell has the first whose conditions it meets; else that of its CPython."""
    platform: str = ""
    """The platform that trials are for, `linux/amd64`; empty: the engine's own."""
    as_of: str = "release"
    """The releases that environments may be made of: `release` (up to the day after the base came out), `none` (all)
    or a date."""
    dates: tuple[tuple[str, str], ...] = ()
    """Packages with a rule of their own, normalised and sorted: `none` or a date, up to which they may be from."""
    became: tuple[Became, ...] = ()
    """The versions that `settle` found for ranges, `latest` and `era`, in the order of the file."""

    @property
    def criteria(self) -> tuple[str, ...]:
        """Everything that the criterion says, as it is written."""
        return tuple(map(str, (*self.criterion, *self.judging.costs)))

    @property
    def folder(self) -> Path:
        """The folder that the matrix stands in."""
        return self.path.parent

    @classmethod
    def load(cls, path: str | Path) -> Matrix:
        """Read a matrix file.

        Raises MatrixError with every mistake that is in it, UsageError where the file can't be read.
        """
        return load_matrix(Path(path))


def load_matrix(path: Path) -> Matrix:
    """Read a matrix file.

    Raises MatrixError with every mistake that is in it, UsageError where the file can't be read.
    """
    mistakes = Mistakes(path)
    file, left_out = read_sections(compose(read_text(path), mistakes), mistakes)
    reader = AxisReader(folder=path.parent, mistakes=mistakes, left_out=left_out)
    axes = reader.axes(file.axes)
    before = len(mistakes.found)
    exclude = reader.matches(file.exclude)  # before include: what that adds is not excluded
    include = reader.includes(file.include)
    cells_known = reader.all_known and len(mistakes.found) == before and not _any_of(left_out, "include", "exclude")
    axes = axes if file.axes else _axes_of(include)
    as_of, dates = read_as_of(file.as_of, mistakes)
    criterion, costs = read_criterion(file.criterion, mistakes)
    names = {axis.name for axis in axes}
    experiment = read_experiment(file.experiment, path.parent, mistakes)
    files = RequirementFiles(reader=reader, axes=names, own=experiment.install.folder if experiment.install else None)
    required = files.read(file.requirements)
    matrix = Matrix(
        path=path,
        title=" ".join(file.title.split()),
        description=file.description.strip(),
        axes=axes,
        include=include,
        exclude=exclude,
        experiment=replace(experiment, metrics=read_metrics(file.metrics, mistakes)),
        packages=(*read_packages(file.packages, names, reader), *required),
        notes=tuple(files.notes),
        indexes=file.indexes,
        criterion=criterion,
        judging=replace(read_judging(file, criterion, mistakes), costs=costs),
        baseline=_baseline(file, reader),
        ways=file.cells,
        control=file.control,
        seeds=_seeds(file),
        resources=_resources(file),
        expect=tuple(_expectations(file.expect, reader)),
        flavour=file.flavour,
        base_images=read_base_images(file.base_image, reader),
        platform=file.platform,
        as_of=as_of,
        dates=dates,
    )
    _check_axes(matrix, file, left_out, mistakes)
    _check_script(matrix, file, left_out, mistakes)
    _check_variables(matrix, mistakes)
    _check_costs(matrix, file, mistakes)
    if matrix.resources.gpus and matrix.flavour == "cpu":
        mistakes.add(TOP, "flavour: cpu has nothing that runs on a GPU", "leave flavour out: full follows from gpus")
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


def _any_of(left_out: frozenset[str], *names: str) -> bool:
    """True where a section of these names, or anything in it, was left out."""
    return any(left.partition(".")[0] in names for left in left_out)


def _baseline(file: MatrixSections, reader: AxisReader) -> Partial | None:
    return next(iter(reader.matches([file.baseline] if file.baseline else [])), None)


def _seeds(file: MatrixSections) -> Seeds:
    match file.seeds:
        case "as-written":
            return Seeds(as_written=True)
        case int() as number:
            return Seeds(lead=number, cap=number, fixed=True)
        case section:
            return Seeds(lead=section.lead, cap=section.cap)


def _resources(file: MatrixSections) -> Resources:
    own = file.resources
    return Resources(
        cpus=own.cpus,
        memory_bytes=own.memory,
        disk_bytes=own.disk,
        processes=own.processes,
        gpus=own.gpus,
        trials_per_gpu=own.trials_per_gpu,
        keep_bytes=own.keep,
    )


def _expectations(entries: Iterable[Match], reader: AxisReader) -> Iterable[Expectation]:
    for entry in entries:
        place = next(iter(entry)).position
        node = next(value for key, value in entry.items() if key == "outcome" and isinstance(value, Text))
        match = reader.match({key: value for key, value in entry.items() if key != "outcome"}, place)
        try:
            yield Expectation(match=match, outcome=outcome_words(node))
        except RefusedError as error:
            reader.mistakes.refuse(error, node.position)


def _check_axes(matrix: Matrix, file: MatrixSections, left_out: frozenset[str], mistakes: Mistakes) -> None:
    unread_axes = {name.partition(".")[2] for name in left_out if name.startswith("axes.")}
    packages = (unread_axes | set(file.axes) | {axis.name for axis in matrix.axes}) - RESERVED_AXES
    unread = "axes" in left_out or (not matrix.axes and _any_of(left_out, "include"))
    if not packages and not unread:
        place = next(iter(file.axes), None)
        message = "there is no axis of package versions" if place is not None else "there are no axes"
        mistakes.add(
            place.position if place is not None else TOP, message, "such as axes: {tensorflow: [1.13.1, 2.10.1]}"
        )
    elif packages and not unread_axes:
        _check_eras(matrix, mistakes)


def _check_eras(matrix: Matrix, mistakes: Mistakes) -> None:
    base = next((axis.name for axis in matrix.axes if axis.kind is AxisKind.PACKAGE), "")
    for axis in matrix.axes:
        for value in axis.values:
            if not isinstance(value.rule, Era):
                continue
            bases = ERA_BASES.get(axis.name, ())
            if not bases:
                hint = "for other packages: versions, a range or latest; under packages: they are of the base's time"
                names = ", ".join(ERA_BASES)
                mistakes.add(value.position, f"{axis.name}: era works for {names} only", hint)
            elif base not in bases:
                needed = " or ".join(name for name in bases if name not in SAME_FILES.get(bases[0], ()))
                message = f"{axis.name}: era needs {needed} as the base, but the base is {quoted(base)}"
                mistakes.add(value.position, message, "the first package axis is the base")


def _check_script(matrix: Matrix, file: MatrixSections, left_out: frozenset[str], mistakes: Mistakes) -> None:
    axis = next((axis for axis in matrix.axes if axis.kind is AxisKind.SCRIPT), None)
    named = (("script", file.experiment.script), ("module", file.experiment.module))
    written = [(word, text) for word, text in named if text is not None]
    for word, text in written if axis else ():
        hint = f"the axis is on line {axis.position.line}" if axis else ""
        mistakes.add(text.position, f"a {word} is named here, and there is an axis named script too", hint)
    if not axis and len(written) == len(named):
        mistakes.add(written[1][1].position, "a script and a module are named", "one of them runs: leave the other out")
    elif not axis and not written and not _any_of(left_out, "experiment", "axes"):
        hint = "write experiment: {script: train.py} or {module: mypkg.train}, or an axis named script"
        mistakes.add(TOP, "there is no script", hint)
    for include in matrix.include:
        if "script" in include.values and not axis:
            hint = "an axis named script takes several"
            mistakes.add(
                include.positions["script"], "an included cell has a script, but no axis is named script", hint
            )


def _check_variables(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note a backend that is an axis and a variable too."""
    backends = next((axis for axis in matrix.axes if axis.kind is AxisKind.BACKEND), None)
    if backends is None:
        return
    values = (value for axis in matrix.axes if axis.kind is AxisKind.ENV for value in axis.values)
    places = [value.position for value in values if BACKEND_VARIABLE in dict(env_pairs(value.text))]
    if BACKEND_VARIABLE in dict(matrix.experiment.env):
        places.insert(0, backends.position)
    for place in places:
        mistakes.add(place, f"there is an axis backend, and {BACKEND_VARIABLE} is set too", "leave one of them out")


def check_values(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note values in `exclude:` and `expect:` that are none of their axis, now that those are known."""
    known = {axis.name: [value.text for value in axis.values] for axis in matrix.axes}
    for exclude in matrix.exclude:  # before what include adds: that is not excluded
        _check_partial(exclude, known, mistakes)
    for include in matrix.include:
        for axis, text in include.values.items():
            known.setdefault(axis, []).append(text)
    for partial in (*(expectation.match for expectation in matrix.expect), *filter(None, (matrix.baseline,))):
        _check_partial(partial, known, mistakes)


def _check_partial(partial: Partial, known: Mapping[str, Sequence[str]], mistakes: Mistakes) -> None:
    for axis, text in partial.values.items():
        try:
            require_value(axis, text, known.get(axis, ()))
        except RefusedError as error:
            mistakes.refuse(error, partial.positions.get(axis, partial.position))


def check_cells(matrix: Matrix, mistakes: Mistakes) -> None:
    """Note included cells that lack something, expectations that no cell can meet, and a matrix without a cell."""
    needed = [matrix.base.name] + [axis.name for axis in matrix.axes if axis.kind is AxisKind.SCRIPT]
    for include in matrix.include:
        lacking = [name for name in needed if name not in include.values]
        if lacking and adds_cell(matrix, include):
            message = f"this makes a new cell, which needs a value for {' and '.join(lacking)}"
            mistakes.add(include.position, message, "no cell matches it, so it extends none")
    for expectation in matrix.expect:
        if not _meets_any(matrix, expectation.match):
            mistakes.add(
                expectation.match.position,
                "this expectation matches no cell",
                "each value exists, but not in this combination",
            )
    if matrix.baseline is not None and not _meets_any(matrix, matrix.baseline):
        mistakes.add(
            matrix.baseline.position, "the baseline matches no cell", "each value exists, but not in this combination"
        )
    if next(cells(matrix), None) is None:
        place = matrix.exclude[0].position if matrix.exclude else TOP
        mistakes.add(place, "no cell is left: every combination is excluded")


def _meets_any(matrix: Matrix, partial: Partial) -> bool:
    return any(cell.id.matches(partial.values) for cell in cells(matrix, partial.values))


def read_criterion(texts: tuple[Text, ...], mistakes: Mistakes) -> tuple[tuple[Comparison, ...], tuple[CostLimit, ...]]:
    """The comparisons and the limits that must all hold; one that does not parse is a mistake at the very column."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except CriterionError as error:
            mistakes.add(text.at(error.column - 1), str(error), EXAMPLE)
    comparisons = tuple(one for one in found if isinstance(one, Comparison))
    return comparisons, tuple(one for one in found if isinstance(one, CostLimit))


def _check_costs(matrix: Matrix, file: MatrixSections, mistakes: Mistakes) -> None:
    """Note a limit in terms of a baseline that nothing names: the cell that converges best is not meant."""
    if matrix.judging.costs and file.baseline is None:
        message = f"{quoted(str(matrix.judging.costs[0]))} needs to know which cell that is"
        place = next((text for text in file.criterion if text.endswith("baseline")), file.criterion[0])
        mistakes.add(place.position, message, "name its axis values, such as baseline: {tensorflow: 2.10.1}")


def read_judging(file: MatrixSections, criterion: tuple[Comparison, ...], mistakes: Mistakes) -> Judging:
    """The rules that trials are judged by; a metric beside a criterion that names another one is a mistake."""
    if criterion and file.metric is not None and file.metric != criterion[0].metric:
        message = f"the criterion judges {quoted(criterion[0].metric)}, and another metric is named here"
        mistakes.add(file.metric.position, message, "leave it out, or name it there first")
    metric = str(file.metric or next((name for name in file.metrics if name != FROM), Judging().metric))
    return Judging(
        metric=metric,
        mode=file.mode,
        at=file.at,
        skip=file.skip,
        fits=file.fits,
        exit_code=file.experiment.exit_code,
    )


def read_as_of(node: AsOf, mistakes: Mistakes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The rule of all packages, and those of single ones by name (normalised, sorted); mistakes are noted.

    A rule is `release`, `none` or a date; a package's own one is `none` or a date.
    """
    if isinstance(node, str):
        return node, ()
    dates: dict[str, str] = {}
    for key, rule in node.items():
        if key == "default":
            continue
        try:
            dates[_package(key, dates)] = rule
        except RefusedError as error:
            mistakes.refuse(error, key.position, "as_of")
    default = next((rule for key, rule in node.items() if key == "default"), "release")
    return default, tuple(sorted(dates.items()))


def _package(key: Text, taken: Mapping[str, str]) -> str:
    name = axis_name(key)
    if name in RESERVED_AXES:
        raise RefusedError(f"{quoted(name)} is not a package", "only packages have rules of their own")
    if name in taken:
        raise RefusedError(f"the package {quoted(name)} appears twice", "names are compared as PEP 503 says")
    return name
