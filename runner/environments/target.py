"""The target of an environment: a system on one kind of processor, one CPython minor release; which files fit it.

The system is Linux; under `venv` on macOS it is macOS. The C library, or the release of macOS, is a fixed one, not this
machine's, so that a lock says the same wherever it is made.
"""

from __future__ import annotations

import functools
import platform
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.environments.index.project import IndexFile

GLIBC_MINOR = 31
"""glibc 2.31: that of the oldest Debian and Ubuntu that still get updates, and enough for all but a few wheels."""
MACOS = (13, 0)
"""The oldest macOS that still gets updates."""
_APPLE, _DARWIN = "-apple", "-darwin"
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_FIRST_RELEASES = {
    5: datetime(2015, 9, 13, tzinfo=UTC),
    6: datetime(2016, 12, 23, tzinfo=UTC),
    7: datetime(2018, 6, 27, tzinfo=UTC),
    8: datetime(2019, 10, 14, tzinfo=UTC),
    9: datetime(2020, 10, 5, tzinfo=UTC),
    10: datetime(2021, 10, 4, tzinfo=UTC),
    11: datetime(2022, 10, 24, tzinfo=UTC),
    12: datetime(2023, 10, 2, tzinfo=UTC),
    13: datetime(2024, 10, 7, tzinfo=UTC),
    14: datetime(2025, 10, 7, tzinfo=UTC),
}
_OLDEST_BUILD_TOOLS = datetime(2021, 3, 1, tzinfo=UTC)
"""setuptools from 40.8 on has the hook that uv builds with, from 58 on it refuses `use_2to3`: between the two."""


MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Kinds of processor as a container engine names them, and as Linux and wheels do."""


def this_platform() -> str:
    """The platform of this machine, as a container engine names it: `linux/amd64`; `macos/arm64` on macOS."""
    return platform_of(platform.machine().lower() + (_APPLE if sys.platform == "darwin" else ""))


def platform_of(machine: str) -> str:
    """The platform of a kind of machine, by whatever name: `linux/arm64` of aarch64, `macos/arm64` of aarch64-apple."""
    kind = machine.removesuffix(_APPLE)
    system = "linux" if kind == machine else "macos"
    return f"{system}/{next((name for name, linux in MACHINES.items() if linux == kind), kind)}"


def machine_of(platform_text: str) -> str:
    """The kind of machine of a platform: the processor as Linux names it, and `-apple` behind it where it runs macOS.

    Of no platform, this machine's.
    """
    system, _, name = (platform_text or this_platform()).rpartition("/")
    return MACHINES.get(name, name) + (_APPLE if system == "macos" else "")


def platform_name(machine: str) -> str:
    """The platform as uv's `--python-platform` takes it, and as locks name it."""
    return f"{machine}{_DARWIN}" if machine.endswith(_APPLE) else f"{machine}-manylinux_2_{GLIBC_MINOR}"


def platform_named(name: str) -> str:
    """The platform that a lock names as `platform_name` does: `linux/arm64` of aarch64-manylinux_2_31."""
    return platform_of(name.removesuffix(_DARWIN) if name.endswith(_DARWIN) else name.partition("-")[0])


def markers(python: str, machine: str) -> dict[str, str]:
    """The variables of PEP 508 for a CPython minor release on a kind of machine."""
    kind = machine.removesuffix(_APPLE)
    linux = kind == machine
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux" if linux else "darwin",
        "platform_system": "Linux" if linux else "Darwin",
        "platform_machine": kind if linux else _apple_name(kind),
        "os_name": "posix",
        "extra": "",
    }


def minor_of(python: str) -> int:
    """7 for "3.7"."""
    return int(python.split(".")[1])


def first_release(python: str) -> datetime:
    """When a CPython minor release came out; one that the table does not know yet: in its October (PEP 602)."""
    minor = minor_of(python)
    return _FIRST_RELEASES.get(minor) or datetime(2011 + minor, 10, 7, tzinfo=UTC)


def build_tools_date(python: str, when: datetime) -> datetime:
    """Up to when setuptools and wheel may be from, to build a source distribution of the time `when`.

    They must know the interpreter, and the one hook that uv calls, which the tools of 2017 do not have.
    """
    return max(when, _OLDEST_BUILD_TOOLS, first_release(python) + timedelta(days=90))


def stamp(when: datetime) -> str:
    """A time (UTC) as uv reads it and as locks show it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def tag_ranks(python: str, machine: str) -> Mapping[Tag, int]:
    """The wheel tags that a CPython minor release takes on a kind of machine, best first: from 0 on."""
    minor = minor_of(python)
    abi = f"cp3{minor}m" if minor < 8 else f"cp3{minor}"
    platforms = list(_platforms(machine))
    tags = [*cpython_tags((3, minor), abis=[abi], platforms=platforms)]
    tags += compatible_tags((3, minor), interpreter=f"cp3{minor}", platforms=platforms)
    ranks: dict[Tag, int] = {}
    for tag in tags:
        ranks.setdefault(tag, len(ranks))
    return ranks


def _apple_name(kind: str) -> str:
    return "arm64" if kind == "aarch64" else kind


def _platforms(machine: str) -> Iterable[str]:
    if machine.endswith(_APPLE):
        yield from mac_platforms(MACOS, _apple_name(machine.removesuffix(_APPLE)))
        return
    for glibc_minor in range(GLIBC_MINOR, 4, -1):
        yield f"manylinux_2_{glibc_minor}_{machine}"
        if glibc_minor in _OLD_NAMES:
            yield f"{_OLD_NAMES[glibc_minor]}_{machine}"
    yield f"linux_{machine}"


@functools.lru_cache(maxsize=1 << 14)
def wheel_tags(filename: str) -> frozenset[Tag]:
    """The tags that a wheel's name claims, none where the name is no wheel's."""
    try:
        return parse_wheel_filename(filename)[3]
    except (InvalidWheelFilename, ValueError):
        return frozenset()


def rank(filename: str, python: str, machine: str) -> int | None:
    """The rank of a wheel among those that fit, 0 best; None where it does not fit."""
    ranks = tag_ranks(python, machine)
    return min((ranks[tag] for tag in wheel_tags(filename) if tag in ranks), default=None)


def accepts(file: IndexFile, python: str) -> bool:
    """True where a file's Requires-Python takes a CPython minor release (in its later patch releases)."""
    return not file.requires_python or takes_python(file.requires_python, python)


@functools.lru_cache(maxsize=1 << 14)
def takes_python(requires_python: str, python: str) -> bool:
    """True where a Requires-Python takes a CPython minor release (in its later patch releases)."""
    try:
        return SpecifierSet(requires_python).contains(f"{python}.99")
    except ValueError:  # old uploads hold what no tool reads; installers take no notice either
        return True


def installable(files: Iterable[IndexFile], python: str, machine: str) -> tuple[IndexFile, ...]:
    """The files of a release that may be installed, best first: the wheels that fit, source where there are none."""
    taken = [file for file in files if accepts(file, python)]
    ranked = [(rank(file.filename, python, machine), file) for file in taken if file.is_wheel]
    fitting = [(order, file.filename, file) for order, file in ranked if order is not None]
    if fitting:
        return tuple(file for _, _, file in sorted(fitting, key=lambda item: item[:2]))
    return tuple(sorted((file for file in taken if not file.is_wheel), key=lambda file: file.filename[::-1]))
