"""The site: a folder of static pages made from a report alone, that opens from disk and needs no network.

Takes a report and a folder; what is there and would come out the same is left untouched. A badge is part of it.
"""

from __future__ import annotations

import re
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from runner.errors import MachineError
from runner.outcomes.result import as_json
from runner.reports import pages
from runner.reports.cell_page import CellPages
from runner.reports.junit import junit
from runner.reports.markdown import report_md
from runner.reports.pages import changes_page, compare_page, matrix_page, why_page
from runner.reports.spreadsheet import as_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.outcomes.result import Result


_MOST_WAITING = 64
"""So many files are in memory until they are written."""
_ASSETS = Path(__file__).parent / "assets"
_MADE = {
    "cells": re.compile(r"[0-9a-f]{12}\.html"),
    "data": re.compile(r"([0-9a-f]{12}|lock-\w+)\.js"),
    "assets": re.compile(r"vega-.*\.js"),
}
"""By folder, the names of files that come and go with cells and versions; only such are ever removed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The numbers of files that were written, kept and removed in a folder."""

    folder: Path
    written: int
    kept: int
    removed: int


def write_site(report: Result, folder: Path) -> Written:
    """Write the site of a report into a folder, which is made if need be.

    Raises MachineError where it can't be written.
    """
    writer = _Writer(folder)
    writer.write("results.json", as_json(report))
    writer.write("results.csv", as_csv(report))
    writer.write("report.md", report_md(report))
    writer.write("junit.xml", junit(report))
    writer.write("badge.svg", badge(report))
    writer.write_all(_files(report))
    writer.write_once(f"assets/{pages.bundle_name()}")
    writer.sweep()
    return Written(folder=folder, written=writer.written, kept=writer.kept, removed=writer.removed)


def _files(report: Result) -> Iterator[tuple[str, str]]:
    """Every file that a report decides: its name in the site and its text."""
    yield "index.html", matrix_page(report)
    yield "compare.html", compare_page(report)
    yield "changes.html", changes_page(report)
    if report.accounts:
        yield "why.html", why_page(report)
    yield "data/matrix.js", pages.matrix_script(report)
    yield "data/specs.js", pages.specs_script()
    for path in sorted(_ASSETS.iterdir()):
        yield f"assets/{path.name}", _asset(path)
    cell_pages = CellPages(report)
    for cell in report.cells:
        yield f"cells/{cell.id}.html", cell_pages.page(cell)
        yield f"data/{cell.id}.js", pages.cell_script(cell)
    for digest, lock in report.locks.items():
        name = pages.lock_name(digest)
        yield f"data/lock-{name}.js", pages.lock_script(name, lock)


@cache
def _asset(path: Path) -> str:
    return path.read_text("utf-8")


@dataclass
class _Writer:
    """Writes the files that changed, and remembers which belong to the site."""

    folder: Path
    written: int = 0
    kept: int = 0
    removed: int = 0
    _names: set[str] = field(default_factory=set)
    _folders: set[Path] = field(default_factory=set)

    def write(self, name: str, text: str) -> None:
        content = text.encode()
        path = self.folder / name
        self._names.add(name)
        try:
            if self._is(path, content):
                self.kept += 1
                return
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            path.write_bytes(content)
        except OSError as error:
            raise MachineError(
                f"{path} can't be written: {error.strerror or error}. Free its disk, or name another folder with --to."
            ) from error
        self.written += 1

    def write_all(self, files: Iterable[tuple[str, str]]) -> None:
        """Write many files: the disk is waited for while the next pages are made."""
        with ThreadPoolExecutor(max_workers=1) as disk:
            waiting: deque[Future[None]] = deque()
            for name, text in files:
                waiting.append(disk.submit(self.write, name, text))
                if len(waiting) > _MOST_WAITING:
                    waiting.popleft().result()
            for one in waiting:
                one.result()

    def write_once(self, name: str) -> None:
        """Write the charts' library, whose name says which version it is, unless it is there."""
        self._names.add(name)
        if (self.folder / name).is_file():
            self.kept += 1
        else:
            self.write(name, pages.bundle().decode())

    def sweep(self) -> None:
        """Remove the files of cells that are no more."""
        for folder, pattern in _MADE.items():
            for path in (self.folder / folder).iterdir():
                if pattern.fullmatch(path.name) and f"{folder}/{path.name}" not in self._names:
                    path.unlink()
                    self.removed += 1

    @staticmethod
    def _is(path: Path, content: bytes) -> bool:
        """True where a file has this content; its size is compared first, since most changes change it."""
        try:
            return path.stat().st_size == len(content) and path.read_bytes() == content
        except FileNotFoundError:
            return False


_LABEL = "convergence"
_GREEN, _AMBER, _RED, _GREY = "#1a7f37", "#8a5a00", "#b3261e", "#57606a"
"""Each dark enough that white text on it can be read (contrast of 4.5 and more); the words say the same."""
_WIDE, _NARROW = frozenset("mwMW%"), frozenset("fijlrtI1.,:/|' ")
_PADDING = 6


def badge(report: Result) -> str:
    """The badge as SVG: how many cells converge, in words and in a colour."""
    words, colour = _message(report)
    left, right = _width(_LABEL), _width(words)
    title = escape(f"{_LABEL}: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left + right}" height="20" rx="3" fill="{colour}"/>'
        f'<path fill="#3d444d" d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f"{_text(_LABEL, left / 2, left)}{_text(words, left + right / 2, right)}</g></svg>\n"
    )


def _message(report: Result) -> tuple[str, str]:
    """The words and the colour; what nobody knows is grey, never green."""
    total = len(report.cells)
    good = sum(cell.kind == "good" for cell in report.cells)
    if not any(cell.seeds for cell in report.cells):
        return "nothing ran", _GREY
    unknown = sum(cell.kind == "undecided" for cell in report.cells)
    if unknown * 2 > total:
        return f"{unknown}/{total} undecided", _GREY
    words = f"{good}/{total} converge"
    if any(cell.expected and not cell.as_expected for cell in report.cells):
        return f"{words}, not as expected", _RED
    return words, _GREEN if good == total else _AMBER if good else _RED


def _width(words: str) -> int:
    """About how wide the words are in Verdana, 11 pixels high, with room on both sides."""
    return round(sum(10 if c in _WIDE else 4.6 if c in _NARROW else 7 for c in words)) + 2 * _PADDING


def _text(words: str, middle: float, width: int) -> str:
    """Words of a fixed length, so that a reader's other font does not leave the badge."""
    return f'<text x="{middle:g}" y="14" textLength="{width - 2 * _PADDING}">{escape(words)}</text>'
