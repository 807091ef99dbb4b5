"""The sections that say what every trial does and needs: `experiment:`, `criterion:`, `packages:`, `as_of:`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.errors import MatrixError, UsageError
from runner.matrix.axes import RESERVED_AXES, AxisKind, axis_kind, axis_name, check_script
from runner.matrix.criterion import EXAMPLE, Comparison, CriterionError, parse
from runner.matrix.metric_patterns import FROM
from runner.matrix.mistakes import Mistakes, Position, RefusedError, quoted
from runner.matrix.model import Condition, DataMapping, Experiment, Judging, Requirement
from runner.matrix.nodes import Text, read_text
from runner.matrix.versions import specifiers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.requirements import Requirement as Parsed

    from runner.matrix.axis_reader import AxisReader
    from runner.matrix.declaration import AsOf, ExperimentSection, MatrixSections, PackageEntry


def read_experiment(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Experiment:
    """The experiment; mistakes in its script, data and globs are noted."""
    script: str | None = None
    if section.script is not None:
        script = PurePosixPath(section.script).as_posix()
        try:
            check_script(section.script, folder)
        except RefusedError as error:
            mistakes.refuse(error, section.script.position)
    for glob in section.artifacts:
        if not _inside(glob):
            mistakes.add(glob.position, f"the artifact {quoted(glob)} is not inside the working directory")
    return Experiment(
        script=script,
        args=tuple(str(arg) for arg in section.args),
        data=tuple(_data(section, folder, mistakes)),
        timeout_s=section.timeout,
        artifacts=tuple(str(glob) for glob in section.artifacts),
        network=section.network,
    )


def _inside(text: str) -> bool:
    """True where a path stays inside the folder that it is relative to, and names something in it."""
    path = PurePosixPath(text)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _data(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Iterator[DataMapping]:
    targets: set[str] = set()
    for node in section.data:
        for source, target in [(node, node)] if isinstance(node, Text) else node.items():
            try:
                mapping = _mapping(source, target, folder, targets)
            except RefusedError as error:
                mistakes.refuse(error, source.position)
                continue
            targets.add(mapping.target)
            yield mapping


def _mapping(source: str, target: str, folder: Path, taken: Collection[str]) -> DataMapping:
    if not _inside(target.removeprefix("~/")):
        message = f"the data target {quoted(target)} is neither in the working directory nor under ~/"
        raise RefusedError(message, "name one: {source: target}")
    try:
        path = (folder / Path(source).expanduser()).absolute()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError):  # no such name can be, or no such user's home
        raise RefusedError(f"the data {quoted(source)} can't be found") from None
    if not exists:
        raise RefusedError(f"there is no data {quoted(source)}", f"looked for {path}")
    home = "~/" if target.startswith("~/") else ""
    canonical_target = home + PurePosixPath(target.removeprefix("~/")).as_posix()
    if canonical_target in taken:
        raise RefusedError(f"two data mappings have the target {quoted(canonical_target)}")
    return DataMapping(source=path, target=canonical_target)


def read_criterion(texts: tuple[Text, ...], mistakes: Mistakes) -> tuple[Comparison, ...]:
    """The comparisons that must all hold; one that does not parse is a mistake at the very column."""
    comparisons = []
    for text in texts:
        try:
            comparisons.append(parse(text))
        except CriterionError as error:
            mistakes.add(text.at(error.column - 1), str(error), EXAMPLE)
    return tuple(comparisons)


def read_judging(file: MatrixSections, criterion: tuple[Comparison, ...], mistakes: Mistakes) -> Judging:
    """The rules that trials are judged by; a metric beside a criterion that names another one is a mistake."""
    if criterion and file.metric is not None and file.metric != criterion[0].metric:
        message = f"the criterion judges {quoted(criterion[0].metric)}, and another metric is named here"
        mistakes.add(file.metric.position, message, "leave it out, or name it there first")
    metric = str(file.metric or next((name for name in file.metrics if name != FROM), Judging().metric))
    return Judging(metric=metric, mode=file.mode, at=file.at, skip=file.skip)


def read_packages(
    node: Text | tuple[PackageEntry, ...], axes: Collection[str], reader: AxisReader
) -> tuple[Requirement, ...]:
    """The requirements of a list, or of the requirements file that a single text names; mistakes are noted.

    A package that is one of the `axes` is a mistake.
    """
    if isinstance(node, Text):
        return _requirements_file(node, axes, reader)
    found: dict[Requirement, None] = {}
    for entry in node:
        if isinstance(entry, Text):
            try:
                found[Requirement(text=_canonical(entry, axes))] = None
            except RefusedError as error:
                reader.mistakes.refuse(error, entry.position)
        else:
            found.update(dict.fromkeys(_with_conditions(entry, axes, reader)))
    return tuple(found)


def _with_conditions(
    entry: Mapping[Text, Text | tuple[Text, ...]], axes: Collection[str], reader: AxisReader
) -> Iterator[Requirement]:
    when = _conditions(entry, reader)
    packages = [(key, value) for key, value in entry.items() if key != "when" and isinstance(value, Text)]
    if not packages:
        place = next(iter(entry)).position
        reader.mistakes.add(place, "this entry names no package", 'such as {numpy: "<1.20", when: "tensorflow<2.4"}')
    for key, value in packages:
        try:
            yield Requirement(text=_canonical(_joined(key, value), axes), when=when)
        except RefusedError as error:
            reader.mistakes.refuse(error, key.position)


def _joined(key: Text, value: Text) -> str:
    """A package's name and its versions as one requirement."""
    named = _parsed(key)
    if named.specifier or named.marker:
        raise RefusedError(f"{quoted(key)} is more than a package's name", "write its versions after the colon")
    try:
        return f"{key}{specifiers(value)}"
    except RefusedError as error:
        raise RefusedError(error.message, error.hint, position=value.position) from None


