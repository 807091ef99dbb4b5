"""What releases and wheel files say that they require, and what of it was there at a time."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runner.environments.file_store import obtain
from runner.environments.sdists import built
from runner.environments.target import installable, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import Release
    from runner.environments.interpreters import Toolchain
    from runner.environments.local_wheels import LocalWheel


def unmet_needs(
    newer: Mapping[str, tuple[str, datetime]],
    *,
    as_of: datetime,
    python: str,
    catalog: Catalog,
    toolchain: Callable[[], Toolchain],
    wheels: Sequence[LocalWheel] = (),
) -> tuple[tuple[str, datetime], ...]:
    """The direct requirements of newer releases that no release as of a time satisfies, each with the newer one's time.

    `newer` maps a name to its version and to the time that its needs may be from; `wheels` say their needs themselves.
    """
    unmet: dict[str, datetime] = {}
    for name, (version, until) in newer.items():
        own = next((_parsed(wheel.file) for wheel in wheels if wheel.name == name), None)
        texts = own or requirements_of(name, version, python=python, catalog=catalog, toolchain=toolchain) or ()
        for need in _applying(texts, python):
            wanted = canonicalize_name(need.name)
            if wanted not in newer and not _satisfied(need, as_of, python, catalog):
                unmet[wanted] = max(until, unmet.get(wanted, until))
    return tuple(sorted(unmet.items()))


def requirements_of(
    name: str, version: str, *, python: str, catalog: Catalog, toolchain: Callable[[], Toolchain]
) -> tuple[str, ...] | None:
    """All that a release requires (PEP 508), None where it has no file for this CPython.

    A bound that no longer parses (`>=2011k`) is dropped: each known one is older than any release that could be chosen.
    """
    project = catalog.project(name)
    release = project.release(version) if project else None
    files = installable(release.files, python) if release else ()
    if not files:
        return None
    path = obtain(files[0], catalog.connection, _unsaid)
    if not files[0].is_wheel:
        uploaded = files[0].uploaded
        path = built(
            path,
            sha256=files[0].sha256,
            uploaded=lambda: uploaded,
            python=python,
            toolchain=toolchain,
            say=_unsaid,
        )
    return _parsed(path)


def _applying(texts: Iterable[str], python: str) -> Iterable[Requirement]:
    needs = (Requirement(text) for text in texts)
    return (need for need in needs if need.marker is None or need.marker.evaluate(_markers(python)))


def _unsaid(line: str) -> None:
    """Progress of a small file that nobody waits for."""


def _parsed(wheel: Path) -> tuple[str, ...]:
    return tuple(text for line in _stated(wheel) if (text := _parsing(line)))


def _stated(wheel: Path) -> list[str]:
    from email import message_from_bytes  # noqa: PLC0415 - slow; few environments come here

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return [str(line) for line in message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []]


def _parsing(line: str) -> str:
    """A stated requirement where it parses, else its name and marker without the bound, empty where nothing is left."""
    try:
        return str(Requirement(line))
    except InvalidRequirement:
        name = re.match(r"\s*([A-Za-z0-9._-]+)", line)
        _, separator, marker = line.partition(";")
    try:
        return str(Requirement(f"{name[1]} {separator} {marker}")) if name else ""
    except InvalidRequirement:
        return ""


def _markers(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine(),
        "os_name": "posix",
        "extra": "",
    }


def _satisfied(need: Requirement, as_of: datetime, python: str, catalog: Catalog) -> bool:
    project = catalog.project(need.name)
    releases = project.releases if project else ()
    fitting = (release for release in reversed(releases) if need.specifier.contains(release.version))
    return any(_is_visible(release, as_of, python) for release in fitting)


def newest_visible(name: str, as_of: datetime, *, python: str, catalog: Catalog) -> str | None:
    """The newest final release of a project, as of a time, that a CPython takes; yanked ones do not count."""
    project = catalog.project(name)
    releases = (release for release in reversed(project.releases if project else ()))
    final = (release for release in releases if not release.version.is_prerelease)
    return next((str(release.version) for release in final if _is_visible(release, as_of, python)), None)


def _is_visible(release: Release, as_of: datetime, python: str) -> bool:
    return bool(installable((file for file in release.files if file.uploaded < as_of and not file.yanked), python))
