"""What of the project a trial could not use: read from the exception that ended it, and from what lies in the project.

The exception is the script's, which may say anything: a path counts only where something lies there in the project.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.trials.record import FileTrouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.trials.record import ScriptException

_MISSING = re.compile(
    r"No such file|No file|Not ?found|does(?:n't| not) exist|can(?:'t|not| not) (?:find|open|load|read)|missing"
    r"|unable to (?:find|open|load|read)|errno ?=? ?2\b",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(r"\[Errno 30\]|[Ee]rrno[ =]*30\b|[Rr]ead-only file ?system")
_MODULE = re.compile(r"No module named '?([^\W\d][\w.]*)'?")
_QUOTED = re.compile(r"'([^'\n]{1,500})'|\"([^\"\n]{1,500})\"|`([^`\n]{1,500})`")
_WORD = re.compile(r"[^\s'\"`(),;=\[\]<>]{1,500}")
_MOST_PATHS = 50


@dataclass(frozen=True, kw_only=True)
class ProjectView:
    """A project as a trial saw it."""

    project: Path
    """The matrix's folder."""
    work: Path
    """The trial's copy, where this machine has it."""
    works: tuple[str, ...]
    """The places at which the trial may have seen its copy."""
    homes: tuple[str, ...]
    """The same of its HOME."""
    start: str
    """The folder that it started in, relative to the project."""
    searched: str
    """The folder that its imports are searched in first, relative to the project."""
    data: tuple[str, ...]
    """The targets of `data:`."""

    def inside(self, path: str) -> str | None:
        """A path as the trial named it, relative to the project; `~/…` in HOME; None for what is elsewhere."""
        for prefix in (*self.works, str(self.project)):
            if path.startswith(f"{prefix}/"):
                return _within(path[len(prefix) + 1 :])
        for prefix in self.homes:
            if path.startswith(f"{prefix}/"):
                return f"~/{posixpath.normpath(path[len(prefix) + 1 :])}"
        return None if path.startswith("/") else _within(posixpath.join(self.start, path))

    def lacks(self, path: str) -> bool:
        """True where the project has something at a path and the trial had not."""
        return _exists(self.project / path) and not _exists(self.work / path)


def file_trouble(exception: ScriptException | None, view: ProjectView) -> FileTrouble | None:
    """What of the project the exception shows that the trial lacked or could not write; None where it shows nothing."""
    if exception is None:
        return None
    chain = [line for line in exception.traceback.splitlines() if not line.startswith(" ")]
    text = "\n".join([f"{exception.type}: {exception.message}", *chain])
    if _READ_ONLY.search(text):
        return next((found for path in _paths(text) if (found := _unwritable(path, view))), None)
    if named := _MODULE.search(text):
        return _module(named[1], view)
    if _MISSING.search(text):
        return next((found for path in _paths(text) if (found := _missing(path, view))), None)
    return None


def _unwritable(path: str, view: ProjectView) -> FileTrouble | None:
    inside = view.inside(path) or ""
    target = next((one for one in view.data if inside == one or inside.startswith(f"{one}/")), None)
    return None if target is None else FileTrouble(sought=path, lies=target, trouble="read-only")


def _missing(path: str, view: ProjectView) -> FileTrouble | None:
    inside = view.inside(path)
    if inside is None or inside.startswith("~/"):
        return None
    elsewhere = _within(posixpath.join(view.searched, path)) if not path.startswith("/") else None
    sought = next((inside for one in view.works if path.startswith(f"{one}/")), path)
    for place in dict.fromkeys((inside, elsewhere)):
        if place and view.lacks(place):
            return FileTrouble(sought=sought, lies=place, trouble="not-given")
    if elsewhere and not _exists(view.work / inside) and _exists(view.work / elsewhere):
        return FileTrouble(sought=path, lies=elsewhere, trouble="elsewhere")
    return None


def _module(name: str, view: ProjectView) -> FileTrouble | None:
    """The module of a name, in reach or in a folder of the project that Python did not look in."""
    parts = name.split(".")
    path, top = "/".join(parts), parts[0]
    for ending in (f"{path}.py", f"{path}/__init__.py"):
        place = posixpath.join(view.searched, ending)
        if view.lacks(place):
            return FileTrouble(sought=name, lies=place, trouble="not-given")
    for folder in ("", *sorted(_folders(view.project))):
        for ending in (f"{top}.py", f"{top}/__init__.py"):
            place = posixpath.join(folder, ending)
            if folder != view.searched and _exists(view.project / place):
                return FileTrouble(sought=name, lies=place, trouble="not-reached")
    return None


def _folders(project: Path) -> Iterator[str]:
    try:
        yield from (one.name for one in project.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return


def _paths(text: str) -> Iterator[str]:
    """What may be a path in a message: what stands in quotes, then words that look like one; the first ones only."""
    quoted = [next(filter(None, found.groups())) for found in _QUOTED.finditer(text)]
    words = [word for found in _WORD.finditer(text) if "." in (word := found[0].rstrip(".:")) or "/" in word]
    yield from list(dict.fromkeys([*quoted, *words]))[:_MOST_PATHS]


def _within(path: str) -> str | None:
    """A path without `..` but in the folder above; None where it leads out of that or names a hidden place."""
    plain = posixpath.normpath(path)
    return None if plain.removeprefix("../").startswith(("/", ".")) else plain


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file system takes
        return False
