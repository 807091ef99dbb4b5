"""The section `requirements:`: requirements files, `pyproject.toml` and the pip part of an `environment.yml`.

What one of them says of a package that is an axis is left to the axis, with a note. What can't be locked as of a date
(an address, a path, a repository) is a mistake at its own line.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from runner.errors import MatrixError, Mistake, UsageError
from runner.matrix.axes import SAME_FILES, axis_name
from runner.matrix.declaration import RequirementsSection
from runner.matrix.mistakes import Mistakes, Position, RefusedError, nearest, quoted
from runner.matrix.model import Requirement
from runner.matrix.nodes import Entries, Items, Text, compose, read_text
from runner.matrix.packages import parsed_requirement, read_conditions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.matrix.axis_reader import AxisReader

_NAMED = re.compile(r"^(?P<file>[^\[\]]+?)\s*(?:\[(?P<extras>[^\[\]]*)\])?$")
_OTHER_FILE = re.compile(r"^(?P<option>-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=^-[rc]))(?P<path>.+)$")
_HASH = re.compile(r"^--hash[=\s]\s*(?P<hash>[a-z0-9]+:[0-9a-f]+)$")
_FOLDER = re.compile(r"^(?:(?:-e|--editable)[=\s]\s*)?(?P<path>\.[^\[\s]*)(?:\[[^\[\]]*\])?$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_REPOSITORY = re.compile(r"^(?:[\w.\[\],-]+\s*@\s*)?(?:git|hg|svn|bzr)\+")
_PATH = re.compile(r"^(?:\.{0,2}/|\.{1,2}$|~|file:|https?://)|\.(?:whl|zip|tar\.gz)$|^[^@;<>=!~\[ ]+/")
_ELSEWHERE = {
    "-e": "publish it, or install the matrix's own project: experiment: {install: .}",
    "-i": "the package index is set in UV_DEFAULT_INDEX, a further one under indexes:",
    "-f": "name its files under packages: (./wheels/x.whl), or an index under indexes:",
}
_LONG = {
    "--editable": "-e",
    "--index-url": "-i",
    "--extra-index-url": "-i",
    "--find-links": "-f",
}


def axis_of(name: str, axes: Collection[str]) -> str | None:
    """The axis that decides on a package: its own, or that of a package with the same files (tensorflow-gpu)."""
    return next((one for one in (name, *SAME_FILES.get(name, ())) if one in axes), None)


@dataclass(kw_only=True)
class RequirementFiles:
    """Reads the files of `requirements:`; `notes` says what was left to an axis or not taken."""

    reader: AxisReader
    axes: Collection[str]
    own: Path | None = None
    """The project that is installed anyway: `-e .` means it."""
    notes: dict[str, None] = field(default_factory=dict)

    def read(self, entries: Iterable[Text | RequirementsSection]) -> tuple[Requirement, ...]:
        """The requirements of all files, none twice; mistakes are noted."""
        found: dict[Requirement, None] = {}
        for entry in entries:
            section = RequirementsSection(file=entry) if isinstance(entry, Text) else entry
            when = read_conditions(section.when, self.reader)
            try:
                lines = self._lines(section.file, section.extras, section.groups)
            except RefusedError as error:
                self.reader.mistakes.refuse(error, section.file.position, "requirements")
                continue
            found.update(dict.fromkeys(Requirement(text=line, when=when) for line in lines))
        return tuple(found)

    def _lines(self, named: Text, extras: tuple[Text, ...], groups: tuple[Text, ...]) -> list[str]:
        written = _NAMED.match(named)
        if written is None:
            raise RefusedError(f"{quoted(named)} names no file", "such as requirements.txt, or pyproject.toml[train]")
        path = self.reader.folder / written["file"]
        wanted = [*extras, *(part for part in re.split(r"[,\s]+", written["extras"] or "") if part)]
        if (wanted or groups) and path.suffix != ".toml":
            raise RefusedError(f"{quoted(named)} has neither extras nor groups", "only a pyproject.toml has")
        source = _Source(path=path, files=self)
        text = source.text(named)
        if text is None:
            return []
        if path.suffix == ".toml":
            return list(_Project(source, text).lines(wanted, groups))
        if path.suffix in {".yml", ".yaml"}:
            return list(source.environment(text))
        return list(source.requirements(text, constraint=False))


@dataclass(kw_only=True)
class _Source:
    """One file, with the files that it was named by."""

    path: Path
    files: RequirementFiles
    above: tuple[Path, ...] = ()

    @property
    def shown(self) -> Path:
        """The path as messages call it: from the matrix's folder where it lies there."""
        return (
            self.path.relative_to(folder) if self.path.is_relative_to(folder := self.files.reader.folder) else self.path
        )

    def text(self, named: Text | None = None) -> str | None:
        """The content; None, with the mistake noted, where it can't be read. `named` is where the matrix names it."""
        try:
            return read_text(self.path)
        except MatrixError as error:
            self.files.reader.mistakes.join(error.mistakes)
        except UsageError as error:
            raise RefusedError(str(error).rstrip("."), position=named.position if named is not None else None) from None
        return None

    def mistake(self, line: int, error: RefusedError) -> None:
        """Note a mistake of this file."""
        place = error.position or Position(line=line, column=1)
        found = Mistake(file=self.path, line=place.line, column=place.column, message=error.message, hint=error.hint)
        self.files.reader.mistakes.join([found])

    def note(self, line: int, text: str) -> None:
        """Keep what a user should know of a line."""
        self.files.notes[f"{self.shown}:{line}: {text}"] = None

    def requirements(self, text: str, *, constraint: bool) -> Iterator[str]:
        """The lines of a requirements file as the resolver's side takes them."""
        for number, line in _logical(text):
            yield from self.line(number, line, constraint=constraint)

    def line(self, number: int, line: str, *, constraint: bool) -> Iterator[str]:
        """What one line comes to: itself, the lines of the file that it names, or nothing."""
        try:
            if other := _OTHER_FILE.match(line):
                is_constraint = constraint or other["option"] in {"-c", "--constraint"}
                yield from self._other(other["path"].strip().strip("\"'"), constraint=is_constraint)
            elif line != "--require-hashes" and not self._is_own(line):
                yield from self.requirement(number, line, constraint=constraint)
        except RefusedError as error:
            self.mistake(number, error)

    def _is_own(self, line: str) -> bool:
        """True for a line that asks for the project that is installed anyway."""
        own, asked = self.files.own, _FOLDER.match(line)
        return own is not None and asked is not None and _real(self.path.parent / asked["path"]) == own.resolve()

    def _other(self, name: str, *, constraint: bool) -> Iterator[str]:
        if "://" in name:
            raise RefusedError(f"{quoted(name)} is an address", "keep a copy of the file in the project")
        above = (*self.above, self.path.resolve())
        path = self.path.parent / name
        if _real(path) in above:
            raise RefusedError(f"{quoted(name)} leads back to this file")
        other = _Source(path=path, files=self.files, above=above)
        text = other.text()
        yield from other.requirements(text, constraint=constraint) if text is not None else ()

    def requirement(self, number: int, line: str, *, constraint: bool = False) -> Iterator[str]:
        """One requirement, canonical, with its hashes; nothing where an axis decides on the package."""
        text, *options = re.split(r"\s+(?=--)", line)
        _refuse_unlockable(text)
        requirement = parsed_requirement(text)
        requirement.name = axis_name(requirement.name)
        axis = axis_of(requirement.name, self.files.axes)
        if axis is not None:
            self.note(number, f"{text} is left to the axis {axis}")
            return
        if requirement.url:
            raise RefusedError(f"{quoted(text)} is an address", "name a release of the package index")
        hashes = [_hash(option) for option in options]
        usable = sorted(one for one in hashes if one.startswith("sha256:"))
        if hashes and not usable:
            raise RefusedError(f"{quoted(requirement.name)} has no hash of the kind sha256", "add one")
        yield " ".join([*(["-c"] if constraint else []), str(requirement), *(f"--hash={one}" for one in usable)])

    def environment(self, text: str) -> Iterator[str]:
        """The pip part of a conda environment."""
        inner = Mistakes(self.path)
        try:
            tree = compose(text, inner)
        except MatrixError as error:
            self.files.reader.mistakes.join(error.mistakes)
            return
        self.files.reader.mistakes.join(inner.found)
        dependencies = tree.get(Text("dependencies")) if isinstance(tree, Entries) else None
        others = []
        for entry in dependencies if isinstance(dependencies, Items) else ():
            if isinstance(entry, Entries):
                for line in _pip_lines(entry):
                    yield from self.line(line.position.line, line.strip(), constraint=False)
            elif isinstance(entry, Text):
                others.append(entry)
        if others:
            names = ", ".join(re.split(r"[=<>! ]", one, maxsplit=1)[0] for one in others)
            self.note(others[0].position.line, f"only the pip part is taken: conda's own packages are not ({names})")


