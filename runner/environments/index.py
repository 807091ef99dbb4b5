"""The catalog: what the package index has, with upload times, from its JSON simple API; cached on disk, offline too.

A `Catalog` gives immutable `Project`s of `Release`s of `IndexFile`s. It may be used from several threads.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from runner.environments.cache import cache_folder, read_sealed, write_sealed
from runner.environments.connection import Connection, IndexSilentError
from runner.environments.index_address import without_addresses
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FRESH_S = 600.0
"""For how long a cached page is taken without asking the index again."""
_JSON = "application/vnd.pypi.simple.v1+json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SDIST_ENDINGS = (".tar.gz", ".zip")


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """One wheel or source distribution on the index; `sha256` is hex, empty where the index gives none."""

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


class Catalog:
    """The package index that the user's configuration names, as values."""

    def __init__(self, connection: Connection | None = None, *, folder: Path | None = None) -> None:
        self.connection = connection or Connection()
        self._given_folder = folder
        self._known: dict[str, Project | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._silent: IndexSilentError | None = None

    def project(self, name: str) -> Project | None:
        """What the index has under a name, None where it knows no such project.

        Raises MachineError where the index does not answer and nothing is cached, UsageError where it gives no upload
        times.
        """
        name = canonicalize_name(name)
        with self._locks.setdefault(name, threading.Lock()):
            if name not in self._known:
                page = self._page(name)
                self._known[name] = None if page is None else _project(name, page)
            return self._known[name]

    def versions(self, name: str) -> tuple[str, ...] | None:
        """All versions of a project, oldest first; None where the index knows no such project."""
        project = self.project(name)
        return None if project is None else tuple(str(one.version) for one in project.releases)

    def describe(self) -> str:
        """The index's host, for `doctor`, once it answered. Raises MachineError or UsageError where it does not."""
        answer = self.connection.get(urljoin(self.connection.address.url, "pip/"), {"Accept": _JSON})
        if "json" not in answer.headers.get("content-type", ""):
            raise no_upload_times(self.connection.address.host)
        return f"{self.connection.address.host} answers, with upload times"

    @cached_property
    def _folder(self) -> Path:
        if self._given_folder is not None:
            return self._given_folder
        index = hashlib.sha256(self.connection.address.url.encode()).hexdigest()[:16]
        return cache_folder() / "index" / index

    def _page(self, name: str) -> dict[str, Any] | None:
        """The page of a name: from the cache while fresh, revalidated, or as it was where the index is silent."""
        path = self._folder / f"{name}.json"
        cached = _read_entry(path)
        if cached is not None and 0 <= time.time() - cached["asked_at"] < FRESH_S:
            return cached
        try:
            entry = self._ask(name, cached)
        except IndexSilentError as error:
            self._silent = error
            if cached is None:
                raise
            return cached
        if entry is not None:
            write_sealed(path, json.dumps(entry, separators=(",", ":")).encode())
        return entry

    def _ask(self, name: str, cached: dict[str, Any] | None) -> dict[str, Any] | None:
        if self._silent is not None:
            raise self._silent
        url = urljoin(self.connection.address.url, f"{name}/")
        headers = {"Accept": _JSON}
        if cached is not None and cached["etag"]:
            headers["If-None-Match"] = cached["etag"]
        answer = self.connection.get(url, headers)
        if answer.status_code == 304 and cached is not None:
            return cached | {"asked_at": time.time()}
        if answer.status_code in {404, 410}:
            return None
        host = self.connection.address.host
        if not answer.is_success:
            raise MachineError(
                f"The package index at {host} refused the question for {name} (HTTP {answer.status_code}). Where it"
                " needs credentials, put them into UV_DEFAULT_INDEX."
            )
        if "json" not in answer.headers.get("content-type", ""):
            raise no_upload_times(host)
        try:
            files = _slim(answer.json()["files"], str(answer.url))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MachineError(
                f"The package index at {host} gave a page for {name} that is not what PEP 691 describes"
                f" ({without_addresses(str(error))}). Name another index in UV_DEFAULT_INDEX."
            ) from error
        if files and not any(file["uploaded"] for file in files):
            raise no_upload_times(host)
        return {"asked_at": time.time(), "etag": answer.headers.get("etag", ""), "files": files}


def no_upload_times(host: str) -> UsageError:
    """What a user hears whose index does not say when its files came out."""
    return UsageError(
        f"The package index at {host} does not say when its files were uploaded (PEP 700), and environments are"
        " resolved as of a date. Name an index that does in UV_DEFAULT_INDEX, such as the public one or a mirror that"
        " passes its JSON pages on."
    )


def _read_entry(path: Path) -> dict[str, Any] | None:
    """A cached page, None where there is none or it is damaged."""
    content = read_sealed(path)
    return None if content is None else json.loads(content)


def _slim(files: list[dict[str, Any]], page_url: str) -> list[dict[str, Any]]:
    """What is kept of a page: wheels and sdists, only the fields that are used, no credentials in addresses."""
    kept = []
    for file in files:
        filename = str(file["filename"])
        if not filename.endswith((".whl", *_SDIST_ENDINGS)) or "/" in filename or "\\" in filename:
            continue
        kept.append(
            {
                "filename": filename,
                "url": urljoin(page_url, str(file["url"])),
                "sha256": _hex(str(file["hashes"].get("sha256", ""))),
                "uploaded": str(file.get("upload-time") or ""),
                "size": file.get("size"),
                "yanked": bool(file.get("yanked")),
                "requires": str(file.get("requires-python") or ""),
            }
        )
    return kept


def _hex(digest: str) -> str:
    """A digest as it may name a folder, empty where it is none."""
    return digest.lower() if _SHA256.fullmatch(digest.lower()) else ""


def _project(name: str, page: dict[str, Any]) -> Project:
    by_text: dict[str, list[IndexFile]] = {}
    for file in page["files"]:
        text = _version_text(file["filename"])
        if not text or not file["uploaded"]:
            continue
        value = IndexFile(
            filename=file["filename"],
            url=file["url"],
            sha256=file["sha256"],
            uploaded=datetime.fromisoformat(file["uploaded"]),
            size_bytes=file["size"],
            yanked=file["yanked"],
            requires_python=file["requires"],
        )
        by_text.setdefault(text, []).append(value)
    by_version: dict[Version, list[IndexFile]] = {}
    for text, files in by_text.items():
        try:
            by_version.setdefault(Version(text), []).extend(files)
        except InvalidVersion:  # a name of the index's first years, which no resolver takes either
            continue
    releases = (Release(version=version, files=tuple(files)) for version, files in sorted(by_version.items()))
    return Project(name=name, releases=tuple(releases))


def _version_text(filename: str) -> str:
    """The version that a file's name gives, as text: quick, since a page has thousands of files."""
    if filename.endswith(".whl"):
        parts = filename.split("-", 2)
        return parts[1] if len(parts) == 3 else ""
    for ending in _SDIST_ENDINGS:
        if filename.endswith(ending):
            return filename.removesuffix(ending).rpartition("-")[2]
    return ""
