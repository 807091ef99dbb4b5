"""The files of a project that a source names in its texts: `open("data/train.csv")` names `data/train.csv`."""

from __future__ import annotations

import ast
import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_JOINING = frozenset({"join", "joinpath", "Path", "PurePath", "walk"})
_OF_FOLDERS = ("dir", "directory", "folder")
"""The ends of the names of functions that take a folder: `os.listdir`, `flow_from_directory`, `ImageFolder`."""
_LONGEST = 200
_NO_PATH = re.compile(r"[\x00-\x1f\\<>|\"]")


def named_files(source: bytes, folder: Path) -> tuple[str, ...]:
    """The files, folders and globs of a folder that texts of a source name, sorted; nothing that another one covers.

    A single word is a folder only where a path begins with it or a function takes folders. Python's files are left out.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    nodes = list(ast.walk(tree))
    longer = {id(node.left) for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)}
    found = {path for node in nodes if id(node) not in longer for path in _named(node, folder)}
    return tuple(sorted(path for path in found if not any(path.startswith(f"{other}/") for other in found)))


def _named(node: ast.AST, folder: Path) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield from _found(text, folder, joined=False)
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=args) if (
            called in _JOINING or called.lower().endswith(_OF_FOLDERS)
        ):
            yield from _found("/".join(_leading_texts(args)), folder, joined=True)
        case ast.BinOp(op=ast.Div()):
            yield from _found("/".join(_leading_texts(_divided(node))), folder, joined=True)
        case _:
            pass


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


def _divided(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return [*_divided(left), right]
        case _:
            return [node]


def _found(text: str, folder: Path, *, joined: bool) -> Iterator[str]:
    if not 0 < len(text) <= _LONGEST or _NO_PATH.search(text) or text.startswith(("/", "~")):
        return
    path = PurePosixPath(text)
    if ".." in path.parts or not path.parts or path.parts[0].startswith(".") or path.suffix == ".py":
        return
    try:
        if _is_there(folder / path, is_folder=joined or "/" in text) or ("*" in text and _matches(folder, path)):
            yield path.as_posix()
    except (OSError, ValueError, NotImplementedError):  # a name that no file system takes, a glob that is none
        return


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
