"""The section `experiment:`, declared and read, and what is declared of a trial beside it: its resources, the seeds."""

# ruff: noqa: RUF009 - `key` is a `dataclasses.field`

from __future__ import annotations

import glob
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.utils import canonicalize_name

from runner.matrix.axes import check_script, is_module_of, module_path, refuse_long, sorted_variables
from runner.matrix.mistakes import RefusedError, quoted
from runner.matrix.model import DataMapping, ExitCode, Experiment, Install, Judging, Resources, Seeds, data_place
from runner.matrix.nodes import Items, Text
from runner.matrix.scalars import COUNT, COUNT_FROM_ZERO, DURATION, SIZE, TRUTH
from runner.matrix.shapes import Either, Key, ListOf, MappingOf, NodePlace, Scalar, Shape, Word, key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runner.matrix.mistakes import Mistakes
    from runner.matrix.nodes import Node

    Pairs = dict[Text, Text]


class ArgumentList(Shape[Text]):
    """A list of arguments, read as the one text that a shell splits into them."""

    takes = "list"
    _items = ListOf(Scalar())

    def _value(self, node: Node, place: NodePlace) -> Text:
        return Text.make(shlex.join(self._items.read(node, place)), cast("Items", node).position)

    def _schema(self) -> dict[str, Any]:
        return self._items.schema()


_PROJECT = re.compile(r"^(?P<folder>[^\[\]]+?)\s*(?:\[(?P<extras>[^\[\]]*)\])?$")
TEXT = Scalar()
_STRING = Scalar({"type": "string"})
VARIABLES = MappingOf(others=Key(shape=TEXT, description=""), names="^[A-Za-z_][A-Za-z0-9_]*$")
_TEXT_OR_PAIRS: Shape[Text | Pairs] = Either(TEXT, MappingOf(others=Key(shape=TEXT, description="")))
_DEFAULT = Experiment(script=None)


@dataclass(frozen=True, kw_only=True)
class ExperimentSection:
    """The section `experiment:`: what every trial runs."""

    script: Text | None = key(
        _STRING,
        "The training script or notebook, relative to this file; not together with an axis named script.",
        None,
    )
    module: Text | None = key(
        Scalar({"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*$", "examples": ["mypkg.train"]}),
        "In place of script: the dotted name of a module in this file's folder, which runs as `python -m` runs it; or "
        "of an installed one that starts a script of this folder, which is the first of `args` that is a file of it: "
        "torch.distributed.run with [--nproc_per_node=2, train.py].",
        None,
    )
    args: tuple[Text, ...] = key(ListOf(TEXT), "The script's arguments; those of an axis named args come after.", ())
    install: Text | None = key(
        Scalar({"type": "string", "examples": [".", ".[train]"]}),
        "The project's own package, installed into every environment: a folder with a pyproject.toml or setup.py, as "
        "pip takes it ('.', '.[train]'). Its dependencies join `packages`, but for those that are an axis.",
        None,
    )
    env: Pairs = key(
        VARIABLES, "Environment variables of every trial, by name; those of an axis named env win over them.", {}
    )
    files: tuple[Text, ...] = key(
        ListOf(Scalar({"type": "string", "examples": ["conf", "data/*.csv"]})),
        "Files of this file's folder that every trial has a copy of, to read and to write: paths, folders and globs "
        "(`**` stands for any folders). Python files among them count as the script's modules.",
        (),
    )
    data: tuple[Text | Pairs, ...] = key(
        ListOf(_TEXT_OR_PAIRS),
        "Files and folders that the script reads and can't write: a path, or source: target, where the target is "
        "relative to the working directory (../data is beside it) or starts with ~/ (such as "
        "~/.keras/datasets/mnist.npz).",
        (),
    )
    timeout: float = key(DURATION, "The longest that one trial may take: 30m, 90s. Default: 30m.", _DEFAULT.timeout_s)
    artifacts: tuple[Text, ...] = key(ListOf(TEXT), "Globs of the files that are kept from a trial.", ())
    exit_code: ExitCode = key(
        Word({"zero": "zero", "any": "any"}),
        "The exit code that a trial must end with after its training; any: how it ended then does not matter. "
        "Default: zero.",
        Judging().exit_code,
    )
    network: bool = key(TRUTH, "Let the script use the network; the report shows it. Default: false.", _DEFAULT.network)


_RESOURCES, _SEEDS = Resources(), Seeds()


@dataclass(frozen=True, kw_only=True)
class ResourcesSection:
    """The section `resources:`: what one trial may use."""

    cpus: int = key(COUNT, "Processors. Default: 1.", _RESOURCES.cpus)
    memory: int = key(SIZE, "Memory: 4g, 512m. Default: 4g.", _RESOURCES.memory_bytes)
    disk: int = key(SIZE, "Space that a trial may write. Default: 1g.", _RESOURCES.disk_bytes)
    processes: int = key(COUNT, "Processes and threads. Default: 256.", _RESOURCES.processes)
    gpus: int = key(
        COUNT_FROM_ZERO, "NVIDIA GPUs; `flavour: full` follows, with the CUDA libraries. Default: 0.", _RESOURCES.gpus
    )
    trials_per_gpu: int = key(COUNT, "Trials that share one GPU at once. Default: 1.", _RESOURCES.trials_per_gpu)
    keep: int = key(
        SIZE, "Space of the artifacts that are kept of a trial, at most `disk`. Default: 1g.", _RESOURCES.keep_bytes
    )


