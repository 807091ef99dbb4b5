"""One row a cell: what a user reads of an outcome, as a value, as a pandas DataFrame, and as text in `text`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from runner.matrix.axes import RESERVED_AXES
from runner.outcomes.series import epoch_seconds, reported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.result import ComparisonResult
    from runner.trials.record import Record


Scalar = str | int | float | None
_SHOWN_PACKAGES = ("tensorflow", "keras", "numpy")
_MODULES = {
    "tensorflow": "tensorflow_core",  # TensorFlow 1.15 to 2.1
    "tensorflow-cpu": "tensorflow",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "opencv-python": "cv2",
    "pillow": "PIL",
}
"""The modules of packages that are imported by another name."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell of the table; figures are None where no trial gave one."""

    cell: Mapping[str, str]
    outcome: str
    kind: str
    seeds: int
    """How many trials ran."""
    converged: int
    counted: int
    interval: tuple[float, float] | None
    final_loss: float | None
    """The median over the trials of the last reported loss."""
    epoch_s: float | None
    """The median over the trials of each one's median seconds an epoch, the first epoch left out."""
    peak_memory_mb: float | None
    """The highest of all trials, in units of 1,000,000 bytes."""
    imported: Mapping[str, str]
    """Versions of the packages as they were really imported: those of the axes, TensorFlow, Keras and NumPy."""
    python: str
    engine: str
    image: str
    lock: str
    lock_digest: str
    exception: str
    script_line: str
    flags: tuple[str, ...]
    reason: str
    compared: ComparisonResult | None = None
    """The cell against the baseline; None without one."""

    def columns(self) -> dict[str, Scalar]:
        """The row as flat columns, the same names in the same order for all rows of a matrix."""
        low, high = self.interval or (None, None)
        figures: dict[str, Scalar] = {
            "outcome": self.outcome,
            "kind": self.kind,
            "seeds": self.seeds,
            "converged": self.converged,
            "counted": self.counted,
            "interval_low": low,
            "interval_high": high,
            "final_loss": self.final_loss,
            "epoch_s": self.epoch_s,
            "peak_memory_mb": self.peak_memory_mb,
            **{f"{package}_imported": version for package, version in self.imported.items()},
            "cpython": self.python,
            "engine": self.engine,
            "image": self.image,
            "lock": self.lock,
            "lock_digest": self.lock_digest,
            "exception": self.exception,
            "script_line": self.script_line,
            "flags": " ".join(self.flags),
            "reason": self.reason,
            "comparison": self.compared.label if self.compared else "",
            "comparison_p": self.compared.p if self.compared else None,
            "comparison_reason": self.compared.reason if self.compared else "",
        }
        axes = {f"{axis}_axis" if axis in figures else axis: value for axis, value in self.cell.items()}
        return {**axes, **figures}


def table(rows: Iterable[Row]) -> pd.DataFrame:
    """The table as a DataFrame: one row a cell, its columns as in `Row.columns`."""
    import pandas as pd  # noqa: PLC0415 - takes half a second, and the terminal's table does not need it

    return pd.DataFrame([row.columns() for row in rows])


def row_of(outcome: JudgedCell, compared: ComparisonResult | None = None) -> Row:
    """The row of one cell."""
    records = outcome.records
    peaks = [record.peak_memory_bytes for record in records if record.peak_memory_bytes is not None]
    return Row(
        cell=outcome.id.values,
        outcome=str(outcome.outcome),
        kind=outcome.kind.value,
        seeds=outcome.n_trials,
        converged=outcome.converged,
        counted=outcome.counted,
        interval=outcome.interval,
        final_loss=median_of([loss for record in records if (loss := _last_loss(record)) is not None]),
        epoch_s=median_of([seconds for record in records if (seconds := epoch_seconds(record)) is not None]),
        peak_memory_mb=max(peaks) / 1e6 if peaks else None,
        imported=_imported(outcome),
        python=all_of(record.python for record in records),
        engine=all_of(record.engine for record in records),
        image=all_of(record.image for record in records),
        lock=all_of(record.lock for record in records),
        lock_digest=all_of(record.lock_digest for record in records),
        exception=_exception(outcome),
        script_line=_script_line(outcome),
        flags=outcome.flags,
        reason=outcome.reason,
        compared=compared,
    )


def median_of(values: list[float]) -> float | None:
    """The median, with NaN counted as worse than every number; None of nothing."""
    if not values:
        return None
    middle = median(math.inf if math.isnan(value) else value for value in values)
    return middle if math.isfinite(middle) else math.nan


def _last_loss(record: Record) -> float | None:
    return next((value for value in reversed(reported(record, "loss").values) if value is not None), None)


def _imported(outcome: JudgedCell) -> dict[str, str]:
    names = dict.fromkeys((*_SHOWN_PACKAGES, *(axis for axis in outcome.id.values if axis not in RESERVED_AXES)))
    return {name: all_of(_version(record, name) for record in outcome.records) for name in names}


def _version(record: Record, package: str) -> str | None:
    """The version of a package under the name that it was imported by."""
    for module in (package, package.replace("-", "_"), _MODULES.get(package, "")):
        if module in record.packages:
            return record.packages[module].version
    return None


def all_of(values: Iterable[str | None]) -> str:
    """The one value that all trials have; where they differ all of them."""
    return " / ".join(sorted({value for value in values if value}))


def _exception(outcome: JudgedCell) -> str:
    record = outcome.example[0] if outcome.example is not None else None
    if record is None or record.exception is None:
        return ""
    return f"{record.exception.type}: {record.exception.message}"


def _script_line(outcome: JudgedCell) -> str:
    exception = outcome.example[0].exception if outcome.example is not None else None
    if exception is None or exception.line is None:
        return ""
    return f"{exception.file or 'script'}:{exception.line}"
