"""The sections that say what every trial does: `experiment:`, `packages:`, `criterion:` → values of the model."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.errors import MatrixError, UsageError
from runner.matrix.criterion import EXAMPLE, Comparison, CriterionError, parse
from runner.matrix.mistakes import Mistakes, RefusedError, quoted
from runner.matrix.model import DataMapping, Experiment, Position
from runner.matrix.nodes import Text, read_text
from runner.matrix.values import axis_name, check_script

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runner.matrix.border import ExperimentSection


def read_experiment(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Experiment:
    """The experiment; mistakes in its script, data and globs are noted."""
    script: str | None = None
    if section.script is not None:
        script = PurePosixPath(section.script).as_posix()
        try:
            check_script(section.script, folder)
        except RefusedError as error:
            mistakes.add(section.script.position, error.message, error.hint)
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
    """Whether a path stays inside the folder that it is relative to, and names something in it."""
    path = PurePosixPath(text)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _data(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Iterator[DataMapping]:
    targets: set[str] = set()
    for node in section.data:
        for source, target in [(node, node)] if isinstance(node, Text) else node.items():
            try:
                mapping = _mapping(source, target, folder, targets)
            except RefusedError as error:
                mistakes.add(source.position, error.message, error.hint)
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


def read_criterion(node: Text | tuple[Text, ...], mistakes: Mistakes) -> tuple[Comparison, ...]:
    """The comparisons that must all hold; one that does not parse is a mistake at the very column."""
    comparisons = []
    for text in (node,) if isinstance(node, Text) else node:
        try:
            comparisons.append(parse(text))
        except CriterionError as error:
            mistakes.add(text.at(error.column - 1), str(error), EXAMPLE)
    return tuple(comparisons)


def read_packages(
    node: Text | tuple[Text, ...], folder: Path, axes: Collection[str], mistakes: Mistakes
) -> tuple[str, ...]:
    """The requirements (PEP 508, canonical), of a list or of the requirements file that a single text names."""
    if isinstance(node, Text):
        return _requirements_file(node, folder, axes, mistakes)
    found: dict[str, None] = {}
    for text in node:
        try:
            found[_requirement(text, axes)] = None
        except RefusedError as error:
            mistakes.add(text.at(error.offset), error.message, error.hint)
    return tuple(found)


def _requirements_file(node: Text, folder: Path, axes: Collection[str], mistakes: Mistakes) -> tuple[str, ...]:
    path = folder / node
    found: dict[str, None] = {}
    try:
        lines = read_text(path).split("\n")
    except MatrixError as error:
        mistakes.join(error.mistakes)
        return ()
    except UsageError as error:
        mistakes.add(node.position, f"packages: {error}", "a list of packages is written [pandas, scikit-learn]")
        return ()
    inner = Mistakes(path)
    for number, line in enumerate(lines, 1):
        text = line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if not text:
            continue
        try:
            found[_requirement(text, axes)] = None
        except RefusedError as error:
            inner.add(Position(line=number, column=line.index(text) + 1 + error.offset), error.message, error.hint)
    mistakes.join(inner.found)
    return tuple(found)


def _requirement(text: str, axes: Collection[str]) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - most matrices name none

    if text.startswith("-"):
        raise RefusedError(
            f"{quoted(text)} is an option, not a package", "the runner's own settings go to the resolver"
        )
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise RefusedError(f"{quoted(text)} is no requirement (PEP 508)", "write it like scikit-learn>=0.20") from None
    if requirement.url:
        raise RefusedError(f"{quoted(text)} names an address or a path", "packages come from the package index")
    requirement.name = axis_name(requirement.name)
    if requirement.name in axes:
        raise RefusedError(f"{quoted(requirement.name)} is an axis already", "leave it out here")
    return str(requirement)