@dataclass(frozen=True, kw_only=True)
class SeedsSection:
    """The section `seeds:`: one more seed while fewer than `cap` are counted and neither side leads by `lead`."""

    lead: int = key(COUNT, "By how many seeds good or bad must lead. Default: 4.", _SEEDS.lead)
    cap: int = key(COUNT, "The most seeds of one cell. Default: 10.", _SEEDS.cap)

    def __post_init__(self) -> None:
        if self.lead > self.cap:
            raise RefusedError(f"{self.cap} seeds can never lead by {self.lead}", "lead must not be above cap")


def read_experiment(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Experiment:
    """The experiment; mistakes in its script, variables, data and globs are noted."""
    for pattern in section.artifacts:
        if not _inside(pattern):
            mistakes.add(pattern.position, f"the artifact {quoted(pattern)} is not inside the working directory")
    for arg in section.args:
        try:
            refuse_long(arg)
        except RefusedError as error:
            mistakes.refuse(error, arg.position)
    data = tuple(_data(section, folder, mistakes))
    return Experiment(
        script=_script(section, folder, mistakes),
        module=str(section.module or ""),
        args=tuple(str(arg) for arg in section.args),
        env=_variables(section, mistakes),
        files=tuple(_files(section, folder, mistakes)),
        data=data,
        timeout_s=section.timeout,
        artifacts=tuple(str(pattern) for pattern in section.artifacts),
        network=section.network,
        install=_install(section.install, folder, mistakes),
    )


def _install(node: Text | None, folder: Path, mistakes: Mistakes) -> Install | None:
    if node is None:
        return None
    written = _PROJECT.match(node)
    if written is None or "://" in node:
        mistakes.add(node.position, f"install: {quoted(node)} is not a folder of the project", "such as . or .[train]")
        return None
    project = (folder / written["folder"]).absolute()
    if not any((project / name).is_file() for name in ("pyproject.toml", "setup.py")):
        hint = "what can be installed has one"
        mistakes.add(node.position, f"install: there is no pyproject.toml or setup.py in {project}", hint)
    extras = (part for part in re.split(r"[,\s]+", written["extras"] or "") if part)
    return Install(folder=project, extras=frozenset(str(canonicalize_name(part)) for part in extras))


def _script(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> str | None:
    """The path of what runs, None where neither a script nor a module is named."""
    written = section.script if section.script is not None else section.module
    if written is None:
        return None
    try:
        if section.script is None:
            return _launched(section, folder) or module_path(written, folder)
        check_script(written, folder)
    except RefusedError as error:
        mistakes.refuse(error, written.position)
    return PurePosixPath(written).as_posix()


def _launched(section: ExperimentSection, folder: Path) -> str:
    """The script that a module of another place is to start: the first argument that is one; empty where none is."""
    if section.module is None or is_module_of(section.module, folder):
        return ""
    files = (arg for arg in section.args if arg.endswith(".py") and _inside(arg) and (folder / arg).is_file())
    return next((PurePosixPath(arg).as_posix() for arg in files), "")


def _variables(section: ExperimentSection, mistakes: Mistakes) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in section.env.items():
        try:
            found.update(sorted_variables([(name, value)]))
        except RefusedError as error:
            mistakes.refuse(error, name.position)
    return tuple(sorted(found.items()))


def _files(section: ExperimentSection, folder: Path, mistakes: Mistakes) -> Iterator[str]:
    for pattern in section.files:
        if not _inside(pattern):
            hint = "what lies elsewhere goes under data:, as {source: target}"
            mistakes.add(pattern.position, f"the files {quoted(pattern)} are not inside the matrix's folder", hint)
        elif not any(glob.iglob(pattern, root_dir=folder, recursive=True)):  # noqa: PTH207 - as the trial's copy is made
            mistakes.add(pattern.position, f"there is no file {quoted(pattern)}", f"looked in {folder}")
        else:
            yield PurePosixPath(pattern).as_posix()


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
    place, inside = data_place(target)
    try:
        path = (folder / Path(source).expanduser()).absolute()
        exists = path.is_file() or path.is_dir()
    except (OSError, ValueError, RuntimeError):  # no such name can be, or no such user's home
        raise RefusedError(f"the data {quoted(source)} can't be found") from None
    if not exists:
        raise RefusedError(f"there is no data {quoted(source)}", f"looked for {path}")
    canonical_target = {"work": "", "home": "~/", "beside": "../"}[place] + inside
    if canonical_target in taken:
        raise RefusedError(f"two data mappings have the target {quoted(canonical_target)}")
    return DataMapping(source=path, target=canonical_target)