def _real(path: Path) -> Path:
    """The path without links, as the system finds it. Raises RefusedError for what no path can be."""
    try:
        return path.resolve()
    except (ValueError, OSError, RuntimeError):  # a NUL; a link that leads to itself
        raise RefusedError(f"{quoted(str(path))} can't be found") from None


def _pip_lines(entry: Entries) -> Iterator[Text]:
    pip = entry.get(Text("pip"))
    yield from (line for line in pip if isinstance(line, Text)) if isinstance(pip, Items) else ()


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines without comments, each with the number of its first one; those that end with a backslash are joined."""
    begun: list[str] = []
    first = 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if begun else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun.append(line[:-1])
            continue
        whole = _COMMENT.sub("", " ".join([*begun, line])).strip()
        begun = []
        if whole:
            yield first, whole


def _refuse_unlockable(text: str) -> None:
    if text.startswith("-"):
        word = re.split(r"[=\s]", text, maxsplit=1)[0]
        short = _LONG.get(word, word[:2])
        raise RefusedError(
            f"{quoted(without_secret(text))} is an option of pip that has no meaning here",
            _ELSEWHERE.get(short, "leave it out: the runner's own settings go to the resolver"),
        )
    if _REPOSITORY.match(text):
        raise RefusedError(f"{quoted(without_secret(text))} is a repository", "name a release of the package index")
    if _PATH.search(text) and "@" not in text.partition("/")[0]:
        hint = "a wheel goes under packages: (./wheels/x.whl), the project itself under experiment: {install: .}"
        raise RefusedError(f"{quoted(without_secret(text))} is an address or a path", hint)


def without_secret(text: str) -> str:
    """A text that may hold addresses, without the credentials in them."""
    return re.sub(r"(\w://)[^/@\s]*@", r"\1", text)


def _hash(option: str) -> str:
    found = _HASH.match(option)
    if found is None:
        raise RefusedError(
            f"{quoted(option)} is an option that has no meaning here", "only --hash has, after a package"
        )
    return found["hash"]


class _Project:
    """The dependencies of a `pyproject.toml`, with the extras and groups that are asked for."""

    def __init__(self, source: _Source, text: str) -> None:
        self._source = source
        self._text = text.splitlines()
        try:
            self._data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            position = Position(line=int(place[1]), column=int(place[2])) if place else Position(line=1, column=1)
            source.mistake(position.line, RefusedError(str(error).partition(" (at")[0], position=position))
            self._data = {"project": {}}
        except (ValueError, RecursionError):
            source.mistake(1, RefusedError("a number is too long, or values are nested too deep"))
            self._data = {"project": {}}

    def lines(self, extras: Iterable[str], groups: Iterable[str]) -> Iterator[str]:
        """Its dependencies, those of the extras, those of the groups."""
        if "project" not in self._data and not groups:
            hint = "experiment: {install: .} asks its own build backend"
            raise RefusedError(f"{self._source.shown} has no [project] with dependencies", hint)
        project = _table(self._data, "project")
        dynamic = _texts(project, "dynamic")
        if "dependencies" in dynamic or (extras and "optional-dependencies" in dynamic):
            hint = "experiment: {install: .} asks it"
            raise RefusedError(f"{self._source.shown} leaves its dependencies to its build backend", hint)
        yield from self._taken(_texts(project, "dependencies"))
        own, optional = str(canonicalize_name(str(project.get("name", "")))), _table(project, "optional-dependencies")
        known = {str(canonicalize_name(name)): _texts(optional, name) for name in optional}
        yield from self._taken(_of_extras(extras, own, known))
        written = _table(self._data, "dependency-groups")
        members = {str(canonicalize_name(name)): _list(written, name) for name in written}
        for group in groups:
            yield from self._taken(_of_group(group, members, ()))

    def _taken(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            number = next((number for number, line in enumerate(self._text, 1) if text in line), 1)
            try:
                yield from self._source.requirement(number, text)
            except RefusedError as error:
                self._source.mistake(number, error)


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of the file, empty where it is not there. Raises RefusedError where it is something else."""
    found = data.get(name, {})
    if not isinstance(found, dict):
        raise RefusedError(f"{quoted(name)} is no table")
    return found


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    """A list of the file, empty where it is not there. Raises RefusedError where it is something else."""
    found = data.get(name, [])
    if not isinstance(found, list):
        raise RefusedError(f"{quoted(name)} is no list")
    return found


