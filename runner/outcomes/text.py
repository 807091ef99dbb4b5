"""The table as text: Markdown to read, CSV and JSON to compute with."""

from __future__ import annotations

import html
import io
import math
from csv import DictWriter
from json import dumps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.outcomes.table import Row, Scalar

_LONGEST = 120


def markdown(rows: Sequence[Row]) -> str:
    """The columns that a reader wants, as a Markdown table."""
    head, *lines = readable(rows)
    table = [head, ["---"] * len(head), *([_escaped(text) for text in line] for line in lines)]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def readable(rows: Sequence[Row]) -> list[list[str]]:
    """The columns that a reader wants, a header first; texts are whole, as the script's world gave them."""
    packages = list(dict.fromkeys(name for row in rows for name, version in row.imported.items() if version))
    axes = list(dict.fromkeys(axis for row in rows for axis in row.cell))
    compared = any(row.compared for row in rows)
    head = [
        *axes,
        *("outcome", "converged", "95 % interval", "final loss", "s/epoch", "peak MB", "CPython"),
        *(f"{name} imported" for name in packages),
        *(["compared"] if compared else []),
        "exception",
    ]
    lines = [
        [
            *(row.cell.get(axis, "") for axis in axes),
            *figures(row),
            *(row.imported.get(name, "") for name in packages),
            *([row.compared.label if row.compared else ""] if compared else []),
            f"{row.exception} ({row.script_line})" if row.script_line else row.exception,
        ]
        for row in rows
    ]
    return [head, *lines]


def figures(row: Row) -> tuple[str, ...]:
    """A row's outcome, convergence count, interval, final loss, seconds an epoch, peak memory and CPython, to read."""
    low, high = row.interval or (None, None)
    return (
        f"{row.outcome} [{', '.join(row.flags)}]" if row.flags else row.outcome,
        f"{row.converged}/{row.counted}" if row.counted else "",
        f"{100 * low:.0f}-{100 * high:.0f} %" if low is not None and high is not None else "",
        "" if row.final_loss is None else f"{row.final_loss:.3g}",
        "" if row.epoch_s is None else f"{row.epoch_s:.3g}",
        "" if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}",
        row.python,
    )


def csv(rows: Sequence[Row]) -> str:
    """All columns of all rows, a header first; what is not known is empty."""
    records = [row.columns() for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO(newline="")
    writer = DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def json(rows: Sequence[Row]) -> str:
    """All columns of all rows as a JSON list; NaN is the text "nan", since JSON has no number for it."""
    records = [{name: _jsonable(value) for name, value in row.columns().items()} for row in rows]
    return dumps(records, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _jsonable(value: Scalar) -> Scalar:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _escaped(text: str) -> str:
    """Text that stays within its cell of a Markdown table and is not markup, whatever a script put into it."""
    line = " ".join(text.split())
    short = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return html.escape(short, quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")
