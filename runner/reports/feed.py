"""The Atom feed of a site: an entry for each published run that came to something else than the one before it.

Takes a result with its history and gives the XML (RFC 4287); its links are relative, as the site has no address.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import escape

from runner.reports.notation import cell_name, figure, minute, summary
from runner.reports.past_runs import News, turns
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from runner.outcomes.result import PastCell, Result
    from runner.reports.past_runs import Turn

ATOM = "http://www.w3.org/2005/Atom"
_AUTHOR = "convergence-matrix"
_MOST_LINES = 100
"""Cells that an entry lists one by one."""


def feed(report: Result) -> str:
    """The XML; valid whatever characters a script printed."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{_AUTHOR}:{report.title}:{','.join(axis.name for axis in report.axes)}")
    root = ET.Element("feed", {"xmlns": ATOM})
    _text(root, "id", name.urn)
    _text(root, "title", report.title)
    if report.description:
        _text(root, "subtitle", report.description)
    _text(root, "updated", report.made_at)
    _text(ET.SubElement(root, "author"), "name", _AUTHOR)
    ET.SubElement(root, "link", {"rel": "alternate", "type": "text/html", "href": "changes.html"})
    ET.SubElement(root, "link", {"rel": "self", "type": "application/atom+xml", "href": "feed.xml"})
    names = {cell.id: cell_name(cell) for cell in report.cells}
    for made_at, found in reversed(turns(report)):
        own = [turn for turn in found if turn.news is not News.CHOSEN]  # more was run: no news of the script
        if own or not found:
            _entry(root, uuid.uuid5(name, made_at).urn, made_at, own, names)
    if not report.history:
        _entry(root, uuid.uuid5(name, "first").urn, report.made_at, [], names, first=f"{summary(report)}.")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, "unicode")}\n'


def _entry(
    root: ET.Element, identity: str, made_at: str, found: list[Turn], names: dict[str, str], *, first: str = ""
) -> None:
    entry = ET.SubElement(root, "entry")
    counts = Counter(one.news for one in found)
    told = ", ".join(f"{counts[news]} {news.value}" for news in News if counts[news])
    _text(entry, "id", identity)
    _text(entry, "title", f"First published run of {minute(made_at)}" if first else told or "Other figures")
    _text(entry, "updated", made_at)
    ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": "changes.html"})
    lines = [_line(one, names) for one in found[:_MOST_LINES]]
    if len(found) > _MOST_LINES:
        lines.append(f"<li>and {len(found) - _MOST_LINES} more</li>")
    content = _text(entry, "content", f"<p>{escape(first)}</p>" if first else f"<ul>{''.join(lines)}</ul>")
    content.set("type", "html")


def _line(turn: Turn, names: dict[str, str]) -> str:
    name = one_line(names.get(turn.cell, "a cell that is no longer in the matrix"))
    steps = " → ".join(_told(seen) for seen in (turn.before, turn.after))
    linked = f'<a href="cells/{turn.cell}.html">{escape(name)}</a>' if turn.cell in names else escape(name)
    return f"<li>{linked}: {escape(steps)} ({turn.news.value})</li>"


def _told(seen: PastCell | None) -> str:
    if seen is None:
        return "not in the matrix"
    return " ".join(filter(None, [str(seen.outcome), figure(seen.final)]))


def _text(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, name)
    element.text = one_line(text)
    return element
