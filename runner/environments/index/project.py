"""A project of the package index as a value, read from its page: JSON (PEP 691, 700) or HTML (PEP 503)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.version import Version

from runner import foreign_json
from runner.environments.times import UNDATED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx


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
        """True where it installs without being built."""
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
        """True where all of it was taken back."""
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
        except ValueError:
            return None


def joined(own: Project | None, further: Sequence[Project]) -> Project | None:
    """A project of the index with what further indexes have of it; None where none knows it.

    Where these give no time of upload, that of the release counts, a build of it (`2.1.0+cpu`) included.
    """
    if not further:
        return own
    releases: dict[Version, list[IndexFile]] = {}
    for release in own.releases if own else ():
        releases[release.version] = list(release.files)
    since = {version: min(file.uploaded for file in files) for version, files in releases.items()}
    for release in (one for project in further for one in project.releases):
        known = releases.setdefault(release.version, [])
        then = since.get(Version(release.version.public))
        names = {file.filename for file in known}
        for file in release.files:
            if file.filename not in names:
                known.append(replace(file, uploaded=then) if then and file.uploaded == UNDATED else file)
    made = (Release(version=version, files=tuple(files)) for version, files in sorted(releases.items()))
    return Project(name=(own or further[0]).name, releases=tuple(made))


JSON = "application/vnd.pypi.simple.v1+json"
ACCEPTED = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
"""JSON, since HTML says nothing of times; an index that has HTML only gives that."""
SDIST_ENDINGS = (".tar.gz", ".zip")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_json(answer: httpx.Response) -> bool:
    """True where an answer is a JSON page."""
    return "json" in answer.headers.get("content-type", "")


def files_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The wheels and sdists of a page: only the fields that are used, no credentials in addresses.

    Raises ValueError, KeyError, TypeError or AttributeError for a page that is not what the standards describe.
    """
    url = str(answer.url)
    files = foreign_json.loads(answer.content)["files"] if is_json(answer) else _html_files(answer.text, url)
    return [_kept(file, url) for file in files if _is_named_well(str(file["filename"]))]


def _is_named_well(filename: str) -> bool:
    return filename.endswith((".whl", *SDIST_ENDINGS)) and "/" not in filename and "\\" not in filename


def _kept(file: dict[str, Any], page_url: str) -> dict[str, Any]:
    return {
        "filename": str(file["filename"]),
        "url": urljoin(page_url, str(file["url"])),
        "sha256": _hex(str(file["hashes"].get("sha256", ""))),
        "uploaded": str(file.get("upload-time") or ""),
        "size": file.get("size"),
        "yanked": bool(file.get("yanked")),
        "requires": str(file.get("requires-python") or ""),
    }


def _hex(digest: str) -> str:
    """A digest as it may name a folder, empty where it is none."""
    return digest.lower() if _SHA256.fullmatch(digest.lower()) else ""


def _html_files(text: str, page_url: str) -> list[dict[str, Any]]:
    """The files of an HTML page as JSON pages have them."""
    page = _Links()
    page.feed(text)
    files = []
    for link in page.links:
        url, fragment = urldefrag(urljoin(urljoin(page_url, page.base), link["href"] or ""))
        method, _, digest = fragment.partition("=")
        files.append(
            {
                "filename": unquote(urlsplit(url).path.rpartition("/")[2]),
                "url": url,
                "hashes": {method: digest},
                "yanked": "data-yanked" in link,
                "requires-python": link.get("data-requires-python"),
            }
        )
    return files


class _Links(HTMLParser):
    """The links of a page with their attributes, and what they are relative to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(found)
        elif tag == "base":
            self.base = found.get("href") or ""
