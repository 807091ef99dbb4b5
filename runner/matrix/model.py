"""The parts of a matrix as frozen values; each part that a user wrote knows its line and column."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from runner.matrix.axes import BACKEND_VARIABLE, NO_PRELUDE, SOURCE_ROOT, AxisKind, argument_list, env_pairs
from runner.matrix.mistakes import RefusedError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.matrix.cell_id import CellId
    from runner.matrix.criterion import CostLimit
    from runner.matrix.mistakes import Position
    from runner.matrix.releases import Rule

_REQUIRED = re.compile(r"[^A-Za-z0-9._-]")
"""What ends the name that a requirement begins with."""
Mode = Literal["min", "max"]
"""The direction in which a metric is better."""
ExitCode = Literal["zero", "any"]
"""The exit codes that a trial may end with after its training."""


Fits = Literal["last", "all", "best"]
"""Which of several trainings is judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisValue:
    """One value of an axis, always text (`1.10` stays "1.10"), with its place in the file."""

    text: str
    position: Position
    rule: Rule | None = None
    """The rule that stands in place of a version until `settle` has asked the index; `text` has it in words."""
    beside: frozenset[str] | None = None
    """The values of the base that it goes with, where `era` made it; None: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One named list of values; package names are normalised (PEP 503). Without values where only `include:` has it."""

    name: str
    kind: AxisKind
    values: tuple[AxisValue, ...]
    position: Position

    @property
    def settled(self) -> bool:
        """True where all its values are concrete."""
        return all(value.rule is None for value in self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Partial:
    """A partial cell, as `exclude:`, `include:` and `expect:` have them: axis name to value, all text."""

    values: Mapping[str, str]
    position: Position
    positions: Mapping[str, Position] = field(default_factory=dict)
    """The position of each axis's value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """The outcome that cells matching `match` must have, such as "converges" or "fails (nan)"."""

    match: Partial
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One condition of `when:`: that its value of `axis` is in `specifiers` (PEP 440), such as "<2.4"; "==torch"."""

    axis: str
    specifiers: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """A further package (PEP 508, canonical) of the cells that meet every condition."""

    text: str
    when: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """The package's name, normalised."""
        return _REQUIRED.split(self.text, maxsplit=1)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedBase:
    """A base image, by the name that the engine knows it by, for the cells that meet every condition."""

    image: str
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Became:
    """The versions that the index has for one written value of an axis, such as ">=1.7,<2.17 every minor" or "era"."""

    axis: str
    written: str
    versions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataMapping:
    """A file or folder of the host that a trial sees, read-only.

    `target` is relative to the working directory (`../x` is beside it), or starts with `~/` (the trial's HOME).
    """

    source: Path
    target: str


_NAMES = """\
    bin boot channel dev env etc home lib lib32 lib64 libx32 log metrics opt preludes proc root run runner sbin sys tmp
    usr var work
"""
_OF_THE_TRIAL = frozenset(_NAMES.split())
"""The names beside a trial's working directory that its world has for itself, in a container or without one."""


def data_place(target: str) -> tuple[Literal["work", "home", "beside"], str]:
    """The place of a target of `data:`, without `..`: in the working directory, in HOME, or beside the former.

    Raises RefusedError where a trial can't have data there on every engine.
    """
    at_home = target.startswith("~/")
    inside = posixpath.normpath(target.removeprefix("~/"))
    first, _, rest = inside.partition("/")
    if first == ".." and rest and not at_home:
        name = rest.partition("/")[0]
        if name not in _OF_THE_TRIAL | {".."}:
            return "beside", rest
        if name != "..":
            raise RefusedError(f"the data target {quoted(target)} is a place that a trial has for itself", _CHOOSE)
    if posixpath.isabs(inside) and not at_home:
        message = f"the data target {quoted(target)} is a place of this machine, which only a container has to itself"
        raise RefusedError(message, _CHOOSE)
    if posixpath.isabs(inside) or first in {"", ".", ".."}:
        raise RefusedError(
            f"the data target {quoted(target)} is neither in the working directory, nor in the folder above it, nor"
            " under ~/",
            "name one: {source: target}",
        )
    return ("home" if at_home else "work"), inside


_CHOOSE = (
    "name one in the working directory, beside it (../data) or under ~/, and let args: or env: tell the script of it"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """The places where a trial's further metrics are found; what they hold is read when a trial is judged."""

    patterns: tuple[tuple[str, str], ...] = ()
    """The name of each metric with the pattern (RE2) that finds its value in a line of the output."""
    files: tuple[str, ...] = ()
    """Globs of tables and event files, relative to the working directory; a folder means all in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Install:
    """A project that is installed into every environment: its folder and the extras that are wanted, normalised."""

    folder: Path
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """The trial that every cell runs: a script (None where an axis names it), its arguments and its world."""

    script: str | None
    """The file that runs, by its path in the matrix's folder."""
    module: str = ""
    """The dotted name by which that file runs, as `python -m` does, or of an installed module that starts it; empty: it
    runs as a script."""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables of every trial, sorted by name."""
    files: tuple[str, ...] = ()
    """Globs of the files that every trial has a copy of, relative to the matrix's folder."""
    data: tuple[DataMapping, ...] = ()
    timeout_s: float = 1800.0
    artifacts: tuple[str, ...] = ()
    network: bool = False
    metrics: Metrics = field(default_factory=Metrics)
    """Not part of a trial's key: what a trial does never depends on where its metrics are looked for."""
    install: Install | None = None
    """The user's own project, where it is installed as a package."""

    def start(self, cell: Cell) -> str:
        """The folder that a cell's trials start in, relative to the matrix's: that of a notebook, as in Jupyter."""
        return cell.script.rpartition("/")[0] if cell.script.endswith(".ipynb") else ""

    @property
    def own_module(self) -> str:
        """The module where it is the file that runs; empty where an installed one starts that file."""
        return self.module if self.module and (self.script in self._module_files or self.source_root) else ""

    @property
    def source_root(self) -> str:
        """The folder in which the module that runs lies, where that is not the matrix's own; else empty."""
        if not self.module:
            return ""
        below = (self.script or "").removeprefix(f"{SOURCE_ROOT}/")
        return SOURCE_ROOT if self.script not in self._module_files and below in self._module_files else ""

    @property
    def _module_files(self) -> tuple[str, ...]:
        path = self.module.replace(".", "/")
        return (f"{path}.py", f"{path}/__main__.py")

    @property
    def runs_installed(self) -> bool:
        """True where the module that runs is the installed project's: its folder is not looked in."""
        return bool(self.install and self.source_root)

    def command(self, cell: Cell) -> tuple[str, ...]:
        """What Python is started with in a cell: the script or its module, and all arguments."""
        script = cell.script.removeprefix(f"{self.start(cell)}/")
        return (*(("-m", self.module) if self.module else (script,)), *self.args, *cell.args)

    def variables(self, cell: Cell) -> tuple[tuple[str, str], ...]:
        """The environment variables of a cell, sorted by name; those of its axes win over those of every trial.

        A module's source root is looked in first.
        """
        backend = {BACKEND_VARIABLE: cell.backend} if cell.backend else {}
        found = {**dict(self.env), **backend, **dict(cell.env)}
        if self.source_root and not self.runs_installed:
            found["PYTHONPATH"] = ":".join(filter(None, [self.source_root, found.get("PYTHONPATH")]))
        return tuple(sorted(found.items()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """The limits of one trial."""

    cpus: int = 1
    memory_bytes: int = 4 * 1024**3
    disk_bytes: int = 1024**3
    processes: int = 256
    gpus: int = 0
    """Of each trial; without any a trial sees none."""
    trials_per_gpu: int = 1
    """How many trials may share one GPU at the same time."""
    keep_bytes: int = 1024**3
    """Of artifacts; no part of a trial's key, since it changes nothing that a trial does."""

    @property
    def kept_bytes(self) -> int:
        """The bytes of its artifacts that are kept: never more than it may write."""
        return min(self.keep_bytes, self.disk_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeds:
    """The seeds of a cell: one more while fewer than `cap` are counted and neither side leads by `lead`.

    A fixed number n of seeds is `lead = cap = n` with `fixed` true.
    """

    lead: int = 4
    cap: int = 10
    fixed: bool = False
    as_written: bool = False
    paired: bool = False
    """True where copies of a trial are wanted too: not for their outcome, but for the time that each of them takes."""
    asked: bool = False
    """True where a search asks for so many: two that broke alike after chance had played its part are not enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judging:
    """The way every trial is judged; the metric and the operator of a criterion win over these."""

    metric: str = "loss"
    mode: Mode | None = None
    """None: as the metric's name says."""
    at: Literal["last", "best"] = "last"
    """`best` judges the best value so far, as checkpoints keep it."""
    skip: int = 0
    """The number of first epochs that are left out."""
    fits: Fits = "last"
    """The training that is judged where several report the metric: the last one, the worst (`all`) or the best."""
    exit_code: ExitCode = "zero"
    """`any`: how the script ended after its training does not matter."""
    costs: tuple[CostLimit, ...] = ()
    """What a trial may cost, beside what the criterion says of metrics."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The axes of a matrix with what is left out of their product and added to it: what its cells are made from."""

    axes: tuple[Axis, ...]
    experiment: Experiment
    include: tuple[Partial, ...] = ()
    exclude: tuple[Partial, ...] = ()

    @property
    def settled(self) -> bool:
        """True where all values are concrete, so that the cells can be made; else `settle` makes them so."""
        return all(axis.settled for axis in self.axes)

    @property
    def base(self) -> Axis:
        """The first package axis: what an environment is resolved around, and as of whose date."""
        return next(axis for axis in self.axes if axis.kind is AxisKind.PACKAGE)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of axis values, in the order of the matrix's axes, with what the axes mean spelled out."""

    id: CellId
    """The cell's axis values: its identity, unique in its matrix."""
    pins: tuple[tuple[str, str], ...]
    """(package, version) per package axis; the base first."""
    script: str

    @property
    def python(self) -> str | None:
        """Wanted CPython, such as "3.7"; None: the newest that fits."""
        return self.id.get("python")

    @property
    def backend(self) -> str | None:
        """The backend that Keras is run with; None: Keras' own choice."""
        return self.id.get("backend")

    @property
    def surroundings(self) -> tuple[object, ...]:
        """Its values that say what is installed: cells of one matrix with the same ones share an environment."""
        return self.pins, self.python, self.backend

    @property
    def import_flavour(self) -> str:
        """The Keras that the script's Keras imports mean."""
        return self.id.get("import", "as-written")

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments that its axis adds to those of every trial."""
        return argument_list(self.id.get("args", ""))

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The environment variables of its axis, sorted by name."""
        return env_pairs(self.id.get("env", ""))

    @property
    def preludes(self) -> tuple[str, ...]:
        """The code that runs before the script: switches by name, and sources by their path in the matrix's folder."""
        named = self.id.get("prelude", NO_PRELUDE)
        return () if named == NO_PRELUDE else tuple(named.split())
