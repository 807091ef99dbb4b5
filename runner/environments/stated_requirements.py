"""What releases say that they require, read from their own files, old and broken ones included."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from runner.environments.file_store import obtain
from runner.environments.source_builds import built
from runner.environments.target import installable, markers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain


def requirements_of(
    name: str, version: str, *, python: str, machine: str, catalog: Catalog, toolchain: Callable[[], Toolchain]
) -> tuple[str, ...] | None:
    """All that a release requires (PEP 508), None where it has no file for this CPython.

    A bound that no longer parses (`>=2011k`) is dropped: each known one is older than any release that could be chosen.
    Of a source distribution only its wheel says it: what setuptools noted in it held on the machine of its author, and
    a lock would depend on whether this machine can build. Raises BuildFailedError where it can't.
    """
    project = catalog.project(name)
    release = project.release(version) if project else None
    files = installable(release.files, python, machine) if release else ()
    if not files:
        return None
    path = obtain(files[0], catalog.connection, _unsaid)
    if not files[0].is_wheel:
        uploaded = files[0].uploaded
        path = built(
            path, sha256=files[0].sha256, uploaded=lambda: uploaded, python=python, toolchain=toolchain, say=_unsaid
        )
    return parsed_requirements(path)


def applying(texts: Iterable[str], python: str, machine: str) -> Iterable[Requirement]:
    """The requirements that apply to a CPython on a kind of machine."""
    return (need for text in texts if _applies(need := Requirement(text), python, machine))


def _applies(need: Requirement, python: str, machine: str) -> bool:
    try:
        return need.marker is None or need.marker.evaluate(markers(python, machine))
    except ValueError:  # a comparison that nobody can make
        return False


def _unsaid(line: str) -> None:
    """Progress of a small file that nobody waits for."""


def parsed_requirements(wheel: Path) -> tuple[str, ...]:
    """All that a wheel requires (PEP 508), without bounds that do not parse."""
    return _parsed(_stated(wheel))


def _parsed(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for line in lines if (text := _parsing(line)))


def _stated(wheel: Path) -> list[str]:
    from email import message_from_bytes  # noqa: PLC0415 - slow; few environments come here

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return [str(line) for line in message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []]


def _parsing(line: str) -> str:
    """A stated requirement where it parses, else its name and marker without the bound, empty where nothing is left."""
    try:
        requirement = Requirement(line)
        for bound in requirement.specifier:
            bound.contains("0")
        return str(requirement)
    except ValueError:
        name = re.match(r"\s*([A-Za-z0-9._-]+)", line)
        _, separator, marker = line.partition(";")
    try:
        return str(Requirement(f"{name[1]} {separator} {marker}")) if name else ""
    except InvalidRequirement:
        return ""
