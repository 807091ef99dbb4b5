"""The files of a project that a source names: `open("data/train.csv")`, or a path put together of `__file__`."""

from __future__ import annotations

import ast
import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.scripts.search_path import inside_project, path_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.scripts.search_path import PathReader

_JOINING = frozenset({"join", "joinpath", "Path", "PurePath", "walk"})
_OF_FOLDERS = ("dir", "directory", "folder")
"""The ends of the names of functions that take a folder: `os.listdir`, `flow_from_directory`, `ImageFolder`."""
_OF_PATHS = (*_OF_FOLDERS, "path", "root")
"""The ends of the names of arguments that may be a folder: `hydra.main(config_path=…)`, which is beside the source."""
_LONGEST = 200
_NO_PATH = re.compile(r"[\x00-\x1f\\<>|\"]")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedFiles:
    """Files, folders and globs that a source names, by their POSIX paths in the project, sorted."""

    inside: tuple[str, ...] = ()
    """Those that it finds where they lie; none covers another."""
    moved: tuple[tuple[str, str], ...] = ()
    """Those that it looks for elsewhere: where each lies, and where it is looked for, from the project's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Name:
    """One text that may be a path."""

    text: str
    """Worked out to where it lies in the project where `placed`, else relative to a folder that is not known."""
    placed: bool = False
    is_folder: bool = False
    """True where a path begins with it, or a function takes folders: a single word may name one."""
    is_part: bool = False
    """True for a text in a path whose beginning is known only when it runs."""


def named_files(source: bytes, path: str, folder: Path, *, beside: str = "", start: str = "") -> NamedFiles:
    """The files of a project's `folder` that the source at `path` in it names.

    A text is looked up from the working directory (`start`), then from the folder of the script that runs (`beside`),
    in which its user may start it, then from the source's own. Python's files are left out.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return NamedFiles()
    found = _Found(folder=folder, path=path, beside=beside, start=start)
    try:
        for name in _names(tree, path_reader(tree, path, start)):
            found.take(name)
    except RecursionError:
        return NamedFiles()
    return NamedFiles(inside=tuple(sorted(_uncovered(found.inside))), moved=tuple(sorted(found.moved.items())))


def _names(node: ast.AST, reader: PathReader, *, is_part: bool = False) -> Iterator[_Name]:
    """The texts of an expression and of all that is in it; of a path that can be worked out, the whole alone."""
    pieces = _pieces(node)
    if isinstance(node, ast.keyword) and (node.arg or "").lower().endswith(_OF_PATHS) and _is_text(node.value):
        yield _Name(text="".join(_leading_texts([node.value])), is_folder=True, is_part=True)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _Name(text=node.value.lstrip("/") if is_part else node.value, is_part=is_part)
    elif not pieces and isinstance(node, ast.expr) and (place := inside_project(reader.together([node]) or "")):
        yield _Name(text=place, placed=True)
        return
    left = [*pieces, *_beside(node)] if pieces else list(ast.iter_child_nodes(node))
    if pieces:
        known = next((count for count in range(len(pieces), 0, -1) if reader.together(pieces[:count])), 0)
        if place := inside_project(reader.together(pieces[:known]) or ""):
            yield _Name(text=place, placed=True, is_folder=True)
            left = left[known:]
        else:
            yield _Name(text="/".join(_leading_texts(pieces)), is_folder=True, is_part=not _is_text(pieces[0]))
            left = left[len(pieces) if all(map(_is_text, pieces)) else 0 :]
    for child in left:
        yield from _names(child, reader, is_part=bool(pieces) or isinstance(node, ast.BinOp | ast.JoinedStr))


def _beside(node: ast.AST) -> list[ast.AST]:
    """What of a joined path, or of a call that takes a folder, is none of its parts."""
    return [node.func, *node.keywords] if isinstance(node, ast.Call) else []


