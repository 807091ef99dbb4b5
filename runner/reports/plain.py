"""Text as a script printed it, made safe to show: no escape sequences, no control characters, on one line where asked.

What is left may still be markup of some language: whoever writes that language escapes it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.outcomes.result import CellResult, NeighbourChange, Result

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b[\]P^_X].*?(?:\x07|\x1b\\|$)"  # titles, links: up to their end
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Unicode's categories of what shows nothing, or turns the text around it: controls, bidi marks, half characters."""
_HARMLESS = "\n\t\N{SOFT HYPHEN}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""What some scripts and emoji are written with."""
SYMBOLS = {"good": "✓", "bad": "✗", "undecided": "?", "untestable": "⊘"}


def plain(text: str) -> str:
    """The text without ANSI sequences; other characters that do not show become U+FFFD, line ends and tabs stay."""
    if text.isascii() and text.isprintable():  # most texts are, and an escape sequence never is
        return text
    return "".join(map(_shown, _ESCAPES.sub("", text).replace("\r\n", "\n")))


def one_line(text: str, longest: int = 0) -> str:
    """The text in one line of at most `longest` characters (0: as long as it is)."""
    line = " ".join(plain(text).split())
    return f"{line[: longest - 1]}…" if 0 < longest < len(line) else line


def _shown(character: str) -> str:
    if character in _HARMLESS:
        return character
    if character == "\r":
        return "\n"
    hidden = unicodedata.category(character) in _HIDDEN
    return "\N{REPLACEMENT CHARACTER}" if hidden else character


def symbol(cell: CellResult) -> str:
    """One character for the kind of a cell's outcome, so that colour is never the only sign."""
    return SYMBOLS[cell.kind]


def cell_name(cell: CellResult) -> str:
    """The cell as `--only` takes it."""
    return ",".join(f"{axis}={value}" for axis, value in cell.values.items())


def why(cell: CellResult, longest: int = 0) -> str:
    """What made a cell what it is, in a line: its exception, else the reason; of a good one what is noted of it."""
    if cell.exception is not None:
        return one_line(f"{cell.exception.type}: {cell.exception.message}", longest)
    return one_line(" ".join(cell.flags) if cell.kind == "good" else cell.reason, longest)


def final_words(cell: CellResult, digits: int = 3) -> str:
    """The final value to read: `nan` where that is what the cell came to, whatever its last number was."""
    if cell.outcome == "fails (nan)":
        return "nan"
    return "" if cell.final is None else f"{cell.final:.{digits}g}"


def change_words(cells: Mapping[str, CellResult], change: NeighbourChange) -> tuple[str, str, str]:
    """What stays the same, the step along the axis, what it does to the outcome; empty where a cell is missing.

    `cells` are those of the report by their ids.
    """
    before, after = cells.get(change.before), cells.get(change.after)
    if before is None or after is None:
        return "", "", ""
    same = ", ".join(f"{axis} {value}" for axis, value in after.values.items() if before.values.get(axis) == value)
    steps = (before.values.get(change.axis, "none"), after.values.get(change.axis, "none"))
    return same, f"{change.axis} {steps[0]} → {steps[1]}", f"{before.outcome} → {after.outcome}"


def summary(report: Result) -> str:
    """How many cells are of which kind: `12 of 15 cells converge, 1 fails, 2 can't run`."""
    kinds = {kind: sum(cell.kind == kind for cell in report.cells) for kind in SYMBOLS}
    words = [f"{kinds['good']} of {len(report.cells)} cells converge"]
    words += [f"{kinds['bad']} fail{'s' if kinds['bad'] == 1 else ''}"] if kinds["bad"] else []
    words += [f"{kinds['undecided']} undecided"] if kinds["undecided"] else []
    words += [f"{kinds['untestable']} can't run"] if kinds["untestable"] else []
    return ", ".join(words)
