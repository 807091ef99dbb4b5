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

_JOINING = frozenset({"join", "joinpath", "Path", "PurePath"})
_LONGEST = 200
_NO_PATH = re.compile(r"[\x00-\x1f\\<>|\"]")


def named_files(source: bytes, folder: Path) -> tuple[str, ...]:
    """The files, folders with a slash at their end, and globs of the folder that texts of a source name, sorted.

    A single word is a folder only where it is the beginning of a path that is joined; sources of Python are left out.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(sorted({found for node in ast.walk(tree) for found in _named(node, folder)}))


def _named(node: ast.AST, folder: Path) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield from _found(text, folder, joined=False)
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=args) if called in _JOINING:
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
    if "*" in text:
        yield from [path.as_posix()] if "/" in text and any(folder.glob(path.as_posix())) else []
        return
    place = folder / path
    try:
        if place.is_file():
            yield path.as_posix()
        elif place.is_dir() and (joined or "/" in text) and _has_data(place):
            yield f"{path.as_posix()}/"
    except (OSError, ValueError):  # a name that no file system takes
        return


def _has_data(folder: Path) -> bool:
    """True where a folder holds files that are neither sources nor hidden."""
    return any(
        not name.startswith(".") and not name.endswith((".py", ".pyc"))
        for _, _, names in os.walk(folder)
        for name in names
    )
