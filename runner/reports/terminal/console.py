"""Standard output: its console, tables of records, text in lines that fit, and streams that lack a character."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.reports.notation import ASCII_SYMBOLS, SYMBOLS
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STYLES = {"good": "green", "bad": "red", "undecided": "yellow", "untestable": "magenta"}
"""The colour of each kind of outcome; what it says, symbol and word say too."""
_PIPE_COLUMNS = 200
_MOST_LINES = 2
"""Of one reason."""
_REPLACEMENTS = {"→": "->", "…": "..."}
_HANDLER = "runner-replacement"


def output_console() -> Console:
    """Standard output; as wide as the terminal or COLUMNS say, else wide enough that a pipe loses nothing."""
    console = Console(highlight=False, soft_wrap=False)
    is_sized = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if is_sized else Console(highlight=False, width=_PIPE_COLUMNS)


def symbols_for(console: Console) -> Mapping[str, str]:
    """The symbols of the kinds of outcomes that a console can show."""
    return ASCII_SYMBOLS if console.options.ascii_only else SYMBOLS


def print_records(records: Sequence[Mapping[str, str | int]], output: str) -> None:
    """Print records that share their keys, as a table or as JSON."""
    if output == "json":
        sys.stdout.write(json.dumps(records, indent=2, ensure_ascii=False) + "\n")
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


def spare_streams() -> None:
    """Make standard output and error replace the characters that their encoding lacks: no command ends for one."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(character, "?") for character in missing), error.end
