"""What `init` finds out about a script and the project around it: a folder and a script's path → a `Proposal`."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.engines.world import GIVEN
from runner.errors import UsageError
from runner.matrix.axes import SOURCE_ROOT, VARIABLE
from runner.matrix.axis_reader import AxisReader
from runner.matrix.mistakes import Mistakes, Position, RefusedError
from runner.matrix.model import data_place
from runner.matrix.nodes import Text
from runner.matrix.requirement_files import RequirementFiles
from runner.matrix.starting_axes import starting_axes
from runner.matrix.template import ProjectRequirements, Proposal
from runner.scripts.named_files import named_files
from runner.scripts.printed_metrics import patterns_in
from runner.scripts.project_needs import distribution_of, needed_variables, project_needs, read_need
from runner.scripts.script import content_of, imports_relatively, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.errors import Mistake
    from runner.matrix.starting_axes import StartingAxes
    from runner.scripts.notebook_source import TakenOut
    from runner.scripts.project_needs import ProjectNeed
    from runner.scripts.script import Script

_COPIED_BYTES = 20 * 1000**2
"""The largest file or folder of which every trial gets a copy."""
_LONGEST_REASON = 240
_WHOLE = ("requirements.txt", "pyproject.toml", "environment.y")
"""The beginnings of the names of files that say all that a project needs, and no more than that."""


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """What of a project's own wishes a matrix can't grant, with the reasons; found by trying it."""

    install: str = ""
    requirements: str = ""
    pins: frozenset[str] = frozenset()
    """The packages whose pins are questions."""
    base: str = ""
    """The reason why the version of the axis that the project pins is left out."""


_GRANTED = Refusals()


def propose(folder: Path, path: str, refused: Refusals = _GRANTED) -> Proposal:
    """The matrix for the script at `folder / path`, which the matrix will stand above or beside.

    Raises UsageError where the script can't be read.
    """
    script, module = _read(folder, path)
    contents = {file.path: content_of(script, file) for file in script.sources}
    installed = {need.name: need for line in script.taken_out for need in _installed(line, path)}
    needs = {**installed, **project_needs([folder, (folder / path).parent])}
    foreign = _foreign(script)
    roots = {name: root for name in foreign if (root := _root_of(folder, name)) is not None}
    can_be_installed = bool(roots) and _can_be_installed(folder)
    install = can_be_installed and not refused.install
    pythonpath = "" if install else ":".join(sorted(set(roots.values())))
    if pythonpath:
        script = read_script(folder, path, module=module, pythonpath=pythonpath)
        contents = {file.path: content_of(script, file) for file in script.sources}
        foreign = _foreign(script)
    known = {name: distribution_of(name, needs.keys()) for name in foreign if name not in roots}
    pins = {name: need.pin for name, need in needs.items() if need.pin is not None}
    imported = {name for name in (*known.values(), *installed) if name}
    axes = starting_axes(imported, {} if refused.base else pins)
    wanted = _requirements(folder, needs.values(), axes, refused, is_installed=install)
    distributions = imported | (wanted.names if wanted.lines else frozenset())
    of_one_time = any(package in pins for package, _ in axes.packages)
    floating = frozenset(axes.floating) | refused.pins
    entries = {name: _package(name, axes, needs, floating=floating, of_one_time=of_one_time) for name in distributions}
    asked = refused.pins if of_one_time else needs.keys() - axes.floating
    taken = wanted.names if wanted.is_taken else frozenset()
    start = path.rpartition("/")[0] if script.is_notebook else ""
    files, data = _files(folder, path.rpartition("/")[0], start, contents)
    return Proposal(
        script=script.path,
        axes=axes,
        packages=tuple(sorted(_packages(entries, wanted))),
        questions=(
            *_questions(known, needs),
            *_pins_left_out(needs[name] for name in sorted(entries) if entries[name] == name and name in asked - taken),
        ),
        requirements=wanted,
        module=module,
        install=install,
        not_installed=refused.install if can_be_installed else "",
        variables=_variables(contents),
        pythonpath=pythonpath,
        left_out=refused.base,
        files=files,
        data=data,
        metrics={name: text for content in contents.values() for name, text in patterns_in(content).items()},
    )


def tried(folder: Path, path: str, blocked: Callable[[Proposal], Mapping[str, str]]) -> Proposal:
    """The matrix with as much of what the project asks for as leaves every cell that can be had.

    `blocked` gives the cells of a matrix that can't be resolved, with their reasons; it raises UsageError where the
    project can't be built, or what it asks for can't be locked.
    """
    refused, tries = Refusals(), list[tuple[int, Proposal]]()
    while True:
        found = propose(folder, path, refused)
        if not tries and not (found.install or found.requirements.is_heeded or found.pins):
            return found
        try:
            reasons = blocked(found)
        except UsageError as error:
            reasons = {"": str(error)}
        tries.append((len(reasons), found))
        weaker = _weaker(found, refused, reasons) if reasons else None
        if weaker is None and (said := _pinned_base(found, refused, reasons)):
            tries, weaker = [], Refusals(base=said)
        if weaker is None:
            fewest = min(number for number, _ in tries)
            return next(one for number, one in tries if number == fewest)
        refused = weaker


def _pinned_base(found: Proposal, refused: Refusals, reasons: Mapping[str, str]) -> str:
    """The version of the axis that the project pins, with the reason, where it is what can't be had; else empty."""
    (package, versions), *_ = found.axes.packages
    cell = f"{package}={versions[0]}"
    if refused.base or cell not in reasons or versions[0] in starting_axes({package}, {}).packages[0][1]:
        return ""
    return f"{package} {versions[0]}, which the project pins, can't be had: {_short(reasons[cell])}"


