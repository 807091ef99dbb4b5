"""Which CPython an environment gets: the newest that was there as of then and has a wheel for every pinned release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from runner.environments.target import accepts, first_release, installable, minor_of, wheel_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.environments.index import IndexFile, Release

WIDEST_DAYS = 30
"""A wheel that came later than this after its release does not count: it was not there as of then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCPython:
    """No CPython fits; why."""

    reason: str


def day_after(when: datetime, days: int = 1) -> datetime:
    """The end (UTC) of the day that comes `days` after a time."""
    return datetime.combine(when.astimezone(UTC).date() + timedelta(days=days + 1), time(), UTC)


def came_out(release: Release, python: str) -> datetime:
    """When a release could first be installed with a CPython; its first upload where it never could."""
    files = installable(_timely(release), python)
    return min((file.uploaded for file in files), default=release.uploaded)


def choose_python(pinned: Mapping[str, Release], pythons: Sequence[str]) -> str | NoCPython:
    """The CPython of an environment, out of those that can be provided (newest first); `pinned` has the base first."""
    base = next(iter(pinned.values()))
    then = day_after(base.uploaded)
    missing: list[str] = []
    for python in pythons:
        if first_release(python) >= then:
            continue
        lacking = [name for name, release in pinned.items() if not _fits(release, python)]
        if not lacking:
            return python
        missing.append(f"{python} ({', '.join(lacking)})")
    offered = "; ".join(f"{name} {release.version} has {_offers(release)}" for name, release in pinned.items())
    tried = f" Without a fitting file: {', '.join(missing)}." if missing else ""
    return NoCPython(
        reason=f"No CPython of this engine ({', '.join(pythons)}) that was there by {then:%Y-%m-%d} has a wheel for"
        f" every pinned package: {offered}.{tried}"
    )


def _fits(release: Release, python: str) -> bool:
    """Whether a release installs with a CPython: by a wheel where it has binary ones, else in any way."""
    files = installable(_timely(release), python)
    binary = any(_is_binary(file.filename) for file in _timely(release) if file.is_wheel)
    return bool(files) and (files[0].is_wheel or not binary)


def _timely(release: Release) -> list[IndexFile]:
    latest = release.uploaded + timedelta(days=WIDEST_DAYS)
    return [file for file in release.files if file.uploaded <= latest]


def _is_binary(filename: str) -> bool:
    return any(tag.platform != "any" for tag in wheel_tags(filename))


def _offers(release: Release) -> str:
    """What a release has, for a reason that a user reads."""
    known = [f"3.{minor}" for minor in range(5, 20)]
    fitting = sorted((python for python in known if _fits(release, python)), key=minor_of)
    if not fitting:
        return "no file for this platform"
    if all(accepts(file, "3.5") and not _is_binary(file.filename) for file in release.files):
        return "files for every CPython"
    return f"files for CPython {', '.join(fitting)}"