def _pieces(node: ast.AST) -> list[ast.expr]:
    """The parts of a path that is joined, or the arguments of a function that takes a folder; empty for all else."""
    match node:
        case ast.BinOp(op=ast.Div()):
            return _divided(node)
        case ast.Call(func=ast.Attribute(value=own, attr="joinpath"), args=args):
            return [own, *args]
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=args) if (
            called in _JOINING or called.lower().endswith(_OF_FOLDERS)
        ):
            return list(args)
        case _:
            return []


def _divided(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return [*_divided(left), right]
        case _:
            return [node]


def _leading_texts(parts: list[ast.expr]) -> Iterator[str]:
    """The texts that a joined path has until the first part that is known only when it runs.

    What stands before the texts (`Path(__file__).parent`) is passed over.
    """
    begun = False
    for part in parts:
        text = part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None
        if text is None and isinstance(part, ast.Call) and len(part.args) == 1:
            inner = part.args[0]
            text = inner.value if isinstance(inner, ast.Constant) and isinstance(inner.value, str) else None
        if text is None and begun:
            return
        if text is not None:
            begun = True
            yield text


def _is_text(node: ast.expr) -> bool:
    return next(_leading_texts([node]), None) is not None


@dataclass(kw_only=True)
class _Found:
    """What of the named lies in the project."""

    folder: Path
    path: str
    beside: str
    start: str
    inside: dict[str, None] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)

    def take(self, name: _Name) -> None:
        """Look a name up, and keep where it lies."""
        if not 0 < len(name.text) <= _LONGEST or _NO_PATH.search(name.text) or name.text.startswith(("/", "~")):
            return
        if name.placed:
            self._keep(name.text, is_folder=name.is_folder)
            return
        sought = posixpath.normpath(posixpath.join(self.start, name.text))
        if not sought.startswith("../") and self._keep(sought, is_folder=name.is_folder):
            return
        own = posixpath.normpath(posixpath.join(self.beside, name.text))
        if self.beside != self.start and self._lies(own, is_folder=name.is_folder):
            self._move(own, sought)
            if name.is_part:
                self._keep(own, is_folder=name.is_folder)
            return
        near = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), name.text))
        for place in (near, sought):
            if self._keep(place, is_folder=name.is_folder):
                return

    def _keep(self, place: str, *, is_folder: bool) -> bool:
        there = self._lies(place, is_folder=is_folder)
        if there and place.startswith("../"):
            self._move(place, place)
        elif there:
            self.inside[place] = None
        return there

    def _move(self, lies: str, sought: str) -> None:
        if "*" in lies:
            lies, sought = posixpath.dirname(lies), posixpath.dirname(sought)
        if "*" not in lies and sought:
            self.moved[lies] = sought

    def _lies(self, place: str, *, is_folder: bool) -> bool:
        """True where a place is one of the project, or of the folder above it, and something to read is there."""
        path = PurePosixPath(place)
        inner = path.parts[1:] if place.startswith("../") else path.parts
        if not inner or ".." in inner or inner[0].startswith(".") or path.suffix == ".py":
            return False
        if f"{self.path}/".startswith(f"{place}/"):
            return False  # the folder of the source itself, or one above it
        try:
            there = _is_there(self.folder / path, is_folder=is_folder or "/" in place)
            return there or ("*" in place and _matches(self.folder, path))
        except (OSError, ValueError, NotImplementedError):  # a name that no file system takes, a glob that is none
            return False


def _is_there(place: Path, *, is_folder: bool) -> bool:
    return place.is_file() or (is_folder and place.is_dir() and _has_data(place))


def _matches(folder: Path, pattern: PurePosixPath) -> bool:
    return len(pattern.parts) > 1 and any(folder.glob(pattern.as_posix()))


def _has_data(folder: Path) -> bool:
    """True where a folder holds files that are neither sources nor hidden."""
    return any(
        not name.startswith(".") and not name.endswith((".py", ".pyc"))
        for _, _, names in os.walk(folder)
        for name in names
    )


def _uncovered(paths: dict[str, None]) -> Iterator[str]:
    yield from (path for path in paths if not any(path.startswith(f"{other}/") for other in paths))
