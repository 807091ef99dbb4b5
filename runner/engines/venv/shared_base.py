"""The base of environments, installed once: an environment of its own whose packages appear in those that stand on it.

A package's own folder, every folder with shared libraries in it or below it, and the files there are made anew (folders)
or are hard links: a library finds its neighbours by the real path of its folder. What lies deeper is a symlink to the
base's folder. How each of them comes is looked up once and kept with the base.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

_GRAFTS = "grafts.json"
_DEEP = 5
"""A folder's depth below the environment from which on it is linked as a whole: those in lib/pythonX/site-packages/PACKAGE."""
_LIBRARY = re.compile(r"\.(so|dylib)(\.|-|$)")


def prepare(base: Path) -> None:
    """Note in a base, before it is write-protected, how each of its files and folders comes to others."""
    seen = _seen(str(base), "", 0)
    (base / _GRAFTS).write_text(json.dumps({"grafts": seen.grafts, "linked_bytes": seen.linked_bytes}), "utf-8")


def linked_bytes(base: Path) -> int:
    """The size of the folders of a base that others link as wholes."""
    return int(json.loads((base / _GRAFTS).read_text("utf-8"))["linked_bytes"])


def graft(base: Path, folder: Path) -> None:
    """Have all packages of a base in an environment; what it has itself stays."""
    for kind, path in json.loads((base / _GRAFTS).read_text("utf-8"))["grafts"]:
        source, target = f"{base}/{path}", f"{folder}/{path}"
        try:
            if kind == "made":
                os.mkdir(target)  # noqa: PTH102 - strings, since there are thousands
            elif kind == "file":
                link(source, target)
            else:
                os.symlink(os.path.relpath(source, Path(target).parent), target)
        except FileExistsError:
            if kind == "folder":
                _fill(source, target)


def link(source: str | Path, target: str | Path) -> None:
    """Link a file, or copy it where it has as many links as it can have."""
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        shutil.copy2(source, target)


@dataclass(kw_only=True, slots=True)
class _Seen:
    """What was seen in a folder and below it."""

    grafts: list[tuple[str, str]] = field(default_factory=list)
    """How each file and folder comes to others ("made", "file", "folder"), and its path below the base."""
    size_bytes: int = 0
    linked_bytes: int = 0
    has_library: bool = False


def _seen(folder: str, below: str, depth: int) -> _Seen:
    seen = _Seen(grafts=[("made", below)] if below else [])
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                inner = _seen(entry.path, path, depth + 1)
                seen.grafts += inner.grafts
                seen.size_bytes += inner.size_bytes
                seen.linked_bytes += inner.linked_bytes
                seen.has_library |= inner.has_library
            else:
                seen.grafts.append(("file", path))
                seen.size_bytes += entry.stat(follow_symlinks=False).st_size
                seen.has_library |= _LIBRARY.search(entry.name) is not None
    if depth >= _DEEP and not seen.has_library:
        return replace(seen, grafts=[("folder", below)], linked_bytes=seen.size_bytes)
    return seen


def _fill(source: str, target: str) -> None:
    """Link the files of a folder, at any depth, into one that two layers have."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                with suppress(FileExistsError):
                    os.mkdir(place)  # noqa: PTH102
                _fill(entry.path, place)
            else:
                with suppress(FileExistsError):
                    link(entry.path, place)
