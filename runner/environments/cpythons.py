"""Which CPython an environment gets: the newest that was there as of then and has a wheel for every pinned release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.environments.target import accepts, first_release, installable, minor_of, wheel_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runner.environments.index import IndexFile, Release
    from runner.environments.times import Times


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCPython:
    """No CPython fits; why."""

    reason: str


def came_out(name: str, release: Release, python: str, times: Times) -> datetime:
    """When a release could first be installed with a CPython; its first upload where it never could."""
    files = installable(_timely(name, release, times), python)
    return min((file.uploaded for file in files), default=release.uploaded)


def choose_python(pinned: Mapping[str, Release], pythons: Sequence[str], times: Times) -> str | NoCPython:
    """The CPython of an environment, out of those that can be provided (newest first); `pinned` has the base first."""
    until = times.pythons_until(next(iter(pinned.values())).uploaded)
    files = {name: _timely(name, release, times) for name, release in pinned.items()}
    missing: list[str] = []
    for python in pythons:
        if until is not None and first_release(python) >= until:
            continue
        lacking = [name for name in pinned if not _fits(files[name], python)]
        if not lacking:
            return python
        missing.append(f"{python} ({', '.join(lacking)})")
    offered = "; ".join(f"{name} {release.version} has {_offers(files[name])}" for name, release in pinned.items())
    tried = f" Without a fitting file: {', '.join(missing)}." if missing else ""
    then = "" if until is None else f" that was there by {until:%Y-%m-%d}"
    return NoCPython(
        reason=f"No CPython of this engine ({', '.join(pythons)}){then} has a wheel for every pinned package:"
        f" {offered}.{tried}"
    )


def _fits(files: Sequence[IndexFile], python: str) -> bool:
    """Whether a release installs with a CPython: by a wheel where it has binary ones, else in any way."""
    fitting = installable(files, python)
    binary = any(_is_binary(file.filename) for file in files if file.is_wheel)
    return bool(fitting) and (fitting[0].is_wheel or not binary)


def _timely(name: str, release: Release, times: Times) -> list[IndexFile]:
    until = times.files_until(name, release.uploaded)
    return [file for file in release.files if until is None or file.uploaded < until]


def _is_binary(filename: str) -> bool:
    return any(tag.platform != "any" for tag in wheel_tags(filename))


def _offers(files: Sequence[IndexFile]) -> str:
    """What a release has, for a reason that a user reads."""
    known = [f"3.{minor}" for minor in range(5, 20)]
    fitting = sorted((python for python in known if _fits(files, python)), key=minor_of)
    if not fitting:
        return "no file for this platform"
    if all(accepts(file, "3.5") and not _is_binary(file.filename) for file in files):
        return "files for every CPython"
    return f"files for CPython {', '.join(fitting)}"
