"""The inputs of a result that a session reads: locks, logs, accounts and the text of the matrix, read once."""

from __future__ import annotations

import importlib.metadata
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.outcomes.account import FOLDER, read_accounts
from runner.outcomes.assembly import KnownLock, LogExcerpt, ResultInput, logs_wanted, result_of
from runner.outcomes.result import LockResult, PackageResult, read_result
from runner.reports.past_runs import continued

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.environments.lock import Lock
    from runner.matrix.cell_id import CellId
    from runner.outcomes.result import Result
    from runner.reports.site import Written
    from runner.session.results import Results
    from runner.trials.job_files import Workplace


def report_of(results: Results, locks: Mapping[CellId, Lock | None], workplace: Workplace) -> Result:
    """All that is known of the selected cells, in one self-contained value."""
    matrix = results.matrix
    return result_of(
        ResultInput(
            matrix=matrix,
            matrix_text=matrix.path.read_text("utf-8", "replace"),
            cells=results.cells,
            judged=results.judged,
            compared={cell.id: one for cell, one in zip(results.cells, results.compared, strict=True) if one},
            locks={cell: _lock(lock) for cell, lock in locks.items() if lock},
            logs={key: _log(workplace.log(key), most) for key, most in logs_wanted(results.outcomes).items()},
            accounts=read_accounts(workplace.root / FOLDER, matrix.path.name),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            runner_version=importlib.metadata.version("convergence-matrix"),
        )
    )


def _lock(lock: Lock) -> KnownLock:
    last_day = None if lock.as_of is None else (lock.as_of - timedelta(seconds=1)).date().isoformat()
    packages = (
        PackageResult(name=package.name, version=package.version, layer=package.layer.value)
        for package in lock.packages
    )
    shown = LockResult(name=lock.environment.name, python=lock.python, as_of=last_day, packages=tuple(packages))
    return KnownLock(digest=lock.digest, shown=shown)


def _log(path: Path, most: int) -> LogExcerpt:
    size = path.stat().st_size if path.is_file() else 0
    return LogExcerpt(text=excerpt(path, most) if most else "", size_bytes=size)


def excerpt(path: Path, most: int) -> str:
    """Head and tail of a log, `most` bytes of it, more of its last words; empty where there is no log."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            return stream.read().decode("utf-8", "replace")
        head = stream.read(most // 4).decode("utf-8", "replace")
        stream.seek(most // 4 - most, os.SEEK_END)
        tail = stream.read().decode("utf-8", "replace")
    return f"{head}\n[… {size - most:,} bytes left out …]\n{tail}"


def publish(results: Results, folder: Path | None = None) -> Written:
    """Write the site of the selected cells into `folder`, else into `reports/site` beside the matrix.

    Raises UsageError where a `results.json` lies there that can't be read, MachineError where nothing can be written.
    """
    from runner.reports.site import write_site  # noqa: PLC0415 - templates and NumPy, for whoever publishes

    folder = folder or results.matrix.folder / "reports" / "site"
    return write_site(continued(results.result, published(folder)), folder)


def published(folder: Path) -> Result | None:
    """The report whose site lies in a folder; None where there is none.

    Raises UsageError where it can't be read: its history would be lost.
    """
    path = folder / "results.json"
    if not path.exists():
        return None
    try:
        return read_result(path)
    except UsageError as error:
        raise UsageError(f"{error} Its history would be lost: move it away to begin a new one.") from error