def _weaker(found: Proposal, refused: Refusals, reasons: Mapping[str, str]) -> Refusals | None:
    """What is refused beyond that, the likeliest cause first; None where nothing is left to refuse."""
    cell, reason = next(iter(reasons.items()))
    said = _short(reason.removeprefix("install: "))
    said = f"with it, {cell} can't be had: {said}" if cell else said
    base = refused.base
    if found.install and not cell:
        return replace(refused, install=said)
    if found.requirements.is_heeded:
        return replace(refused, requirements=said)
    if found.pins:
        named = frozenset(name for name in found.pins if any(name in reason for reason in reasons.values()))
        return replace(refused, pins=refused.pins | (named or found.pins))
    return Refusals(install=said, base=base) if found.install else None


def _short(reason: str) -> str:
    """A reason in one line, without what the resolver advises."""
    line = " ".join(reason.split()).partition(" hint: ")[0]
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]} …"


def _read(folder: Path, path: str) -> tuple[Script, str]:
    """The script, and the dotted name of the module that it runs as; empty where it runs as a script."""
    script = read_script(folder, path)
    root, inner = "", path
    if path.startswith(f"{SOURCE_ROOT}/") and not (folder / SOURCE_ROOT / "__init__.py").exists():
        root, inner = SOURCE_ROOT, path.removeprefix(f"{SOURCE_ROOT}/")
    parts = inner.removesuffix(".py").split("/")
    needs_package = imports_relatively(content_of(script, script.files[0])) or parts[0] in script.imports
    if len(parts) == 1 or not all(map(str.isidentifier, parts)) or not needs_package:
        return script, ""
    module = ".".join(parts).removesuffix(".__main__")
    return read_script(folder, path, module=module, pythonpath=root), module


def _foreign(script: Script) -> list[str]:
    return sorted(name for name in script.imports if name not in sys.stdlib_module_names)


def _requirements(
    folder: Path, needs: Iterable[ProjectNeed], axes: StartingAxes, refused: Refusals, *, is_installed: bool
) -> ProjectRequirements:
    """The file of the project that says what it needs, as `requirements:` reads it; the others by name."""
    files = list(dict.fromkeys(need.file for need in needs if need.is_required))
    whole = [file for file in files if PurePosixPath(file).name.startswith(_WHOLE)]
    own = next((file for file in whole if not (is_installed and file == "pyproject.toml")), "")
    if not own:
        return ProjectRequirements(others=tuple(files))
    others = tuple(file for file in files if file != own)
    if refused.requirements:
        return ProjectRequirements(file=own, refused=refused.requirements, others=others)
    mistakes = Mistakes(folder / "matrix.yaml")
    reader = AxisReader(folder=folder, mistakes=mistakes, left_out=frozenset())
    strict = RequirementFiles(reader=reader, axes=[name for name, _ in axes.packages], own=folder)
    read = strict.read([Text.make(own, Position(line=1, column=1))])
    if mistakes.found:
        first, *more = [_said(one, folder) for one in sorted(mistakes.found, key=lambda one: one.line)]
        named = [one for one in read if not one.text.startswith("-c ")]
        return ProjectRequirements(
            file=own,
            names=frozenset(one.name for one in named),
            lines=tuple(one.text.partition(" --hash=")[0] for one in named),
            refused=first,
            left=tuple(more),
            others=others,
        )
    return ProjectRequirements(
        file=own,
        names=frozenset(requirement.name for requirement in read),
        pins=frozenset(requirement.name for requirement in read if f"{requirement.name}==" in requirement.text),
        notes=tuple(strict.notes),
        others=others,
    )


