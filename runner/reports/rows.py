"""`results.csv`: one row a cell, made from a report alone."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from runner.outcomes.result import CellResult, Result


def as_csv(report: Result) -> str:
    """The cells with their axis values, outcome, figures and what explains them; empty where nothing is known."""
    rows = [_row(report, cell) for cell in report.cells]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(rows[0] if rows else ["outcome"])
    writer.writerows([[_safe(value) for value in row.values()] for row in rows])
    return stream.getvalue()


def _row(report: Result, cell: CellResult) -> dict[str, object]:
    axes = {axis.name: cell.values.get(axis.name) for axis in report.axes}
    lock = report.locks.get(cell.lock)
    return {
        **axes,
        "outcome": cell.outcome,
        "kind": cell.kind,
        "seeds": len(cell.trials),
        "converged": cell.converged,
        "counted": cell.counted,
        "interval_low": cell.interval.low if cell.interval else None,
        "interval_high": cell.interval.high if cell.interval else None,
        f"final_{report.metric}": cell.final,
        "epoch_s": cell.epoch_s,
        "peak_memory_bytes": cell.peak_memory_bytes,
        "cpython": cell.python,
        "engine": cell.engine,
        "image": cell.image,
        "lock": lock.name if lock else "",
        "lock_digest": cell.lock,
        "exception": f"{cell.exception.type}: {cell.exception.message}" if cell.exception else "",
        "flags": " ".join(cell.flags),
        "reason": cell.reason,
        "comparison": cell.comparison.label if cell.comparison else "",
        "comparison_p": cell.comparison.p if cell.comparison else None,
        "comparison_reason": cell.comparison.reason if cell.comparison else "",
        "as_expected": cell.as_expected,
        "id": cell.id,
    }


def _safe(value: object) -> object:
    """Text as it is, but not what a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
