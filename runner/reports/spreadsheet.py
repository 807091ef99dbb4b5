"""The cells as flat columns, one row a cell: what `results.csv`, `table --format csv|json` and the DataFrame share.

`readable` gives the columns that a person wants, for Markdown and for the terminal's wide table.
"""

from __future__ import annotations

import csv
import io
import json
import math
from itertools import chain
from typing import TYPE_CHECKING

from runner.matrix.axes import RESERVED_AXES
from runner.reports.notation import convergence, figure, final_figure, interval
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.outcomes.result import CellResult, Result


Scalar = str | int | float | bool | None
SHOWN_PACKAGES = ("tensorflow", "keras", "numpy")
_MODULES = {
    "tensorflow": "tensorflow_core",  # TensorFlow 1.15 to 2.1
    "tensorflow-cpu": "tensorflow",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "opencv-python": "cv2",
    "pillow": "PIL",
}
"""The modules of packages that are imported by another name."""
_END = "\n"
_FORMULA = frozenset("=+-@")
"""First characters of a spreadsheet's formulas."""


def columns(result: Result) -> Iterator[dict[str, Scalar]]:
    """The rows, with the same names in the same order; None and the empty text where nothing is known."""
    packages = _packages(result)
    return (_row(result, cell, packages) for cell in result.cells)


def csv_lines(result: Result) -> Iterator[str]:
    """The rows as CSV, a header first; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    rows = columns(result)
    first = next(rows, None)
    yield _csv_line(first or ["outcome"])
    for row in chain([first] if first else [], rows):
        yield _csv_line(row.values())


def _csv_line(values: Iterable[Scalar]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow(map(guarded, values))
    return stream.getvalue()


def json_rows(result: Result) -> Iterator[str]:
    """The rows as a JSON list, in parts; NaN is the text "nan", since JSON has no number for it."""
    if not result.cells:
        yield "[]\n"
        return
    begin = "["
    for row in columns(result):
        found = {name: _jsonable(value) for name, value in row.items()}
        text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
        yield f"{begin}\n  {text.replace(_END, f'{_END}  ')}"
        begin = ","
    yield "\n]\n"


def readable(result: Result) -> Iterator[list[str]]:
    """The columns that a person wants, a header first; texts are whole, as the script's world gave them."""
    packages = [name for name in _packages(result) if any(_imported(cell, name) for cell in result.cells)]
    axes = [axis.name for axis in result.axes]
    compared = any(cell.comparison for cell in result.cells)
    head = [
        *axes,
        *("outcome", "converged", "95 % interval", f"final {result.metric}", "s/epoch", "peak MB", "CPython"),
        *(f"{name} imported" for name in packages),
        *(["compared"] if compared else []),
        "exception",
    ]
    yield head
    for cell in result.cells:
        yield [
            *(cell.values.get(axis, "") for axis in axes),
            f"{cell.told} [{', '.join(cell.flags)}]" if cell.flags else cell.told,
            convergence(cell),
            interval(cell),
            final_figure(cell),
            figure(cell.epoch_s),
            "" if cell.peak_memory_bytes is None else f"{cell.peak_memory_bytes / 1e6:.0f}",
            cell.python,
            *(_imported(cell, name) for name in packages),
            *([cell.comparison.label if cell.comparison else ""] if compared else []),
            f"{_exception(cell)} ({_line(cell)})" if _line(cell) else _exception(cell),
        ]


def _row(result: Result, cell: CellResult, packages: list[str]) -> dict[str, Scalar]:
    lock = result.locks.get(cell.lock)
    known: dict[str, Scalar] = {
        "outcome": str(cell.outcome),
        "kind": cell.kind.value,
        "seeds": cell.seeds,
        "converged": cell.converged,
        "counted": cell.counted,
        "interval_low": cell.interval.low if cell.interval else None,
        "interval_high": cell.interval.high if cell.interval else None,
        f"final_{result.metric}": cell.final,
        "epoch_s": cell.epoch_s,
        "peak_memory_bytes": cell.peak_memory_bytes,
        **{f"{name}_imported": _imported(cell, name) for name in packages},
        "cpython": cell.python,
        "engine": cell.engine,
        "image": cell.image,
        "lock": lock.name if lock else "",
        "lock_digest": cell.lock,
        "exception": _exception(cell),
        "script_line": _line(cell),
        "flags": " ".join(cell.flags),
        "reason": cell.reason,
        "comparison": cell.comparison.label if cell.comparison else "",
        "comparison_p": cell.comparison.p if cell.comparison else None,
        "comparison_reason": cell.comparison.reason if cell.comparison else "",
        "expected": cell.expected,
        "as_expected": cell.as_expected,
        "id": cell.id,
    }
    axes = {f"{name}_axis" if name in known else name: cell.values.get(name) for name in _axes(result)}
    return {**axes, **known}


def _axes(result: Result) -> list[str]:
    return [axis.name for axis in result.axes]


def _packages(result: Result) -> list[str]:
    """The packages whose imported versions are shown: TensorFlow, Keras and NumPy, then those of the axes."""
    return list(dict.fromkeys((*SHOWN_PACKAGES, *(name for name in _axes(result) if name not in RESERVED_AXES))))


def _imported(cell: CellResult, package: str) -> str:
    """The version of a package under the name that it was imported by; empty where it was not imported."""
    modules = (package, package.replace("-", "_"), _MODULES.get(package, ""))
    return next((cell.imported[module] for module in modules if module in cell.imported), "")


def _exception(cell: CellResult) -> str:
    return f"{cell.exception.type}: {cell.exception.message}" if cell.exception else ""


def _line(cell: CellResult) -> str:
    """The file and line of the script that raised."""
    return "" if cell.exception is None else cell.exception.place


def guarded(value: Scalar) -> Scalar:
    """Text with its controls made visible, and not what a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip()[:1] in _FORMULA else text


def _jsonable(value: Scalar) -> Scalar:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
