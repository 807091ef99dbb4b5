"""Reads a script with all of its project that goes with it into a `Script`, and copies that into a working directory.

What goes with it: the local modules that it imports, directly or through one another, and what `files:` names. Local is
what Python itself would find in the project; everything else comes from the environment.
"""

from __future__ import annotations

import ast
import glob
import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner.code_digest import code_digest
from runner.errors import UsageError
from runner.scripts.search_path import relative_folders, search_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.scripts.notebook_source import NotebookSource, TakenOut

NOTEBOOK_ENDING = ".ipynb"
_IMPORT_LINE = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
_NAME = re.compile(r"[^\W\d][\w.]*")
_IMPORTING = frozenset({"import_module", "__import__"})
_MAX_FILES = 2000
_MAX_FILES_BYTES = 256 * 1024**2
"""The most that the files of `files:` may have together: every trial gets a copy of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file of the project, by its POSIX path relative to the matrix's folder."""

    path: str
    sha256: str
    code: str
    """The digest of what a Python source does: comments, docstrings and layout are not part of it. Of other files that
    of their bytes."""
    rewritten: bytes | None = None
    """The source that runs in the file's place, which both digests are of; None where the file itself runs."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """The script, its local modules and the files that go with it, as they stood when they were read."""

    folder: Path
    """The matrix's folder, which the paths are relative to; its image is the trial's working directory."""
    path: str
    files: tuple[SourceFile, ...]
    """The script first, then the others, sorted."""
    imports: frozenset[str]
    """Top-level names that are imported and not local."""
    diff: str = ""
    """The changes that rewriting made, as a unified diff of all files."""
    has_other_backend: bool = False
    """True where it chooses a backend of Keras itself, in whose place that of the cell was put."""
    left_alone: tuple[str, ...] = ()
    """The uses of Keras that could not be rewritten, as `path:line: use (reason)`."""
    taken_out: tuple[TakenOut, ...] = ()
    """The lines of a notebook that install something."""

    @property
    def sources(self) -> tuple[SourceFile, ...]:
        """The files that are Python: the script and its modules."""
        return tuple(file for file in self.files if file.path == self.path or file.path.endswith(".py"))

    def in_cells(self, text: str) -> str:
        """A text with the places in the script told by cell and line where it is a notebook."""
        if not self.is_notebook:
            return text
        from runner.scripts.notebook_source import in_cells  # noqa: PLC0415 - most scripts are no notebook

        return in_cells(text, self._cells, self.path)

    def place(self, file: str, line: int) -> str:
        """`train.py:12`; in a notebook the cell and the line in it."""
        cell = self.cell_of(file, line)
        return f"{file}, cell {cell[0]}, line {cell[1]}" if cell else f"{file}:{line}"

    def cell_of(self, file: str | None, line: int) -> tuple[int, int] | None:
        """The cell, and the line in it, of a line of what runs; None where the file is no notebook."""
        if not self.is_notebook or file != self.path:
            return None
        from runner.scripts.notebook_source import cell_of  # noqa: PLC0415 - as above

        return cell_of(self._cells, line)

    @property
    def _cells(self) -> str:
        return (self.files[0].rewritten or b"").decode()

    @property
    def is_notebook(self) -> bool:
        """True where the script is a notebook, of which a source runs that was made of its cells."""
        return self.path.endswith(NOTEBOOK_ENDING)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the paths of all files and what their sources do."""
        return _joined(f"{file.path} {file.code}" for file in self.files)

    @cached_property
    def bytes_digest(self) -> str:
        """SHA-256 over the paths and contents of all files, which the keys of version 0.1.0 hashed."""
        return _joined(f"{file.path} {file.sha256}" for file in self.files)


def read_script(
    folder: Path,
    path: str,
    *,
    module: str = "",
    files: Sequence[str] = (),
    pythonpath: str = "",
    installed: frozenset[str] = frozenset(),
) -> Script:
    """Read the script at `folder / path` with all that goes with it.

    A `module` is what the file runs as (`python -m`); `files` are globs of the project, and `pythonpath` is the
    variable as the trial has it. `installed` are top-level names that come from the environment, though they may lie
    in the project too. Raises UsageError where a file can't be read or there is too much.
    """
    beside = "" if module else path.rpartition("/")[0]
    notebook = _read_notebook(folder, path) if path.endswith(NOTEBOOK_ENDING) else None
    reader = _ProjectReader(folder=folder, path=path, notebook=notebook, installed=installed)
    reader.search({beside, *relative_folders(pythonpath.split(os.pathsep))})
    reader.take(folder / path)
    if "." in module:
        reader.look_for(module.partition(".")[0])
    others = list(_matching(folder, files))
    for file in others:
        if file.suffix == ".py":
            reader.take(file)
    found = [_source_file(folder, file, content) for file, content in reader.contents.items()]
    if notebook:
        found[0] = replace(found[0], rewritten=notebook.source)
    found += [_other_file(folder, file) for file in others if file not in reader.contents]
    return Script(
        folder=folder,
        path=path,
        files=(found[0], *sorted(found[1:], key=lambda file: file.path)),
        imports=frozenset(name for name in reader.names if not reader.is_local(name)),
        taken_out=notebook.taken_out if notebook else (),
    )


