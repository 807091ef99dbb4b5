"""The commented matrix that `init script.py` writes: what was found in a project → text that loads as it stands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.matrix.starting_axes import StartingAxes


@dataclass(frozen=True, kw_only=True)
class ProjectRequirements:
    """The file that says what the project needs, as `requirements:` takes it."""

    file: str = ""
    """Empty where there is none."""
    names: frozenset[str] = frozenset()
    """The packages that it names."""
    pins: frozenset[str] = frozenset()
    """Those of them that it holds to one version."""
    notes: tuple[str, ...] = ()
    """What was left to an axis or not taken."""
    refused: str = ""
    """The reason why it can't be taken as a whole; empty where it can."""
    lines: tuple[str, ...] = ()
    """Where it can't be taken as a whole: those of its requirements that can be (PEP 508)."""
    left: tuple[str, ...] = ()
    """The other lines of such a file after the first one that is refused, each with its place and reason."""
    others: tuple[str, ...] = ()
    """Further files of that kind."""

    @property
    def is_taken(self) -> bool:
        """True where the matrix takes the file as it is."""
        return bool(self.file and not self.refused)

    @property
    def is_heeded(self) -> bool:
        """True where the matrix takes the file, or what of it can be taken."""
        return self.is_taken or bool(self.lines)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a new matrix says of one script; paths are relative to the matrix."""

    script: str
    axes: StartingAxes
    packages: tuple[str, ...] = ()
    """Further requirements (PEP 508), each known to be one."""
    questions: tuple[str, ...] = ()
    """What only the user knows: a comment each, without its mark."""
    requirements: ProjectRequirements = field(default_factory=ProjectRequirements)
    module: str = ""
    """The dotted name that the script runs by, where it is a module of a package."""
    install: bool = False
    """True where the script imports the project's own package from where it is installed."""
    not_installed: str = ""
    """The reason why that package can't be installed, where the script would import it so."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that the script can't do without, each with the place that reads it (`train.py:3`)."""
    pythonpath: str = ""
    """The folders, relative to the matrix, in which the script's own modules are found otherwise."""
    files: tuple[str, ...] = ()
    """The files of the project that the script names, small enough for a copy of their own in every trial."""
    data: tuple[tuple[str, str], ...] = ()
    """Those that are shown to every trial: where each lies, and where the script looks for it."""
    left_out: str = ""
    """The version of the axis that the project pins, with the reason why it can't be tried; mostly empty."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """The patterns of what the script prints."""

    @property
    def pins(self) -> frozenset[str]:
        """The packages that are held to one version."""
        return frozenset(text.partition("==")[0] for text in self.packages if "==" in text)

    @property
    def exact(self) -> frozenset[str]:
        """The packages that are held to one version here or in the project's own file."""
        return self.pins | self.requirements.pins


_TEMPLATE = """\
# What is tried: one training script, many library versions. Run it with
#     convergence-matrix matrix.yaml
# Paths are relative to this file.

# title: what the head of the report says, in place of the folder's name
# description: what is asked here, in a sentence or some paragraphs

axes:
  # Each combination of these values is one cell. Any package of the index can be an axis; the first one
  # is the base: its release date decides which versions of all else are installed with it.
{axes}
{ranges}
  # python: [3.7, 3.10]                   # default: the newest CPython that has wheels for the cell
{backend}  # env: ["", TF_DETERMINISTIC_OPS=1]     # sets of environment variables

{pairs}experiment:
  {script}
{install}  # args: [--epochs, 10]
{files}
{data}
  timeout: 30m
  # artifacts: ["*.png"]     # files that come back from each trial
  # network: true            # off unless asked for

{packages}
{metrics}# When training has converged; without it, the shape of the judged metric's curve decides.
# criterion: {criterion}

# Seeds per cell: a number, as-written, or as many as it takes for one side to lead.
# seeds: {{lead: 4, cap: 10}}

resources:
  cpus: 1
  memory: 4g

# What must come out; where it does not, the exit code is 1.
# expect:
#   - {{{first}, outcome: converges}}
"""

_PAIRS = """\
# Combinations that make no sense; each line leaves out all cells that match it.
exclude:
  - {tensorflow: 1.13.1, keras: 2.10.0}
  - {tensorflow: 2.10.1, keras: 2.2.4}

# Cells beyond the product of the axes.
include:
  - {tensorflow: 2.16.1, keras: 3.3.3}

"""

_ERA = """
  # keras: era                            # with each TensorFlow the Keras of its time; no exclude, no include"""

_BACKEND = """\
  # backend: [tensorflow, jax, torch]     # of Keras 3: sets it, and installs what it needs
"""
_MORE_IS_BETTER = re.compile("acc|auc|classification_rate|precision|recall|f1|iou|dice|r2|score|bleu|psnr|ssim|reward")
_DATA = "  # data: [data, {shared/mnist.npz: ~/.keras/datasets/mnist.npz}]     # what the script reads and never writes"
_FILES = "  # files: [conf.yaml, data/*.csv]     # what each trial has a copy of"
_PACKAGES = """\
# What else the script imports, in every cell; for some of them: {numpy: "<1.20", when: "tensorflow<2.4"}.
"""
_METRICS = """\
# Metrics that are read from what the script prints; the first one is judged unless a criterion names another.
"""


