"""The table of outcomes, a line a cell: the columns that fit, or all of them as wide as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runner.cli.grid import STYLES
from runner.outcomes import text
from runner.outcomes.cell import OutcomeKind
from runner.outcomes.layout import dimensions_of
from runner.outcomes.saying import short_scripts
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.outcomes import Row

_REASON_COLUMNS = 20
_FIGURES = {"converged": 1, "final loss": 3, "s/epoch": 4, "CPython": 6}
"""Columns by their place in `text.figures`."""


def wide_table(rows: Sequence[Row]) -> str:
    """All columns and nothing cut, aligned, however wide that is."""
    table = [[one_line(word) for word in line] for line in text.readable(rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    return "".join(
        "  ".join(word + " " * (size - cell_len(word)) for word, size in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in table
    )


def outcome_table(rows: Sequence[Row], width: int) -> Table | None:
    """The outcomes by the axes that vary; where `width` is too small, the least needed columns go.

    None where it is too small for what a table must have.
    """
    axes = list(dict.fromkeys(axis for row in rows for axis in row.cell))
    varied = [axis for axis in axes if len({row.cell.get(axis) for row in rows}) > 1] or axes
    columns = {axis: [row.cell.get(axis, "") for row in rows] for axis in varied}
    if "script" in columns:
        columns["script"] = [short_scripts(columns["script"])[path] for path in columns["script"]]
    columns |= _figures(rows)
    independent = {dimension.name for dimension in dimensions_of([row.cell for row in rows])} or set(axes)
    moving = [axis for axis in varied if axis not in independent]
    for name in ("CPython", "s/epoch", "compared", "final loss", *moving):
        if name in columns and _width(columns) > width:
            del columns[name]
    if _width(columns) > width:
        return None
    left = max(_REASON_COLUMNS, width - _width({name: words for name, words in columns.items() if name != "why"}) - 1)
    columns["why"] = [why if len(why) <= left else f"{why[: left - 1]}…" for why in columns["why"]]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row, *line in zip(rows, *columns.values(), strict=True):
        style = STYLES[OutcomeKind(row.kind)]
        table.add_row(
            *(Text(word, style=style if name == "outcome" else "") for name, word in zip(columns, line, strict=True))
        )
    return table


def _figures(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The columns behind the axes."""
    figures = [text.figures(row) for row in rows]
    return {
        "outcome": [row.outcome for row in rows],
        **{name: [row[place] for row in figures] for name, place in _FIGURES.items()},
        **({"compared": [row.compared.label if row.compared else "" for row in rows]} if _any_compared(rows) else {}),
        "why": [_why(row) for row in rows],
    }


def _any_compared(rows: Sequence[Row]) -> bool:
    return any(row.compared for row in rows)


def _why(row: Row) -> str:
    """What made a cell what it is, in a line."""
    why = row.exception or (" ".join(row.flags) if row.kind == OutcomeKind.GOOD else row.reason)
    return one_line(why)


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    return sum(_needed(name, columns) + 2 for name in columns)


def _needed(name: str, columns: Mapping[str, Sequence[str]]) -> int:
    """The width that a column needs; reasons may be cut to a few words."""
    needed = max(len(name), *(len(word) for word in columns[name]))
    return min(needed, _REASON_COLUMNS) if name == "why" else needed
