"""A result as a notebook shows it: a compact matrix in HTML, the rows as a DataFrame, and these with colours.

Whatever a script printed is text here: everything is escaped, and no style or link comes from a trial.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.reports.notation import SYMBOLS, cause, convergence, final_figure
from runner.reports.spreadsheet import columns
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from pandas.io.formats.style import Styler

    from runner.outcomes.result import CellResult, Result

_COLOURS = {"good": "#0072b2", "bad": "#d55e00", "undecided": "#b58900", "untestable": "#767676"}
_MOST_COLUMNS, _MOST_ROWS = 12, 200
_LONGEST, _SHORT = 200, 40
_CELL = "text-align:left;padding:.25em .6em;vertical-align:top"


def frame_of(result: Result) -> pd.DataFrame:
    """The cells as a DataFrame, one row a cell, with the columns of `results.csv`."""
    import pandas as pd  # noqa: PLC0415 - takes half a second, and no other output needs it

    return pd.DataFrame(list(columns(result)))


def styled(frame: pd.DataFrame) -> Styler:
    """The DataFrame with outcomes in the colour of their kind, everything in it escaped.

    Raises UsageError where jinja2, with which pandas writes HTML, is not installed.
    """
    try:
        style = frame.style
    except (ImportError, AttributeError) as error:
        raise UsageError(
            "pandas styles tables with jinja2, which is not installed: pip install 'convergence-matrix[notebook]'"
        ) from error
    kinds = frame["kind"]

    def coloured(column: pd.Series[str]) -> list[str]:
        return [f"color: {_COLOURS[kinds[index]]}; font-weight: bold" for index in column.index]

    shown = style.format(escape="html", precision=4, na_rep="").format_index(escape="html", axis=1)
    return shown.apply(coloured, subset=["outcome"])


def html_of(result: Result, missed: Iterable[str] = ()) -> str:
    """The matrix: one axis as columns, the others as rows, in each cell its symbol, outcome, count and final value.

    `missed` has a line for each expectation that failed.
    """
    across, down = _layout([cell.values for cell in result.cells])
    heads = list(dict.fromkeys(cell.values.get(across, "") for cell in result.cells)) if across else [""]
    by_place: dict[tuple[str, ...], dict[str, CellResult]] = {}
    for cell in result.cells:
        place = tuple(cell.values.get(axis, "") for axis in down)
        by_place.setdefault(place, {})[cell.values.get(across, "")] = cell
    head = [*map(_head, down), *(_head(f"{across} {text}" if across else "outcome") for text in heads)]
    lines = [
        "".join([*map(_head, place), *(_cell(found.get(text)) for text in heads)])
        for place, found in list(by_place.items())[:_MOST_ROWS]
    ]
    left = len(by_place) - _MOST_ROWS
    return "".join(
        [
            f"<h3>{_text(result.title)}</h3>",
            f"<p><strong>{_text(result.complaint)}</strong></p>" if result.complaint else "",
            f"<table><thead><tr>{''.join(head)}</tr></thead><tbody>",
            *(f"<tr>{line}</tr>" for line in lines),
            "</tbody></table>",
            f"<p>and {left} more rows; table() has all.</p>" if left > 0 else "",
            *(f"<p>{_text(line)}</p>" for line in missed),
        ]
    )


def _layout(cells: Sequence[Mapping[str, str]]) -> tuple[str, list[str]]:
    """The axis that goes across, the one with most values that fit, and those that go down; of those that vary."""
    names = dict.fromkeys(axis for cell in cells for axis in cell)
    values = {axis: len({cell.get(axis) for cell in cells}) for axis in names}
    varied = [axis for axis in names if values[axis] > 1] or list(names)[:1]
    fitting = [axis for axis in varied if values[axis] <= _MOST_COLUMNS] if len(varied) > 1 else []
    across = max(fitting, key=lambda axis: values[axis], default="")
    return across, [axis for axis in varied if axis != across]


def _head(text: str) -> str:
    return f'<th style="{_CELL}">{_text(text)}</th>'


def _cell(cell: CellResult | None) -> str:
    if cell is None:
        return f'<td style="{_CELL}"></td>'
    why = cause(cell) or cell.reason
    figures = " ".join(filter(None, (convergence(cell), final_figure(cell))))
    figures = f"{figures} {one_line(why, _SHORT)}" if cell.outcome.breaks else figures
    return (
        f'<td style="{_CELL};border-left:4px solid {_COLOURS[cell.kind]}" title="{_text(why)}">'
        f"{SYMBOLS[cell.kind]} {_text(cell.told)}<br><small>{_text(figures)}</small></td>"
    )


def _text(text: str) -> str:
    return escape(one_line(text, _LONGEST))