def _conditions(entry: Mapping[Text, Text | tuple[Text, ...]], reader: AxisReader) -> tuple[Condition, ...]:
    written = next((value for key, value in entry.items() if key == "when"), ())
    found: dict[Condition, None] = {}
    for text in (written,) if isinstance(written, Text) else written:
        try:
            found[_condition(text, reader)] = None
        except RefusedError as error:
            reader.mistakes.refuse(error, text.position, "when")
    return tuple(found)


def _condition(text: Text, reader: AxisReader) -> Condition:
    try:
        written = _parsed(text)
    except RefusedError:
        written = None
    if written is None or written.extras or written.marker or written.url or not written.specifier:
        raise RefusedError(f"{quoted(text)} is not a condition on an axis", "write it like tensorflow<2.4")
    axis = reader.require_axis(written.name)
    if axis_kind(axis) not in {AxisKind.PACKAGE, AxisKind.PYTHON}:
        raise RefusedError(f"the axis {quoted(axis)} has no versions to compare", "only packages and python have")
    return Condition(axis=axis, specifiers=str(written.specifier))


def _requirements_file(node: Text, axes: Collection[str], reader: AxisReader) -> tuple[Requirement, ...]:
    path = reader.folder / node
    found: dict[Requirement, None] = {}
    try:
        lines = read_text(path).split("\n")
    except MatrixError as error:
        reader.mistakes.join(error.mistakes)
        return ()
    except UsageError as error:
        hint = "a list of packages is written [pandas, scikit-learn]"
        reader.mistakes.add(node.position, f"packages: {error}", hint)
        return ()
    inner = Mistakes(path)
    for number, line in enumerate(lines, 1):
        text = line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if not text:
            continue
        try:
            found[Requirement(text=_canonical(text, axes))] = None
        except RefusedError as error:
            inner.refuse(error, Position(line=number, column=line.index(text) + 1))
    reader.mistakes.join(inner.found)
    return tuple(found)


def _canonical(text: str, axes: Collection[str]) -> str:
    """A requirement as the resolver takes it (PEP 508), its name normalised."""
    if text.startswith("-"):
        raise RefusedError(
            f"{quoted(text)} is an option, not a package", "the runner's own settings go to the resolver"
        )
    requirement = _parsed(text)
    if requirement.url:
        raise RefusedError(f"{quoted(text)} names an address or a path", "packages come from the package index")
    requirement.name = axis_name(requirement.name)
    if requirement.name in axes:
        raise RefusedError(f"{quoted(requirement.name)} is an axis already", "leave it out here")
    return str(requirement)


def _parsed(text: str) -> Parsed:
    from packaging.requirements import InvalidRequirement  # noqa: PLC0415 - most matrices name none
    from packaging.requirements import Requirement as Parsed  # noqa: PLC0415

    try:
        return Parsed(text)
    except InvalidRequirement:
        raise RefusedError(
            f"{quoted(text)} is not a requirement (PEP 508)", "write it like scikit-learn>=0.20"
        ) from None


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