def template(found: Proposal) -> str:
    """The text of the matrix."""
    package, versions = found.axes.packages[0]
    return _TEMPLATE.format(
        axes="\n".join(
            [
                *(f"  {name}: {_listed(values)}" for name, values in found.axes.packages),
                *([f"  # {found.left_out}"] if found.left_out else []),
            ]
        ),
        ranges=_range(package, versions) + (_ERA if found.axes.paired else ""),
        backend=_BACKEND if package == "tensorflow" else "",
        pairs=_PAIRS if found.axes.paired else "",
        script=f"module: {found.module}" if found.module else f"script: {_plain(found.script)}",
        install=_install(found),
        files=_listing("files", map(_plain, found.files)) or _FILES,
        data=_listing("data", (_mapped(*pair) for pair in found.data)) or _DATA,
        packages=_packages(found),
        metrics=_metrics(found.metrics, is_live=package != "tensorflow"),
        criterion=_criterion(next(iter(found.metrics), "") if package != "tensorflow" else ""),
        first=f"{package}: {versions[0]}",
    )


def _listed(values: tuple[str, ...]) -> str:
    return values[0] if values == ("era",) else f"[{', '.join(values)}]"


def _range(package: str, versions: tuple[str, ...]) -> str:
    shown = ">=1.13,<2.17" if package == "tensorflow" else f">={versions[0]}"
    return f'  # {package}: {{range: "{shown}", every: minor}}     # the latest patch of each; or latest, latest-3'


def _install(found: Proposal) -> str:
    if found.install:
        return "  install: .     # the script imports this project's own package\n" + _variables(found)
    refused = f"  # install: .     # {found.not_installed}\n" if found.not_installed else ""
    looked_in = f"  env: {{PYTHONPATH: {_plain(found.pythonpath)}}}     # the project's own modules are found there\n"
    return refused + (looked_in if found.pythonpath else "") + _variables(found)


def _variables(found: Proposal) -> str:
    """A comment that asks for the environment variables which only the user knows."""
    if not found.variables:
        return ""
    given = [f"PYTHONPATH: {_plain(found.pythonpath)}"] if found.pythonpath else []
    entries = ", ".join([*given, *(f'{name}: ""' for name in found.variables)])
    read = ", ".join(f"{place} reads {name}" for name, place in found.variables.items())
    return f"  # env: {{{entries}}}     # {read}: what is it to be?\n"


def _listing(key: str, entries: Iterable[str]) -> str:
    text = ", ".join(entries)
    return f"  {key}: [{text}]" if text else ""


def _mapped(lies: str, sought: str) -> str:
    return _plain(lies) if lies == sought else f"{{{_plain(lies)}: {_plain(sought)}}}"


def _packages(found: Proposal) -> str:
    """The section `packages:` with what is not sure as comments; an example where there is nothing to name."""
    mark = "" if found.packages else "# "
    if found.packages or found.questions:
        lines = [f"{mark}packages:", *(f"  - {_plain(text)}" for text in found.packages)]
    else:
        lines = ["# packages: [pandas, scikit-learn>=0.20]"]
    lines += [f"{'  # ' if found.packages else '#   '}{question}" for question in found.questions]
    return _PACKAGES + "".join(f"{line}\n" for line in (*lines, *_requirements(found.requirements)))


def _requirements(found: ProjectRequirements) -> Iterator[str]:
    """The section `requirements:`; a comment, with the reason, where the project's file can't be taken as it is."""
    if found.file or found.others:
        yield "# All that the project's own files name, in every cell; what is an axis is left to the axis."
    if found.file:
        rest = " (the lines that can be taken stand under packages:)" if found.lines else ""
        refused = f"     # {found.refused}{rest}" if found.refused else ""
        yield f"{'# ' if refused else ''}requirements: [{_plain(found.file)}]{refused}"
    yield from (f"# {note}" for note in (*found.left, *found.notes))
    if found.others:
        yield f"# requirements: [{', '.join(map(_plain, (*filter(None, [found.file]), *found.others)))}]"


def _metrics(patterns: Mapping[str, str], *, is_live: bool) -> str:
    """The section `metrics:`; as a comment beside Keras, whose training is seen by itself."""
    if not patterns:
        return ""
    mark = "" if is_live else "# "
    lines = ["metrics:", *(f"  {name}: {_quoted(text)}" for name, text in patterns.items())]
    return _METRICS + "".join(f"{mark}{line}\n" for line in lines) + "\n"


def _criterion(metric: str) -> str:
    """An example of a criterion, of a metric that the script prints where there is one."""
    if not metric:
        return "[loss < 1e-4, val_accuracy >= 0.9 within 5 epochs]"
    return f"{metric} >= 0.9" if _MORE_IS_BETTER.search(metric) else f"{metric} < 0.1"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(text: str) -> str:
    """A text as YAML, in quotes unless it reads as itself without them."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) else json.dumps(text, ensure_ascii=False)
