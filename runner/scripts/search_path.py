"""The folders of a project in which a source file has Python look for modules, as its lines on `sys.path` say it.

A line is worked out where it is made of `__file__`, the working directory and the functions that put paths together;
where it is not, every folder from the file's own up to the project's counts.
"""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PROJECT = "/project"
"""The project's folder while paths are worked out: what lies above it is not the project's."""
_SAME = frozenset({"str", "fspath", "Path", "PurePath", "PosixPath", "PurePosixPath", "as_posix", "expanduser"})
_ABSOLUTE = frozenset({"abspath", "realpath", "normpath", "resolve", "absolute"})
_WORKING = frozenset({"getcwd", "cwd"})
_FILE = frozenset({"getfile", "getsourcefile"})
_CONSTANTS = {"pardir": "..", "curdir": ".", "sep": "/"}


def search_folders(source: bytes, path: str, working: str = "") -> frozenset[str]:
    """The folders, by their POSIX path in the project ("" for its own), that the file at `path` adds to `sys.path`.

    `working` is the working directory in the project.
    """
    if b"sys" not in source and b"addsitedir" not in source:
        return frozenset()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return _folders_above(path) if b"sys.path" in source else frozenset()
    found: set[str] = set()
    try:
        reader = path_reader(tree, path, working)
        for node in _added(tree):
            value = reader.value(node)
            inside = None if value is None else inside_project(reader.absolute(value))
            found |= _folders_above(path) if value is None else set() if inside is None else {inside}
    except RecursionError:
        return _folders_above(path)
    return frozenset(found)


def path_reader(tree: ast.Module, path: str, working: str) -> PathReader:
    """Works out the paths in a source at `path` in its project, started in the folder `working` of it."""
    reader = PathReader(file=posixpath.join(_PROJECT, path), working=posixpath.normpath(f"{_PROJECT}/{working}"))
    reader.learn(tree)
    return reader


def inside_project(path: str) -> str | None:
    """A worked-out path relative to the project; None where it lies outside."""
    if path == _PROJECT:
        return ""
    return path.removeprefix(f"{_PROJECT}/") if path.startswith(f"{_PROJECT}/") else None


def relative_folders(entries: Iterable[str]) -> frozenset[str]:
    """The folders of the project that entries of PYTHONPATH, relative to the working directory, name."""
    inside = (inside_project(posixpath.normpath(posixpath.join(_PROJECT, entry))) for entry in entries if entry)
    return frozenset(folder for folder in inside if folder is not None)


def _folders_above(path: str) -> frozenset[str]:
    folders = path.split("/")[:-1]
    return frozenset("/".join(folders[:count]) for count in range(len(folders) + 1))


def _added(tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions whose values become entries of `sys.path`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=target, attr=name), args=args) if _is_path(target):
                yield from _entries_of_call(name, args)
            case ast.Call(func=ast.Attribute(attr="addsitedir") | ast.Name(id="addsitedir"), args=[entry, *_]):
                yield entry
            case ast.AugAssign(target=target, value=value) if _is_path(target):
                yield from _entries(value)
            case ast.Assign(targets=[target], value=value) if _is_path(target):
                yield from _entries(value)
            case ast.Assign(targets=[ast.Subscript(value=target)], value=value) if _is_path(target):
                yield from _entries(value)
            case _:
                pass


def _entries_of_call(name: str, args: list[ast.expr]) -> Iterator[ast.expr]:
    if name == "insert" and len(args) == 2:
        yield args[1]
    elif name == "append" and args:
        yield args[0]
    elif name == "extend" and args:
        yield from _entries(args[0])


def _entries(value: ast.expr) -> Iterator[ast.expr]:
    """The entries of a list, or of lists that are joined; what `sys.path` has already is none."""
    match value:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            yield from (item.value if isinstance(item, ast.Starred) else item for item in items if not _is_own(item))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _entries(left)
            yield from _entries(right)
        case _ if not _is_own(value):
            yield value
        case _:
            pass


