"""A project of the package index as a value: its releases with their files, as the index tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """One wheel or source distribution on the index; `sha256` is hex, empty where the index gives none.

    `uploaded` is `times.UNDATED` where the index gives no time and need not.
    """

    filename: str
    url: str
    sha256: str
    uploaded: datetime
    size_bytes: int | None = None
    yanked: bool = False
    requires_python: str = ""

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One version of a project with its files, at least one."""

    version: Version
    files: tuple[IndexFile, ...]

    @property
    def uploaded(self) -> datetime:
        """When its first file came out."""
        return min(file.uploaded for file in self.files)

    @property
    def yanked(self) -> bool:
        """Whether all of it was taken back."""
        return all(file.yanked for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Project:
    """All releases of one name, oldest version first."""

    name: str
    releases: tuple[Release, ...]

    @cached_property
    def _by_version(self) -> Mapping[Version, Release]:
        return {release.version: release for release in self.releases}

    def release(self, version: str) -> Release | None:
        """The release that a text means (`1.13` is 1.13.0), None where there is none."""
        try:
            return self._by_version.get(Version(version))
        except InvalidVersion:
            return None
