"""Text that others wrote (scripts, logs, exceptions, indexes), made safe for what shows it: shown, never obeyed.

There is one border for each kind of sink, and all text goes through it, whoever wrote it:

- terminal and pipe: `GuardedStream` around standard output and error, and the cells of a Rich console (`terminal/`);
- the log of a CI system: `CommandsAsText` below both: no line of it is a command but what `commands_to` writes;
- JSON on standard output: `json_text`, which loses nothing;
- HTML: the templates' autoescape with `visible`, and `terminal_html`; scripts of the site: `pages.receive`;
- Markdown: the type `MarkdownText`, which only `markdown.escaped` and the module's own words have;
- CSV: `spreadsheet.guarded`, of every field and name; XML (JUnit, the feed, the badge): `one_line`, `stripped`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import groupby

from markupsafe import Markup, escape

MOST_LOG = 65_536
"""Characters of a log that a page shows; of a longer one its head and its tail."""

_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""An escape sequence of a terminal: CSI with its parameters and its end, OSC as a whole, or two characters."""
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b[\]P^_X].*?(?:\x07|\x1b\\|$)"  # titles, links: up to their end
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what shows nothing, turns the text around it or ends a line: controls, bidi marks, halves."""
_HARMLESS = "\n\t\N{SOFT HYPHEN}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Characters without shape that some scripts and emoji need."""


_UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")
_COMMANDS = re.compile(r"(?m)^([^\S\n]*(?:\x1b\[[0-9;]*m[^\S\n]*)*):(?=:)|##(?=\[|vso\[|teamcity\[)")
"""What GitHub, Azure and TeamCity take for commands: at the beginning of a line, or anywhere in it."""


def stripped(text: str) -> str:
    """The text without ANSI sequences; other characters that do not show become U+FFFD, line ends and tabs stay."""
    if text.isascii() and text.isprintable():  # most texts are, and an escape sequence never is
        return text
    if _UNUSUAL.search(text) is None:
        return text
    return _UNUSUAL.sub(lambda found: _shown(found[0]), _ESCAPES.sub("", text).replace("\r\n", "\n"))


def json_text(text: str) -> str:
    """JSON text in which every character that does not show is escaped: what it means stays the same."""
    if _UNUSUAL.search(text) is None:
        return text
    return _UNUSUAL.sub(lambda found: _json_escape(found[0]) if _is_hidden(found[0]) else found[0], text)


def _json_escape(character: str) -> str:
    """The escape of a character in JSON; a return between tokens is a line end."""
    return "\n" if character == "\r" else json.dumps(character)[1:-1]


def without_commands(text: str, *, new_line: bool) -> str:
    """The text with no command of a CI system in it; `new_line`: it begins a line."""
    if ":" not in text and "#" not in text:
        return text
    marked = text if new_line else f"\0{text}"
    return _COMMANDS.sub(lambda found: f"{found[1]}: " if found[1] is not None else "## ", marked).removeprefix("\0")


def one_line(text: str, longest: int = 0) -> str:
    """The text in one line of at most `longest` characters (0: as long as it is)."""
    line = " ".join(stripped(text).split())
    return f"{line[: longest - 1]}…" if 0 < longest < len(line) else line


def _is_hidden(character: str) -> bool:
    return character not in _HARMLESS and unicodedata.category(character) in _HIDDEN


def _shown(character: str) -> str:
    if character == "\r":
        return "\n"
    return "\N{REPLACEMENT CHARACTER}" if _is_hidden(character) else character


def visible(text: str) -> str:
    """The text with every control in it as the name of its character: a bidi override turns nothing around."""
    if text.isprintable():  # no control is; most texts are
        return text
    return _UNUSUAL.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩" if _is_hidden(found[0]) else found[0], text)


def capped(text: str, most: int = MOST_LOG) -> str:
    """The text, or head and tail of it where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    head, tail = most // 4, most - most // 4
    return f"{text[:head]}\n[… {len(text) - most:,} characters left out …]\n{text[-tail:]}"


def terminal_html(log: str) -> Markup:
    """A log as a terminal would show it in the end: colours as classes, progress bars as their last state."""
    lines: list[list[tuple[str, str]]] = [[]]
    styles: set[str] = set()
    place = 0
    for found in _SEQUENCE.finditer(log):
        _write(lines, log[place : found.start()], styles)
        if found[2] == "m":
            styles = _styled(styles, found[1])
        place = found.end()
    _write(lines, log[place:], styles)
    return Markup("\n").join(map(_line, lines))


def terminal_text(log: str) -> str:
    """A log as a terminal would show it in the end, without colours: of a progress bar its last state."""
    lines: list[list[tuple[str, str]]] = [[]]
    _write(lines, _ESCAPES.sub("", log), set())
    return stripped("\n".join("".join(text for text, _ in line) for line in lines))


def _write(lines: list[list[tuple[str, str]]], text: str, styles: set[str]) -> None:
    """Add text to the last line, in pieces with their classes."""
    classes = " ".join(sorted(styles))
    for part in re.split(r"(\r\n|[\n\r\b])", text):
        match part:
            case "\n" | "\r\n":
                lines.append([])
            case "\r":
                lines[-1] = []
            case "\b":
                _step_back(lines[-1])
            case "":
                pass
            case _:
                lines[-1].append((part, classes))


def _step_back(line: list[tuple[str, str]]) -> None:
    """Take the last character of a line away."""
    if line:
        text, classes = line.pop()
        if len(text) > 1:
            line.append((text[:-1], classes))


def _line(pieces: list[tuple[str, str]]) -> Markup:
    html = Markup()
    for classes, run in groupby(pieces, key=lambda piece: piece[1]):
        words = escape(visible("".join(text for text, _ in run)))
        html += Markup('<span class="{}">{}</span>').format(classes, words) if classes else words
    return html


def _styled(styles: set[str], parameters: str) -> set[str]:
    """The styles after a colour sequence; what a page does not show (backgrounds, 256 colours) changes nothing."""
    codes = [int(code) for code in re.findall(r"\d+", parameters)] or [0]
    for code in codes:
        if code in {38, 48}:
            return styles
        if code == 0:
            styles = set()
        elif code in _STYLES:
            styles = styles | {f"ansi-{_STYLES[code]}"}
        elif 30 <= code <= 39 or 90 <= code <= 97:
            styles = {style for style in styles if style.removeprefix("ansi-") not in _COLOURS}
            styles |= {f"ansi-{_COLOURS[code % 10]}"} if code % 10 < 8 else set()
    return styles
