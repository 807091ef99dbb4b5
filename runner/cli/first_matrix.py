"""What `init` finds out about a script and the project around it: a folder and a script's path → a `Proposal`."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from runner.matrix.starting_axes import starting_axes
from runner.matrix.template import Proposal
from runner.scripts.named_files import named_files
from runner.scripts.printed_metrics import patterns_in
from runner.scripts.project_needs import distribution_of, project_needs, read_need
from runner.scripts.script import content_of, imports_relatively, read_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.matrix.starting_axes import StartingAxes
    from runner.scripts.notebook_source import TakenOut
    from runner.scripts.project_needs import ProjectNeed

_COPIED_BYTES = 20 * 1000**2
"""The largest file or folder of which every trial gets a copy."""
_SOURCES = ("", "src")
"""The folders of a project that its own packages lie in."""


def propose(folder: Path, path: str) -> Proposal:
    """The matrix for the script at `folder / path`, which the matrix will stand above or beside.

    Raises UsageError where the script can't be read.
    """
    script = read_script(folder, path)
    module = _module(path, content_of(script, script.files[0]))
    if module:
        script = read_script(folder, path, module=module)
    contents = [content_of(script, file) for file in script.sources]
    installed = {need.name: need for line in script.taken_out for need in _installed(line, path)}
    needs = {**installed, **project_needs([folder, (folder / path).parent])}
    foreign = sorted(name for name in script.imports if name not in sys.stdlib_module_names)
    own = [name for name in foreign if _lies_in(folder, name)]
    install = bool(own) and _can_be_installed(folder)
    known = {name: distribution_of(name, needs.keys()) for name in foreign if name not in own}
    pins = {name: need.pin for name, need in needs.items() if need.pin is not None}
    distributions = {name for name in (*known.values(), *installed) if name}
    axes = starting_axes(distributions, pins)
    of_one_time = any(package in pins for package, _ in axes.packages)
    asked = () if of_one_time else needs.keys() - axes.floating
    entries = {name: _package(name, axes, needs, of_one_time=of_one_time) for name in distributions}
    files, data = _files(folder, path.rpartition("/")[0], contents)
    return Proposal(
        script=script.path,
        axes=axes,
        packages=tuple(sorted({text for text in entries.values() if text})),
        questions=(
            *_questions([] if install else own, known, needs),
            *_pins_left_out(needs[name] for name in sorted(entries) if entries[name] == name and name in asked),
        ),
        requirement_files=tuple(dict.fromkeys(need.file for need in needs.values() if need.is_required)),
        module=module,
        install=install,
        files=files,
        data=data,
        metrics={name: text for content in contents for name, text in patterns_in(content).items()},
    )


def _questions(own: Iterable[str], known: Mapping[str, str | None], needs: Mapping[str, ProjectNeed]) -> Iterator[str]:
    """What the project's files leave open: its own modules that the script can't reach, strangers, addresses."""
    yield from (f"{name} is in this project, but not where the script looks for it: is it installed?" for name in own)
    for name, distribution in known.items():
        need = needs.get(distribution or "")
        if distribution is None:
            yield f"- {name}     # the script imports {name}: which package of the index has it?"
        elif need is not None and need.address:
            yield f"- {distribution}     # {need.file} has an address for it: which release is meant?"


def _files(folder: Path, beside: str, contents: Iterable[bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files that the sources name: those that every trial gets a copy of, and the large ones."""
    named = sorted({name for content in contents for name in _named(content, folder, beside)})
    large = tuple(name for name in named if _bytes(folder, name) > _COPIED_BYTES)
    return tuple(name for name in named if name not in large), large


def _installed(taken_out: TakenOut, file: str) -> Iterator[ProjectNeed]:
    """The needs that a line of a notebook installs, such as `!pip install -q "numpy<2"`."""
    for word in taken_out.line.replace('"', " ").replace("'", " ").split():
        need = read_need(word, file)
        if need is not None and need.name in {str(canonicalize_name(name)) for name in taken_out.packages}:
            yield need


def _module(path: str, content: bytes) -> str:
    """The dotted name of a script that imports its neighbours relatively; empty for any other."""
    parts = path.removesuffix(".py").split("/")
    runs_as_module = len(parts) > 1 and all(map(str.isidentifier, parts)) and imports_relatively(content)
    return ".".join(parts) if runs_as_module else ""


def _named(content: bytes, folder: Path, beside: str) -> Iterator[str]:
    """The files that a source names, seen from the working directory and from the script's own folder."""
    yield from named_files(content, folder)
    if beside:
        yield from (f"{beside}/{name}" for name in named_files(content, folder / beside))


def _bytes(folder: Path, name: str) -> int:
    places = [folder / name] if "*" not in name else list(folder.glob(name))
    files = (file for place in places for file in (place.rglob("*") if place.is_dir() else [place]))
    return sum(file.stat().st_size for file in files if file.is_file())


def _lies_in(folder: Path, name: str) -> bool:
    places = [folder / source / name for source in _SOURCES]
    return any(place.with_suffix(".py").is_file() or any(place.glob("*.py")) for place in places)


def _can_be_installed(folder: Path) -> bool:
    try:
        tables = frozenset(tomllib.loads((folder / "pyproject.toml").read_text("utf-8")))
    except (OSError, ValueError):
        tables = frozenset()
    return bool(tables & {"project", "build-system"}) or (folder / "setup.py").is_file()


def _package(name: str, axes: StartingAxes, needs: Mapping[str, ProjectNeed], *, of_one_time: bool) -> str:
    """The entry of `packages:` for a distribution; empty where the axes bring it, or it has an address.

    A pin is taken over where the project pins the axis too (`of_one_time`): else it is of another time than most cells.
    """
    if name in axes.brings or any(name == axis for axis, _ in axes.packages):
        return ""
    need = needs.get(name)
    if need is None or name in axes.floating:
        return name
    if need.address:
        return ""
    return f"{name}{need.versions}" if of_one_time or need.pin is None else name


def _pins_left_out(needs: Iterable[ProjectNeed]) -> Iterator[str]:
    for need in needs:
        if need.pin is not None and not need.address:
            yield f"- {need.name}{need.versions}     # so in {need.file}: is it for every version that is tried?"
