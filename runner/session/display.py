"""Results as a notebook shows them: a compact matrix in HTML, and the table with its outcomes coloured.

Whatever a script printed is text here: everything is escaped, and no style or link comes from a trial.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.reports.notation import SYMBOLS
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from pandas.io.formats.style import Styler

    from runner.outcomes.table import Row
    from runner.session.results import Results


_COLOURS = {"good": "#0072b2", "bad": "#d55e00", "undecided": "#b58900", "untestable": "#767676"}
_MOST_COLUMNS, _MOST_ROWS = 12, 200
_LONGEST = 200
_CELL = "text-align:left;padding:.25em .6em;vertical-align:top"


def html_of(results: Results) -> str:
    """The matrix: one axis as columns, the others as rows, a cell with symbol, word, count and final value."""
    rows = results.rows()
    across, down = _axes([row.cell for row in rows])
    columns = list(dict.fromkeys(row.cell.get(across, "") for row in rows)) if across else [""]
    by_place: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        place = tuple(row.cell.get(axis, "") for axis in down)
        by_place.setdefault(place, {})[row.cell.get(across, "")] = row
    head = [*map(_head, down), *(_head(f"{across} {text}" if across else "outcome") for text in columns)]
    lines = [
        "".join([*map(_head, place), *(_cell(found.get(text)) for text in columns)])
        for place, found in list(by_place.items())[:_MOST_ROWS]
    ]
    left = len(by_place) - _MOST_ROWS
    return "".join(
        [
            f"<p><strong>{_text(results.complaint)}</strong></p>" if results.complaint else "",
            f"<table><thead><tr>{''.join(head)}</tr></thead><tbody>",
            *(f"<tr>{line}</tr>" for line in lines),
            "</tbody></table>",
            f"<p>and {left} more rows; table() has all.</p>" if left > 0 else "",
            *(f"<p>{_text(str(miss))}</p>" for miss in results.misses),
        ]
    )


def styled(table: pd.DataFrame) -> Styler:
    """The table with outcomes in the colour of their kind, everything in it escaped.

    Raises UsageError where jinja2, with which pandas writes HTML, is not installed.
    """
    try:
        style = table.style
    except (ImportError, AttributeError) as error:
        raise UsageError(
            "pandas styles tables with jinja2, which is not installed: pip install 'convergence-matrix[notebook]'"
        ) from error
    kinds = table["kind"]

    def coloured(column: pd.Series[str]) -> list[str]:
        return [f"color: {_COLOURS[kinds[index]]}; font-weight: bold" for index in column.index]

    shown = style.format(escape="html", precision=4, na_rep="").format_index(escape="html", axis=1)
    return shown.apply(coloured, subset=["outcome"])


def _axes(cells: Sequence[Mapping[str, str]]) -> tuple[str, list[str]]:
    """The axis that goes across, the one with most values that fit, and those that go down; of those that vary."""
    names = dict.fromkeys(axis for cell in cells for axis in cell)
    values = {axis: len({cell.get(axis) for cell in cells}) for axis in names}
    varied = [axis for axis in names if values[axis] > 1] or list(names)[:1]
    fitting = [axis for axis in varied if values[axis] <= _MOST_COLUMNS] if len(varied) > 1 else []
    across = max(fitting, key=lambda axis: values[axis], default="")
    return across, [axis for axis in varied if axis != across]


def _head(text: str) -> str:
    return f'<th style="{_CELL}">{_text(text)}</th>'


def _cell(row: Row | None) -> str:
    if row is None:
        return f'<td style="{_CELL}"></td>'
    figures = [f"{row.converged}/{row.counted}" if row.counted else ""]
    figures += [f"{row.final_loss:.3g}"] if row.final_loss is not None else []
    why = _text(row.exception or row.reason)
    colour = _COLOURS[row.kind]
    return (
        f'<td style="{_CELL};border-left:4px solid {colour}" title="{why}">'
        f"{SYMBOLS[row.kind]} {_text(row.outcome)}<br><small>{_text(' '.join(filter(None, figures)))}</small></td>"
    )


def _text(text: str) -> str:
    return escape(one_line(text, _LONGEST))