def _said(mistake: Mistake, folder: Path) -> str:
    """A mistake of a project's file, with its place, in one line."""
    file = mistake.file.relative_to(folder).as_posix() if mistake.file.is_relative_to(folder) else ""
    return mistake.message if file in {"", "matrix.yaml"} else f"{file}:{mistake.line}: {mistake.message}"


def _packages(entries: Mapping[str, str], wanted: ProjectRequirements) -> set[str]:
    """The entries of `packages:`: what the imports need, and the lines of a file that is taken only in part."""
    if not wanted.lines:
        return {text for name, text in entries.items() if text and name not in wanted.names}
    found = set[str]()
    for name, text in entries.items():
        lines = [line for line in wanted.lines if Requirement(line).name == name] if text not in {"", name} else []
        found.update(lines or filter(None, [text]))
    return found


def _variables(contents: Mapping[str, bytes]) -> dict[str, str]:
    """The environment variables that a source reads without a default and no trial has, with the places."""
    found: dict[str, str] = {}
    for path, content in contents.items():
        for name, line in needed_variables(content).items():
            if name not in GIVEN and VARIABLE.fullmatch(name):
                found.setdefault(name, f"{path}:{line}")
    return found


def _questions(known: Mapping[str, str | None], needs: Mapping[str, ProjectNeed]) -> Iterator[str]:
    """What the project's files leave open: strangers, addresses."""
    for name, distribution in known.items():
        need = needs.get(distribution or "")
        if distribution is None:
            yield f"- {name}     # the script imports {name}: which package of the index has it?"
        elif need is not None and need.address:
            yield f"- {distribution}     # {need.file} has an address for it: which release is meant?"


def _files(
    folder: Path, beside: str, start: str, contents: Mapping[str, bytes]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The files that the sources name: those that every trial gets a copy of, and what is shown to it, with its place.

    That is what is large, and what the script looks for elsewhere than it lies.
    """
    named = [named_files(content, path, folder, beside=beside, start=start) for path, content in contents.items()]
    inside = sorted({name for one in named for name in one.inside})
    large = [name for name in inside if "*" not in name and _bytes(folder, name) > _COPIED_BYTES]
    moved = dict(pair for one in named for pair in one.moved if _has_place(pair[1]))
    shown = {**{name: name for name in large}, **moved}
    return tuple(name for name in inside if name not in large), tuple(sorted(shown.items()))


def _has_place(target: str) -> bool:
    try:
        data_place(target)
    except RefusedError:
        return False
    return True


def _installed(taken_out: TakenOut, file: str) -> Iterator[ProjectNeed]:
    """The needs that a line of a notebook installs, such as `!pip install -q "numpy<2"`."""
    for word in taken_out.line.replace('"', " ").replace("'", " ").split():
        need = read_need(word, file)
        if need is not None and need.name in {str(canonicalize_name(name)) for name in taken_out.packages}:
            yield need


def _bytes(folder: Path, name: str) -> int:
    places = [folder / name] if "*" not in name else list(folder.glob(name))
    files = (file for place in places for file in (place.rglob("*") if place.is_dir() else [place]))
    return sum(file.stat().st_size for file in files if file.is_file())


def _root_of(folder: Path, name: str) -> str | None:
    """The folder of the project in which a module lies, as PYTHONPATH has it; None where it has no such module."""
    for root in (".", SOURCE_ROOT):
        place = folder / root / name
        if place.with_suffix(".py").is_file() or any(place.glob("*.py")):
            return root
    return None


def _can_be_installed(folder: Path) -> bool:
    try:
        tables = frozenset(tomllib.loads((folder / "pyproject.toml").read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        tables = frozenset()
    return bool(tables & {"project", "build-system"}) or (folder / "setup.py").is_file()


def _package(
    name: str, axes: StartingAxes, needs: Mapping[str, ProjectNeed], *, floating: frozenset[str], of_one_time: bool
) -> str:
    """The entry of `packages:` for a distribution; empty where the axes bring it, or it has an address.

    A pin is taken over where the project pins the axis too (`of_one_time`): else it is of another time than most cells.
    """
    if name in axes.brings or any(name == axis for axis, _ in axes.packages):
        return ""
    need = needs.get(name)
    if need is None or name in floating:
        return name
    if need.address:
        return ""
    return f"{name}{need.versions}" if of_one_time or need.pin is None else name


def _pins_left_out(needs: Iterable[ProjectNeed]) -> Iterator[str]:
    for need in needs:
        if need.pin is not None and not need.address:
            yield f"- {need.name}{need.versions}     # so in {need.file}: is it for every version that is tried?"
