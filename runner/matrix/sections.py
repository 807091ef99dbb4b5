"""The sections that say what every trial does and needs: `experiment:`, `criterion:`, `as_of:`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.matrix.axes import RESERVED_AXES, axis_name, check_script
from runner.matrix.criterion import EXAMPLE, Comparison, CriterionError, parse
from runner.matrix.metric_patterns import FROM
from runner.matrix.mistakes import Mistakes, RefusedError, quoted
from runner.matrix.model import DataMapping, Experiment, Judging
from runner.matrix.nodes import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from runner.matrix.declaration import AsOf, ExperimentSection, MatrixSections


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
