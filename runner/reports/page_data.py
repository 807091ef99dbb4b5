"""The data of the site as scripts, which a page that is opened from disk can load; it can't fetch.

Controls in their texts are made visible here, so that no page needs to.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from runner.reports.notation import SYMBOLS
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.outcomes.result import CellResult, LockResult, Result, TrialResult


_LOCK_DIGITS = 12
_NO_LETTER = re.compile(r"[\W_]+")
_ESCAPE = re.compile(r"\\(?:u(d[89a-f]..)|u....|.)")
"""An escape in JSON; one half of a character beyond 16 bits is no control."""


def lock_name(digest: str) -> str:
    """The name under which the site has a lock; empty where there is none."""
    return _NO_LETTER.sub("", digest.removeprefix("sha256:"))[:_LOCK_DIGITS]


def matrix_script(report: Result) -> str:
    """All cells, a column for each value; texts that cells share stand in a list once."""
    cells = report.cells
    places = {cell.id: place for place, cell in enumerate(cells)}
    words = {
        "outcome": [str(cell.outcome) for cell in cells],
        "reason": [cell.reason for cell in cells],
        "exception": [_exception(cell) for cell in cells],
        "compared": [cell.comparison.label if cell.comparison else "" for cell in cells],
        "flags": [" ".join(cell.flags) for cell in cells],
        "expected": [cell.expected for cell in cells],
        "lock": [lock_name(cell.lock) for cell in cells],
    }
    tables = {name: list(dict.fromkeys(column)) for name, column in words.items()}
    columns = {
        "id": [cell.id for cell in cells],
        "values": [_positions([cell.values.get(axis.name) for cell in cells], axis.values) for axis in report.axes],
        "kind": _positions([cell.kind for cell in cells], SYMBOLS),
        "converged": [cell.converged for cell in cells],
        "counted": [cell.counted for cell in cells],
        "seeds": [len(cell.trials) for cell in cells],
        "final": [_number(cell.final) for cell in cells],
        "seconds": [_number(cell.epoch_s) for cell in cells],
        "memory": [cell.peak_memory_bytes for cell in cells],
        "failures": [cell.failures for cell in cells],
        "missed": [1 if cell.expected and not cell.as_expected else 0 for cell in cells],
        **{name: _positions(column, tables[name]) for name, column in words.items()},
    }
    axes = [{"name": axis.name, "kind": axis.kind, "values": axis.values} for axis in report.axes]
    found = {
        "axes": axes,
        "base": report.base,
        "metric": report.metric,
        "baseline": places.get(report.baseline),
        "kinds": list(SYMBOLS),
        "words": tables,
        "cells": columns,
        "failures": [
            {"label": one.label, "reason": one.reason, "cells": [places[cell] for cell in one.cells if cell in places]}
            for one in report.failures
        ],
        "changes": [
            [change.axis, places[change.before], places[change.after]]
            for change in report.changes
            if change.before in places and change.after in places
        ],
    }
    return _script("matrix", found)


def cell_script(cell: CellResult) -> str:
    """The values of one cell that charts and comparisons need."""
    found = {
        "id": cell.id,
        "values": cell.values,
        "outcome": str(cell.outcome),
        "kind": cell.kind,
        "reason": cell.reason,
        "converged": cell.converged,
        "counted": cell.counted,
        "final": _number(cell.final),
        "seconds": _number(cell.epoch_s),
        "memory": cell.peak_memory_bytes,
        "python": cell.python,
        "engine": cell.engine,
        "lock": lock_name(cell.lock),
        "compared": cell.comparison.reason if cell.comparison else "",
        "trials": list(map(_trial, cell.trials)),
    }
    return _script("cell", found)


def lock_script(name: str, lock: LockResult) -> str:
    """The packages of one environment, by name."""
    packages = {package.name: package.version for package in lock.packages}
    return _script("lock", {"id": name, "python": lock.python, "as_of": lock.as_of, "packages": packages})


def _trial(trial: TrialResult) -> dict[str, Any]:
    return {
        "seed": trial.seed,
        "label": trial.label,
        "metric": trial.metric,
        "mode": trial.mode,
        "final": _number(trial.final),
        "epochs": trial.epochs,
        "curves": {name: list(map(_number, values)) for name, values in trial.curves.items()},
        "seconds": trial.epoch_seconds,
        "memory": trial.memory_bytes,
    }


def _script(kind: str, found: dict[str, Any]) -> str:
    """One value as a script; only ASCII in it, so that no encoding can change what it says."""
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return f"site.receive({json.dumps(kind)},{_ESCAPE.sub(_visible, text)});\n"


def _visible(escape: re.Match[str]) -> str:
    """An escape of JSON as it is, but a control as the name of its character."""
    letter: str = json.loads(f'"{escape[0]}"') if not escape[1] else ""
    shown = visible(letter)
    return escape[0] if shown == letter else json.dumps(shown)[1:-1]


def _positions(column: Sequence[str | None], among: Iterable[str]) -> list[int]:
    """The position of each value of a column in a list; -1 where it does not."""
    places = {value: place for place, value in enumerate(among)}
    return [-1 if value is None else places.get(value, -1) for value in column]


def _number(value: float | None) -> float | str | None:
    """A number as JSON has it; one that is not finite as its name."""
    return value if value is None or math.isfinite(value) else str(value)


def _exception(cell: CellResult) -> str:
    return f"{cell.exception.type}: {cell.exception.message}" if cell.exception else ""
