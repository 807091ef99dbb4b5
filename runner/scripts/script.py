"""Reads a script and the local modules that it imports into a `Script`, and copies that into a working directory.

Local is what Python itself would find beside the script (`sys.path[0]`); everything else comes from the environment.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.code_digest import code_digest
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_IMPORT_LINE = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
_MAX_FILES = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One source file, by its POSIX path relative to the matrix's folder."""

    path: str
    sha256: str
    code: str
    """The digest of what the source does: comments, docstrings and layout are not part of it."""
    rewritten: bytes | None = None
    """The source that runs in the file's place, which both digests are of; None where the file itself runs."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """The script and its local modules, as they stood when they were read."""

    folder: Path
    """The matrix's folder, which the paths are relative to; its image is the trial's working directory."""
    path: str
    files: tuple[SourceFile, ...]
    """The script first, then its local modules, sorted."""
    imports: frozenset[str]
    """Top-level names that are imported and not local."""
    diff: str = ""
    """The changes that rewriting made, as a unified diff of all files."""
    left_alone: tuple[str, ...] = ()
    """The uses of Keras that could not be rewritten, as `path:line: use (reason)`."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the paths of all files and what their sources do."""
        return _joined(f"{file.path} {file.code}" for file in self.files)

    @cached_property
    def bytes_digest(self) -> str:
        """SHA-256 over the paths and contents of all files, which the keys of version 0.1.0 hashed."""
        return _joined(f"{file.path} {file.sha256}" for file in self.files)


def read_script(folder: Path, path: str, installed: frozenset[str] = frozenset()) -> Script:
    """Read the script at `folder / path` with the local modules that it imports, directly or through one another.

    `installed` are the top-level names that come from the environment, though they may lie beside the script too.
    Raises UsageError where a file can't be read or the local packages hold more than 2,000 files.
    """
    beside = (folder / path).parent
    contents = {folder / path: _read(folder / path)}
    foreign: set[str] = set()
    todo = [folder / path]
    while todo:
        for name in imported_names(contents[todo.pop()]):
            found = [] if name in installed else list(_local_files(beside, name))
            if not found:
                foreign.add(name)
            for file in found:
                if file not in contents:
                    contents[file] = _read(file)
                    todo.append(file)
        if len(contents) > _MAX_FILES:
            raise UsageError(
                f"{path} imports local packages of more than {_MAX_FILES} files; give large folders as `data:` instead."
            )
    files = [_source_file(folder, file, content) for file, content in contents.items()]
    return Script(
        folder=folder, path=path, files=(files[0], *sorted(files[1:], key=lambda f: f.path)), imports=frozenset(foreign)
    )


def copy_script(script: Script, work: Path) -> None:
    """Copy the script and its modules, rewritten ones as they were rewritten, to the same places below `work`.

    Raises UsageError where a file has changed since it was read: the trial's key would no longer be true.
    """
    for file in script.files:
        target = work / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content_of(script, file))


def content_of(script: Script, file: SourceFile) -> bytes:
    """The bytes of a file as they run. Raises UsageError where it has changed since it was read."""
    content = _read(script.folder / file.path) if file.rewritten is None else file.rewritten
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UsageError(f"{file.path} changed while the matrix was running. Start the run again.")
    return content


def imported_names(source: bytes) -> frozenset[str]:
    """The top-level names that a source imports absolutely, lazy and conditional imports included."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # written for another Python: the lines are enough to go by
        return frozenset(match.group(1).decode().partition(".")[0] for match in _IMPORT_LINE.finditer(source))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names)


def _local_files(beside: Path, name: str) -> Iterator[Path]:
    """In Python's own order: a package, a module, then a folder without an `__init__.py`."""
    package, module = beside / name, beside / f"{name}.py"
    if module.is_file() and not (package / "__init__.py").is_file():
        yield module
    elif package.is_dir():
        yield from sorted(file for file in package.rglob("*.py") if file.is_file() and "__pycache__" not in file.parts)


def _joined(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _source_file(folder: Path, file: Path, content: bytes) -> SourceFile:
    return SourceFile(
        path=file.relative_to(folder).as_posix(),
        sha256=hashlib.sha256(content).hexdigest(),
        code=code_digest(content),
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}.") from error
