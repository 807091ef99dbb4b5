"""Standard output: its console, tables of records, JSON, and text in lines that fit."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runner.reports.notation import ASCII_SYMBOLS, SYMBOLS
from runner.reports.terminal.streams import GuardedConsole
from runner.reports.untrusted import json_text, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

STYLES = {"good": "green", "bad": "red", "undecided": "yellow", "untestable": "magenta"}
"""The colour of each kind of outcome; what it says, symbol and word say too."""
_PIPE_COLUMNS = 200
_MOST_LINES = 2
"""Of one reason."""


def output_console() -> Console:
    """Standard output; as wide as the terminal or COLUMNS say, else wide enough that a pipe loses nothing."""
    console = GuardedConsole(soft_wrap=False)
    is_sized = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if is_sized and console.width > 0 else GuardedConsole(width=_PIPE_COLUMNS)


def print_json(value: object) -> None:
    """Print a value that JSON can have, indented, on standard output."""
    write_json(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_json(text: str) -> None:
    """Write JSON text to standard output; what a terminal would obey is escaped in it."""
    sys.stdout.write(json_text(text))


def symbols_for(console: Console) -> Mapping[str, str]:
    """The symbols of the kinds of outcomes that a console can show."""
    return ASCII_SYMBOLS if console.options.ascii_only else SYMBOLS


def print_records(records: Sequence[Mapping[str, str | int]], output: str) -> None:
    """Print records that share their keys, as a table or as JSON."""
    if output == "json":
        print_json(records)
        return
    if not records:
        sys.stdout.write("There is nothing.\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in records[0]:
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(Text(str(value)) for value in record.values()))
    output_console().print(table)


def print_lines(console: Console, texts: Iterable[str], style: str) -> None:
    """Print texts in full, each in lines that fit."""
    for text in texts:
        for line in fitted(text, console.width, most=None):
            console.print(Text(line, style=style))


def fitted(
    text: str, width: int, *, indent: str = "", hanging: str | None = None, most: int | None = _MOST_LINES
) -> list[str]:
    """A text in lines of `width`; where it needs more than `most`, the last ends in an ellipsis."""
    return textwrap.wrap(
        one_line(text),
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
    )


def side_by_side(texts: Iterable[str], width: int) -> Iterator[str]:
    """Texts three spaces apart, in lines of at most `width`; a longer text is cut with an ellipsis."""
    line = ""
    for text in texts:
        fitting = text if cell_len(text) <= width else f"{text[: width - 1]}…"
        if line and cell_len(line) + 3 + cell_len(fitting) > width:
            yield line
            line = ""
        line = f"{line}   {fitting}" if line else fitting
    if line:
        yield line