def _texts(data: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts. Raises RefusedError where it is something else."""
    found = _list(data, name)
    if not all(isinstance(one, str) for one in found):
        raise RefusedError(f"{quoted(name)} is no list of texts")
    return found


def _of_extras(extras: Iterable[str], own: str, known: Mapping[str, list[str]]) -> Iterator[str]:
    """The requirements of extras, those that an extra takes from another one (`mine[other]`) included."""
    waiting = list(extras)
    seen: set[str] = set()
    while waiting:
        name = canonicalize_name(waiting.pop(0))
        if name not in known:
            raise RefusedError(f"there is no extra {quoted(name)}", nearest(name, known))
        for text in known[name] if name not in seen else ():
            requirement = parsed_requirement(text)
            if own and canonicalize_name(requirement.name) == own:
                waiting += sorted(requirement.extras)
            else:
                yield text
        seen.add(name)


def _of_group(group: str, known: Mapping[str, list[Any]], above: tuple[str, ...]) -> Iterator[str]:
    """The requirements of a dependency group, those of the groups that it includes too."""
    name = canonicalize_name(group)
    if name in above:
        raise RefusedError(f"the dependency group {quoted(name)} includes itself")
    if name not in known:
        raise RefusedError(f"there is no dependency group {quoted(group)}", nearest(name, known))
    for entry in known[name]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict) and "include-group" in entry:
            yield from _of_group(str(entry["include-group"]), known, (*above, name))
