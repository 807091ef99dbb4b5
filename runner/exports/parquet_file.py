"""All series of all trials as one Parquet file, a row a value; written group by group, then moved into place."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.exports.exported_trial import series_of, tables_of
from runner.own_folder import begun_name
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from runner.exports.exported_trial import ExportedSeries, ExportedTrial

COLUMNS = ("trial", "seed", "engine", "verdict", "outcome", "kind", "phase", "step", "metric", "value")
"""The columns after those of the axes."""
_GROUP_ROWS = 200_000
"""So many rows wait in memory at most, and those of one trial more."""


def write_parquet(path: Path, trials: Iterable[ExportedTrial], axes: Sequence[str]) -> int:
    """Write the file; the number of trials in it. An axis named as another column gets `_axis` behind its name.

    NaN and infinity stay what they are; `value` is never missing.

    Raises UsageError where pyarrow is not installed, OSError where the file can't be written.
    """
    try:
        import pyarrow  # noqa: ICN001, PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"Parquet is written by pyarrow: `pip install 'convergence-matrix[parquet]'` ({error})."
        ) from error
    names = [f"{axis}_axis" if axis in COLUMNS else visible(axis) for axis in axes]
    types = {"seed": pyarrow.int64(), "step": pyarrow.int64(), "value": pyarrow.float64()}
    schema = pyarrow.schema(
        [pyarrow.field(name, types.get(name, pyarrow.string()), nullable=name in names) for name in (*names, *COLUMNS)]
    )
    part = path.with_name(begun_name())
    count = 0
    try:
        with parquet.ParquetWriter(part, schema, compression="zstd") as writer:
            waiting: list[Any] = []
            rows = 0
            for trial in trials:
                count += 1
                for series in (*series_of(trial.record), *tables_of(trial.record)):
                    waiting.append(_rows(pyarrow, schema, trial, series, axes))
                    rows += len(series.values)
                if rows >= _GROUP_ROWS:
                    writer.write_table(pyarrow.Table.from_batches(waiting, schema))
                    waiting, rows = [], 0
            writer.write_table(pyarrow.Table.from_batches(waiting, schema))
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return count


def _rows(pyarrow: Any, schema: Any, trial: ExportedTrial, series: ExportedSeries, axes: Sequence[str]) -> Any:
    """The rows of one series; what all of them share is made once and repeated."""
    record = trial.record
    shared = [
        *(trial.cell.get(axis) for axis in axes),
        *(record.key, record.seed, record.engine, trial.label, trial.outcome, str(series.kind), series.phase),
    ]
    count = len(series.values)
    columns = [
        pyarrow.repeat(pyarrow.scalar(visible(one) if isinstance(one, str) else one, field.type), count)
        for one, field in zip(shared, schema, strict=False)
    ]
    return pyarrow.record_batch(
        [
            *columns,
            pyarrow.array(series.steps, pyarrow.int64()),
            pyarrow.repeat(pyarrow.scalar(visible(series.metric), pyarrow.string()), count),
            pyarrow.array(series.values, pyarrow.float64(), from_pandas=False),
        ],
        schema=schema,
    )
