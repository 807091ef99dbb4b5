"""Wheel files of the project: named by their own hash, kept with the files of the index, offered to the resolver.

One of a pinned package stands in for that release of the index, whose time it takes over.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from runner.environments.file_store import keep, present, stored
from runner.environments.index.project import IndexFile, Release
from runner.environments.target import rank
from runner.environments.times import UNDATED
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from runner.environments.index.project import Project

_LINE = re.compile(r"^(?P<name>[a-z0-9-]+) @ (?P<path>\S+\.whl)#sha256=(?P<sha256>[0-9a-f]{64})$")


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalWheel:
    """One wheel file of the project."""

    name: str
    version: str
    path: str
    """Relative to the matrix's folder."""
    sha256: str

    @property
    def filename(self) -> str:
        """The name, which says what it fits."""
        return self.path.rpartition("/")[2]

    @property
    def file(self) -> Path:
        """Where it is kept. Raises UsageError where it no longer is."""
        file = stored(self.sha256)
        if file is None:
            raise UsageError(f"packages: {self.path} is not in the cache any more. Run again.")
        return file

    @property
    def made(self) -> datetime:
        """When it was made, as its newest member says; `UNDATED` for one whose build keeps no times."""
        with zipfile.ZipFile(self.file) as archive:
            newest = max(member.date_time for member in archive.infolist())
        return max(datetime(*newest[:3], tzinfo=UTC), UNDATED)

    def offer(self, folder: Path) -> None:
        """Put what a resolver must know of it into a folder: a wheel of this name with nothing but its metadata."""
        with zipfile.ZipFile(self.file) as whole, zipfile.ZipFile(folder / self.filename, "w") as stub:
            for member in whole.namelist():
                if member.endswith((".dist-info/METADATA", ".dist-info/WHEEL")):
                    stub.writestr(zipfile.ZipInfo(member), whole.read(member))


def local_wheel(line: str) -> LocalWheel | None:
    """The wheel that a line of an environment's packages names; None for another requirement."""
    found = _LINE.match(line)
    if found is None:
        return None
    _, version, _, _ = parse_wheel_filename(found["path"].rpartition("/")[2])
    return LocalWheel(name=found["name"], version=str(version), path=found["path"], sha256=found["sha256"])


def keep_wheels(lines: Iterable[str], folder: Path) -> None:
    """Have the wheels that lines name, relative to a folder, among the files of the cache.

    Raises UsageError where one is not what it was, MachineError where the disk is full.
    """
    for wheel in filter(None, map(local_wheel, lines)):
        if present(wheel.sha256) is None:
            keep(folder / wheel.path, wheel.sha256)


def release_of(wheels: Iterable[LocalWheel], name: str, version: str, project: Project | None) -> Release | None:
    """The wheels of a package that are a release or a build of it (`2.1.0+cpu` of 2.1.0); None where there are none.

    They are of the time at which the index has that release, else of that at which they were made.
    """
    own = [wheel for wheel in wheels if wheel.name == name and _is_build(wheel.version, version)]
    if not own:
        return None
    newest = max(Version(wheel.version) for wheel in own)
    known = project.release(newest.public) if project else None
    files = (
        IndexFile(
            filename=wheel.filename,
            url="",
            sha256=wheel.sha256,
            uploaded=known.uploaded if known else wheel.made,
        )
        for wheel in own
        if Version(wheel.version) == newest
    )
    return Release(version=newest, files=tuple(files))


def _is_build(version: str, wanted: str) -> bool:
    return Version(wanted) in {Version(version), Version(Version(version).public)}


def fitting(wheels: Iterable[LocalWheel], python: str, machine: str) -> tuple[LocalWheel, ...] | None:
    """The best wheel of each name for a CPython, by name; None where one has none that fits."""
    best: dict[str, LocalWheel | None] = {}
    for wheel in wheels:
        best.setdefault(wheel.name, None)
        fits = rank(wheel.filename, python, machine)
        known = best[wheel.name]
        if fits is not None and (known is None or fits < (rank(known.filename, python, machine) or 0)):
            best[wheel.name] = wheel
    chosen = tuple(wheel for _, wheel in sorted(best.items()) if wheel is not None)
    return chosen if len(chosen) == len(best) else None


def those_taking(wheels: Sequence[LocalWheel], pythons: Sequence[str], machine: str) -> list[str]:
    """The CPythons for which there is a wheel of every name."""
    return [python for python in pythons if fitting(wheels, python, machine) is not None]
