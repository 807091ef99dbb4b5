"""The site: a folder of static pages made from a report alone, that opens from disk and needs no network.

Takes a report and a folder; what is there and would come out the same is left untouched. A badge is part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from runner.outcomes.result_file import json_parts
from runner.outcomes.tally import LEFT_OUT
from runner.own_folder import OwnFolder
from runner.reports import pages
from runner.reports.cell_page import CellPages
from runner.reports.feed import feed
from runner.reports.junit import JUnitCases
from runner.reports.markdown import report_md
from runner.reports.pages import advice_page, changes_page, compare_page, matrix_page, predicted_page, why_page
from runner.reports.provenance import provenance_parts
from runner.reports.spreadsheet import csv_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runner.outcomes.result import CellResult, Result


_MOST_WAITING = 64
"""So many files are in memory until they are written."""
ELSEWHERE = "to write the site into another folder, name that: `publish --to FOLDER`"
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


def write_site(report: Result, folder: Path | OwnFolder) -> Written:
    """Write the site of a report into a folder, which is made if need be; each cell is told once, and let go.

    Raises MachineError where it can't be written.
    """
    files = folder if isinstance(folder, OwnFolder) else OwnFolder(above=folder, elsewhere=ELSEWHERE)
    writer = _Writer(files)
    with JUnitCases(report) as cases:
        writer.write_parts("results.json", map(str.encode, json_parts(report, _told(report, writer, cases))))
        writer.write_parts("junit.xml", cases.parts())
    writer.write_parts("results.csv", map(str.encode, csv_lines(report)))
    writer.write("report.md", report_md(report))
    writer.write("badge.svg", badge(report))
    writer.write("feed.xml", feed(report))
    writer.write(f"assets/{pages.bundle_name()}", pages.bundle().decode())
    writer.write_parts("provenance.json", map(str.encode, provenance_parts(report, dict(writer.digests))))
    writer.sweep()
    return Written(folder=files.path, written=writer.written, kept=writer.kept, removed=writer.removed)


def _told(report: Result, writer: _Writer, cases: JUnitCases) -> Iterator[CellResult]:
    """Each cell as it is told, for what holds all cells, while the files of its own are written."""
    with writer.beside() as write:
        for name, text in _files(report):
            write(name, text)
        cell_pages = CellPages(report)
        for cell in report.told_cells():
            write(f"cells/{cell.id}.html", cell_pages.page(cell))
            write(f"data/{cell.id}.js", pages.cell_script(cell))
            cases.add(cell)
            yield cell


def _files(report: Result) -> Iterator[tuple[str, str]]:
    """The files of the whole matrix: the name of each in the site and its text."""
    yield "index.html", matrix_page(report)
    yield "compare.html", compare_page(report)
    yield "changes.html", changes_page(report)
    if report.accounts:
        yield "why.html", why_page(report)
    if report.advice or any(account.advice for account in report.accounts):
        yield "advice.html", advice_page(report)
    if report.predicted:
        yield "predicted.html", predicted_page(report)
    yield "data/matrix.js", pages.matrix_script(report)
    yield "data/specs.js", pages.specs_script()
    for path in sorted(_ASSETS.iterdir()):
        yield f"assets/{path.name}", _asset(path)
    for digest, lock in report.locks.items():
        name = pages.lock_name(digest)
        yield f"data/lock-{name}.js", pages.lock_script(name, lock)


@cache
def _asset(path: Path) -> str:
    return path.read_text("utf-8")


@dataclass
class _Writer:
    """Writes the files that changed, and remembers which belong to the site."""

    files: OwnFolder
    written: int = 0
    kept: int = 0
    removed: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of every file of the site, by its name in it."""

    def write(self, name: str, text: str) -> None:
        content = text.encode()
        self.digests[name] = hashlib.sha256(content).hexdigest()
        if self._is(self.files.checked(name), content):
            self.kept += 1
        else:
            self.files.write(name, content, synced=False)
            self.written += 1

    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file of which only a part is in memory at a time."""
        digest = hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for part in parts:
                digest.update(part)
                yield part

        changed = self.files.write_parts(name, hashed())
        self.written += changed
        self.kept += not changed
        self.digests[name] = digest.hexdigest()

    @contextmanager
    def beside(self) -> Iterator[Callable[[str, str], None]]:
        """What writes a file while the next is made: few of them wait in memory for the disk."""
        with ThreadPoolExecutor(max_workers=1) as disk:
            waiting: deque[Future[None]] = deque()

            def write(name: str, text: str) -> None:
                waiting.append(disk.submit(self.write, name, text))
                if len(waiting) > _MOST_WAITING:
                    waiting.popleft().result()

            yield write
            for one in waiting:
                one.result()

    def sweep(self) -> None:
        """Remove the files of cells that are no more, and what a killed run left."""
        self.files.sweep("", *_MADE)
        for folder, pattern in _MADE.items():
            for name in self.files.names(folder):
                if pattern.fullmatch(name) and f"{folder}/{name}" not in self.digests:
                    self.removed += self.files.remove(f"{folder}/{name}")

    @staticmethod
    def _is(path: Path, content: bytes) -> bool:
        """True where a file has this content; its size is compared first, since most changes change it."""
        try:
            return path.stat().st_size == len(content) and path.read_bytes() == content
        except OSError:
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
    cells = [cell for cell in report.cells if LEFT_OUT not in cell.flags]
    total = len(cells)
    good = sum(cell.kind == "good" for cell in cells)
    if not any(cell.seeds for cell in cells):
        return "nothing ran", _GREY
    unknown = sum(cell.kind == "undecided" for cell in cells)
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
