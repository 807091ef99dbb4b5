"""The catalog: what the package index has, with upload times, from its simple API; cached on disk, offline too.

A `Catalog` gives immutable `Project`s of `Release`s of `IndexFile`s. It may be used from several threads.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urljoin

from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.cache import cache_folder, read_sealed, write_sealed
from runner.environments.index.connection import Connection, IndexAddress, IndexSilentError, without_addresses
from runner.environments.index.project import (
    ACCEPTED,
    SDIST_ENDINGS,
    IndexFile,
    Project,
    Release,
    files_of,
    is_json,
    joined,
)
from runner.environments.times import UNDATED
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from pathlib import Path


_T = TypeVar("_T")


class Once(Generic[_T]):
    """Values by key. May be used from several threads: the second that asks for a key waits for the first."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _T] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value of a key, made where there is none yet; what `make` raises is raised, and not remembered."""
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._known:
                self._known[key] = make()
            return self._known[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._known

    def forget(self, key: Hashable) -> None:
        """Let the value of a key be made anew."""
        with self._locks.setdefault(key, threading.Lock()):
            self._known.pop(key, None)


FRESH_S = 600.0
"""For how long a cached page is taken without asking the index again."""
_AT_A_TIME = 8


class Catalog:
    """The package index that the user's configuration names, as values."""

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        folder: Path | None = None,
        undated: Callable[[str], bool] | None = None,
        indexes: Iterable[str] = (),
        address: IndexAddress | None = None,
    ) -> None:
        """`undated` says whether a package's files may lack a time of upload (`times.undated_in`); None: no one's.

        What `indexes` have is added to what the index has, which is that of `address`, None: of the connection.
        """
        others = [IndexAddress.parse(address) for address in indexes]
        self.connection = connection or Connection(others=others)
        self._address = address
        self._further = [Catalog(self.connection, address=other, undated=lambda _: True) for other in others]
        self._given_folder = folder
        self._undated = undated or (lambda _: False)
        self._known: Once[Project | None] = Once()
        self.answers: Once[Any] = Once()
        """The resolver's answers about this index, or its reasons for finding nothing, by question and toolchain."""
        self._sizes: Once[Mapping[str, int]] = Once()
        self._silent: IndexSilentError | None = None

    def project(self, name: str) -> Project | None:
        """The project of a name in the index, None where it knows no such project.

        Raises MachineError where the index does not answer and nothing is cached, UsageError where it gives no upload
        times and the package's files may not lack them.
        """
        return self._project(canonicalize_name(name), FRESH_S)

    def read_ahead(self, names: Iterable[str]) -> None:
        """Read the pages of several packages at the same time, so that `project` has them. Raises as `project` does."""
        unread = [name for name in names if canonicalize_name(name) not in self._known]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self.project, unread))

    def renewed(self, name: str) -> Project | None:
        """The project of a name in the index at this moment. Raises as `project` does."""
        self._known.forget(canonicalize_name(name))
        return self._project(canonicalize_name(name), 0.0)

    def has_undated(self, name: str) -> bool:
        """True where a further index has files of a package without times of upload, which no limit lets through."""
        further = (one.project(name) for one in self._further)
        releases = (release for project in further if project for release in project.releases)
        return any(file.uploaded == UNDATED for release in releases for file in release.files)

    def versions(self, name: str) -> tuple[str, ...] | None:
        """All versions of a project, oldest first; None where the index knows no such project."""
        project = self.project(name)
        return None if project is None else tuple(str(one.version) for one in project.releases)

    def known_sizes(self, name: str) -> Mapping[str, int]:
        """Bytes of a package's files by SHA-256 (hex), where its page is cached, however old: nothing is asked."""
        name = canonicalize_name(name)
        return self._sizes.get(name, lambda: _sizes(self._folder / f"{name}.json"))

    def describe(self) -> str:
        """The index's host, for `doctor`, once it answered. Raises MachineError or UsageError where it does not."""
        answer = self.connection.get(urljoin(self.address.url, "pip/"), {"Accept": ACCEPTED})
        if not is_json(answer):
            raise _no_upload_times(self.address.host, "pip")
        return f"{self.address.host} answers, with upload times"

    @property
    def address(self) -> IndexAddress:
        """The address of the index."""
        return self._address or self.connection.address

    @cached_property
    def _folder(self) -> Path:
        if self._given_folder is not None:
            return self._given_folder
        index = hashlib.sha256(self.address.url.encode()).hexdigest()[:16]
        return cache_folder() / "index" / index

    def _project(self, name: str, fresh_s: float) -> Project | None:
        def read() -> Project | None:
            further = [one.renewed(name) if fresh_s == 0 else one.project(name) for one in self._further]
            return joined(read_own(), [project for project in further if project is not None])

        def read_own() -> Project | None:
            page = self._page(name, fresh_s)
            if page is None:
                return None
            dated = any(file["uploaded"] for file in page["files"])
            undated = self._undated(name)
            if page["files"] and not dated and not undated:
                raise _no_upload_times(self.address.host, name)
            return _project(name, page, with_undated=undated)

        return self._known.get(name, read)

    def _page(self, name: str, fresh_s: float) -> dict[str, Any] | None:
        """The page of a name: from the cache while fresh, revalidated, or as it was where the index is silent."""
        path = self._folder / f"{name}.json"
        cached = _read_entry(path)
        if cached is not None and 0 <= time.time() - cached["asked_at"] < fresh_s:
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
        url = urljoin(self.address.url, f"{name}/")
        headers = {"Accept": ACCEPTED}
        if cached is not None and cached["etag"]:
            headers["If-None-Match"] = cached["etag"]
        answer = self.connection.get(url, headers)
        if answer.status_code == 304 and cached is not None:
            return cached | {"asked_at": time.time()}
        if answer.status_code in {404, 410}:
            return None
        host = self.address.host
        if not answer.is_success:
            raise MachineError(
                f"The package index at {host} refused the question for {name} (HTTP {answer.status_code}). Where it"
                " needs credentials, put them into UV_DEFAULT_INDEX."
            )
        try:
            files = files_of(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MachineError(
                f"The package index at {host} gave a page for {name} that is not what PEP 691 describes"
                f" ({without_addresses(str(error))}). Name another index in UV_DEFAULT_INDEX."
            ) from error
        return {"asked_at": time.time(), "etag": answer.headers.get("etag", ""), "files": files}


def _sizes(path: Path) -> dict[str, int]:
    entry = _read_entry(path)
    return {file["sha256"]: file["size"] for file in entry["files"] if file["size"]} if entry else {}


def _no_upload_times(host: str, name: str) -> UsageError:
    """The error for an index that does not say when its files came out."""
    return UsageError(
        f"The package index at {host} does not say when the files of {name} were uploaded (PEP 700), and environments"
        " are resolved as of a date. Name an index that does in UV_DEFAULT_INDEX, such as the public one or a mirror"
        " that passes its JSON pages on; or do without dates in the matrix: `as_of: none` for all packages,"
        f" `as_of: {{{name}: none}}` for this one."
    )


def _read_entry(path: Path) -> dict[str, Any] | None:
    """A cached page, None where there is none or it is damaged."""
    content = read_sealed(path)
    return None if content is None else json.loads(content)


def _project(name: str, page: dict[str, Any], *, with_undated: bool) -> Project:
    by_text: dict[str, list[IndexFile]] = {}
    for file in page["files"]:
        text = _version_text(file["filename"])
        if not text or not (file["uploaded"] or with_undated):
            continue
        value = IndexFile(
            filename=file["filename"],
            url=file["url"],
            sha256=file["sha256"],
            uploaded=datetime.fromisoformat(file["uploaded"]) if file["uploaded"] else UNDATED,
            size_bytes=file["size"],
            yanked=file["yanked"],
            requires_python=file["requires"],
        )
        by_text.setdefault(text, []).append(value)
    by_version: dict[Version, list[IndexFile]] = {}
    for text, files in by_text.items():
        try:
            by_version.setdefault(Version(text), []).extend(files)
        except ValueError:  # a name of the index's first years, which no resolver takes either
            continue
    releases = (Release(version=version, files=tuple(files)) for version, files in sorted(by_version.items()))
    return Project(name=name, releases=tuple(releases))


def _version_text(filename: str) -> str:
    """The version that a file's name gives, as text: quick, since a page has thousands of files."""
    if filename.endswith(".whl"):
        parts = filename.split("-", 2)
        return parts[1] if len(parts) == 3 else ""
    for ending in SDIST_ENDINGS:
        if filename.endswith(ending):
            return filename.removesuffix(ending).rpartition("-")[2]
    return ""