def _is_own(node: ast.expr) -> bool:
    return any(isinstance(inner, ast.expr) and _is_path(inner) for inner in ast.walk(node))


def _is_path(node: ast.expr) -> bool:
    """True for `sys.path`."""
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
            return True
        case _:
            return False


@dataclass(kw_only=True)
class PathReader:
    """Works out the text of an expression that makes a path; None where it can't be."""

    file: str
    working: str
    known: dict[str, str | None] = field(default_factory=dict)
    """The values of names; None for one that can't be worked out, or has several."""

    def learn(self, tree: ast.Module) -> None:
        """Take up what names are given, in the order of the file."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, self.value(node.value)
                self.known[name] = value if self.known.get(name, value) == value else None

    def absolute(self, path: str) -> str:
        """A path from the root, without `..`."""
        return posixpath.normpath(posixpath.join(self.working, path))

    def together(self, nodes: list[ast.expr]) -> str | None:
        """The path that these parts make, joined; None where it is not known to lie somewhere in the project."""
        value = self._joined(nodes, lambda parts: posixpath.join(*parts))
        return None if value is None or not value.startswith(_PROJECT) else self.absolute(value)

    def value(self, node: ast.expr) -> str | None:
        """The text of an expression."""
        found: str | None = None
        match node:
            case ast.Constant(value=str(text)):
                found = text
            case ast.Name(id=name):
                found = self.file if name == "__file__" else self.known.get(name)
            case ast.JoinedStr() | ast.FormattedValue() | ast.BinOp():
                found = self._put_together(node)
            case ast.Attribute(value=inner, attr="parent"):
                found = self._above(inner, 1)
            case ast.Attribute(attr=name):
                found = _CONSTANTS.get(name)
            case ast.Subscript(value=inner, slice=ast.Constant(value=int(number))):
                found = self._item(inner, number)
            case ast.Call(func=function, args=args):
                found = self._called(function, args)
            case _:
                pass
        return found

    def _put_together(self, node: ast.expr) -> str | None:
        match node:
            case ast.JoinedStr(values=parts):
                return self._joined(parts, "".join)
            case ast.FormattedValue(value=inner, format_spec=None):
                return self.value(inner)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right], "".join)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined([left, right], lambda parts: posixpath.join(*parts))
            case _:
                return None

    def _item(self, node: ast.expr, number: int) -> str | None:
        match node:
            case ast.Attribute(value=inner, attr="parents"):
                return self._above(inner, number + 1)
            case ast.Attribute(value=ast.Name(id="sys"), attr="argv") if number == 0:
                return self.file
            case _ if _is_path(node) and number == 0:
                return posixpath.dirname(self.file)
            case _:
                return None

    def _called(self, function: ast.expr, args: list[ast.expr]) -> str | None:
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in _WORKING | _FILE:
            return self.working if name in _WORKING else self.file
        if name in {"join", "joinpath"} or (name in _SAME and len(args) > 1):
            own = [function.value] if name == "joinpath" and isinstance(function, ast.Attribute) else []
            return self._joined([*own, *args], lambda parts: posixpath.join(*parts))
        subject = args[0] if args else getattr(function, "value", None)
        if not isinstance(subject, ast.expr):
            return "." if name in _SAME else None
        if name == "dirname":
            return self._above(subject, 1)
        value = self.value(subject) if name in _SAME | _ABSOLUTE else None
        return self.absolute(value) if value is not None and name in _ABSOLUTE else value

    def _above(self, node: ast.expr, levels: int) -> str | None:
        value = self.value(node)
        for _ in range(levels if value is not None else 0):
            value = posixpath.dirname(value or "")
        return value

    def _joined(self, nodes: Iterable[ast.expr], join: Callable[[list[str]], str]) -> str | None:
        values = [self.value(node) for node in nodes]
        known = [value for value in values if value is not None]
        return join(known) if known and len(known) == len(values) else None
