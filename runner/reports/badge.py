"""The result as a badge: `convergence | 12/15 converge`, an SVG that needs no font and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from runner.outcomes.result import Result

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