def _read_notebook(folder: Path, path: str) -> NotebookSource:
    from runner.scripts.notebook_source import notebook_source  # noqa: PLC0415 - as above

    return notebook_source(_read(folder / path), path)


@dataclass(kw_only=True)
class _ProjectReader:
    """Reads sources of a project one through another: what each imports, and where it has Python look."""

    folder: Path
    path: str
    notebook: NotebookSource | None
    """The source of the script where it is a notebook."""
    installed: frozenset[str]
    contents: dict[Path, bytes] = field(default_factory=dict)
    """The sources by path, the script first."""
    names: dict[str, None] = field(default_factory=dict)
    """The top-level names that are imported."""
    _folders: dict[str, None] = field(default_factory=dict)
    _local: set[str] = field(default_factory=set)

    def is_local(self, name: str) -> bool:
        """True where the project has a module of this name that can be reached."""
        return name in self._local

    def take(self, file: Path) -> None:
        """Read a source and all that it brings with it."""
        if file in self.contents:
            return
        own = self.notebook is not None and not self.contents
        content = self.contents[file] = self.notebook.source if self.notebook and own else _read(file)
        if len(self.contents) > _MAX_FILES:
            raise UsageError(
                f"{self.path} imports local packages of more than {_MAX_FILES} files; give large folders as `data:` "
                "instead."
            )
        path = file.relative_to(self.folder).as_posix()
        self.search(search_folders(content, path, self.path.rpartition("/")[0] if self.notebook else ""))
        for name in imported_names(content):
            self.look_for(name)

    def search(self, folders: Iterable[str]) -> None:
        """Look for modules in these folders of the project too."""
        for folder in sorted(set(folders) - self._folders.keys()):
            self._folders[folder] = None
            for name in sorted(self.names.keys() - self.installed):
                self._look_in(folder, name)

    def look_for(self, name: str) -> None:
        """Take the module of this top-level name from every folder that has one."""
        if name not in self.names:
            self.names[name] = None
            for folder in list(self._folders) if name not in self.installed else ():
                self._look_in(folder, name)

    def _look_in(self, folder: str, name: str) -> None:
        for file in list(_local_files(self.folder / folder, name)):
            self._local.add(name)
            self.take(file)


def copy_script(script: Script, work: Path) -> None:
    """Copy the script and all that goes with it, rewritten files as they were rewritten, to the same places in `work`.

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
    """The top-level names that a source imports absolutely; lazy and conditional imports, and calls that import."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # written for another Python: the lines are enough to go by
        return frozenset(match.group(1).decode().partition(".")[0] for match in _IMPORT_LINE.finditer(source))
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name.partition(".")[0] for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
            case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=[ast.Constant(value=name), *_]):
                if called in _IMPORTING and isinstance(name, str) and _NAME.fullmatch(name):
                    names.add(name.partition(".")[0])
            case _:
                pass
    return frozenset(names)


def imports_relatively(source: bytes) -> bool:
    """True where a source has an import such as `from . import data`: it runs only as a module of its package."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in ast.walk(tree))


def _local_files(beside: Path, name: str) -> Iterator[Path]:
    """In Python's own order: a package, a module, then a folder without an `__init__.py`."""
    package, module = beside / name, beside / f"{name}.py"
    if module.is_file() and not (package / "__init__.py").is_file():
        yield module
    elif package.is_dir():
        yield from sorted(file for file in package.rglob("*.py") if file.is_file() and "__pycache__" not in file.parts)


def _matching(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """The files that globs of the project name, each once; of a folder all files in it that are not hidden.

    Raises UsageError where they are too many bytes.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True)):  # noqa: PTH207 - `*` takes no hidden one
            place = folder / name
            found.update(dict.fromkeys(_files_in(place) if place.is_dir() else [place]))
    total = sum(file.stat().st_size for file in found)
    if total > _MAX_FILES_BYTES:
        raise UsageError(
            f"The files of `files:` have {total / 1024**2:.0f} MB; {_MAX_FILES_BYTES // 1024**2} are the most, since "
            "every trial gets a copy of its own. Give large ones as `data:`."
        )
    return iter(found)


def _files_in(folder: Path) -> Iterator[Path]:
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(inner, name) for name in sorted(names) if not name.startswith("."))


def _joined(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _source_file(folder: Path, file: Path, content: bytes) -> SourceFile:
    return SourceFile(
        path=file.relative_to(folder).as_posix(),
        sha256=hashlib.sha256(content).hexdigest(),
        code=code_digest(content),
    )


def _other_file(folder: Path, file: Path) -> SourceFile:
    digest = hashlib.sha256(_read(file)).hexdigest()
    return SourceFile(path=file.relative_to(folder).as_posix(), sha256=digest, code=digest)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}.") from error
