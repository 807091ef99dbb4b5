"""What a matrix came to as a `Report`: the outcomes with all their evidence, from the store, the locks and the logs."""

from __future__ import annotations

import importlib.metadata
import math
import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runner.laboratory.setup import Setup
from runner.matrix.axes import axis_kind
from runner.outcomes.account import FOLDER, read_accounts
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    LockResult,
    NeighbourChange,
    PackageResult,
    ReproductionCommands,
    Result,
    TrialResult,
)
from runner.outcomes.series import NOT_METRICS, epoch_seconds, reported
from runner.outcomes.table import all_of, median_of
from runner.outcomes.verdict import Basis
from runner.session.results import is_as_expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from runner.environments.model import Lock
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.compared import Compared
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.verdict import Verdict
    from runner.session.results import Results
    from runner.session.session import Session
    from runner.trials.record import Record


MOST_POINTS = 120
"""Of a longer series so many epochs are kept."""
LOG_BYTES, LOG_BYTES_OF_GOOD = 4096, 1536
"""Of a longer log so many are kept, of a cell that is good fewer: a site of a hundred cells stays small."""
_DIGITS = 5


def report_of(session: Session, results: Results) -> Result:
    """All that is known of the selected cells, in one self-contained value."""
    return _Reporting(session=session, results=results).report()


@dataclass(kw_only=True)
class _Reporting:
    session: Session
    results: Results

    def report(self) -> Result:
        matrix, results = self.session.matrix, self.results
        judged = results.judged
        baseline = judged.baseline
        return Result(
            runner_version=importlib.metadata.version("convergence-matrix"),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            title=matrix.path.absolute().parent.name,
            matrix=matrix.path.read_text("utf-8", "replace"),
            axes=tuple(_axes(matrix, results.cells)),
            base=matrix.base.name,
            criterion=tuple(map(str, matrix.criterion)),
            metric=results.metric,
            complaint=results.complaint,
            sentences=results.sentences,
            changes=tuple(self._changes),
            baseline=baseline.id.digest if baseline and baseline.id in results.by_id else "",
            baseline_reason=judged.reason,
            control=str(judged.control) if judged.control else "",
            cells=tuple(map(self._cell, results.cells, results.outcomes, results.compared)),
            failures=tuple(self._failures),
            accounts=read_accounts(self.session.laboratory.equipment.workplace.root / FOLDER, matrix.path.name),
            locks={lock.digest: _lock(lock) for lock in self._locks.values() if lock},
        )

    @property
    def _changes(self) -> Iterable[NeighbourChange]:
        for change in self.results.changes:
            yield NeighbourChange(axis=change.axis, before=change.before.digest, after=change.after.digest)

    @cached_property
    def _locks(self) -> dict[str, Lock | None]:
        """The lock of each selected cell, by its name."""
        return {
            cell.name: self.session.laboratory.environments.locked(group.environment)
            for group in self.session.groups
            for cell in group.cells
        }

    @cached_property
    def _failures(self) -> list[FailureResult]:
        found = []
        for group in self.results.failures:
            print_ = group.fingerprint
            found.append(
                FailureResult(
                    label=group.label.value,
                    reason=group.reason,
                    type=print_.type if print_ else "",
                    message=print_.message if print_ else "",
                    stage=print_.stage if print_ else "",
                    frame=print_.frame if print_ else "",
                    cells=tuple(cell.id.digest for cell in group.cells),
                    trials=len(group.trials),
                )
            )
        return found

    @cached_property
    def _failures_of(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for index, failure in enumerate(self._failures):
            for cell in failure.cells:
                found.setdefault(cell, []).append(index)
        return found

    def _cell(self, cell: Cell, outcome: JudgedCell, compared: Compared | None) -> CellResult:
        matrix, records = self.session.matrix, outcome.records
        lock = self._locks[cell.name]
        ran = [record for record in records if record.ran]
        seconds = [value for record in records if (value := epoch_seconds(record)) is not None]
        peaks = [record.peak_memory_bytes for record in records if record.peak_memory_bytes is not None]
        finals = [final for _, verdict in outcome.trials if (final := _final(verdict)) is not None]
        shown = outcome.example[0] if outcome.example else next(iter(records), None)
        most = LOG_BYTES_OF_GOOD if outcome.kind is OutcomeKind.GOOD else LOG_BYTES
        return CellResult(
            id=cell.digest,
            values=dict(cell.values),
            outcome=str(outcome.outcome),
            kind=outcome.kind.value,
            reason=outcome.reason,
            converged=outcome.converged,
            counted=outcome.counted,
            interval=IntervalResult(low=outcome.interval[0], high=outcome.interval[1]) if outcome.interval else None,
            flags=outcome.flags,
            final=median_of(finals),
            epoch_s=median(seconds) if seconds else None,
            peak_memory_bytes=max(peaks, default=None),
            exception=_exception(outcome.example[0]) if outcome.example else None,
            failures=tuple(self._failures_of.get(cell.digest, ())),
            comparison=_comparison(compared),
            python=all_of(record.python for record in ran),
            engine=all_of(record.engine for record in records),
            image=all_of(record.image for record in ran),
            lock=lock.digest if lock else "",
            imported={name: package.version for record in ran[:1] for name, package in record.packages.items()},
            diff=next((record.rewritten for record in ran if record.rewritten), ""),
            network=any(record.network for record in ran),
            expected=", ".join(one.outcome for one in matrix.expect if cell.matches(one.match.values)),
            as_expected=is_as_expected(matrix, cell, outcome),
            commands=_commands(matrix, cell, lock),
            trials=tuple(
                self._trial(record, verdict, log=most if record is shown else 0) for record, verdict in outcome.trials
            ),
        )

    def _trial(self, record: Record, verdict: Verdict, *, log: int) -> TrialResult:
        path = self.session.laboratory.equipment.workplace.log(record.key)
        found = reported(record, verdict.metric)
        kept = thinned([epoch.logs for epoch in record.epochs])
        names = dict.fromkeys(name for epoch in record.epochs for name in epoch.logs if name not in NOT_METRICS)
        return TrialResult(
            key=record.key,
            seed=record.seed,
            label=verdict.label.value,
            basis=verdict.basis.value,
            reason=verdict.reason,
            flags=verdict.flags,
            metric=verdict.metric,
            mode=verdict.mode,
            y0=verdict.y0,
            final=_final(verdict),
            best=verdict.best,
            scale=verdict.scale,
            n=verdict.n,
            first_non_finite_epoch=verdict.first_non_finite_epoch,
            first_non_finite_step=verdict.first_non_finite_step,
            first_met_epoch=verdict.first_met_epoch,
            planned_epochs=found.planned,
            epochs=tuple(index + 1 for index in kept),
            curves={name: tuple(_rounded(record.epochs[index].logs.get(name)) for index in kept) for name in names},
            stage=record.stage,
            phase=record.phase,
            exit_code=record.exit_code,
            signal=record.signal,
            started_at=record.started_at,
            duration_s=round(record.duration_s, 3),
            epoch_s=epoch_seconds(record),
            epoch_seconds=tuple(_rounded(record.epochs[index].time_s) for index in kept),
            memory_bytes=tuple(record.epochs[index].rss_bytes for index in kept),
            peak_memory_bytes=record.peak_memory_bytes,
            exception=_exception(record),
            message=record.message or "",
            log=excerpt(path, log) if log else "",
            log_bytes=path.stat().st_size if path.is_file() else 0,
            artifacts=record.artifacts,
        )


def thinned(epochs: Sequence[dict[str, float]]) -> list[int]:
    """The positions of at most `MOST_POINTS` epochs: spread evenly, and those where values stop being finite."""
    if len(epochs) <= MOST_POINTS:
        return list(range(len(epochs)))
    finite = [all(map(math.isfinite, logs.values())) for logs in epochs]
    turns = [i for i in range(1, len(epochs)) if finite[i] != finite[i - 1]][: MOST_POINTS // 4]
    left = MOST_POINTS - len(turns)
    spread = {round(i * (len(epochs) - 1) / (left - 1)) for i in range(left)}
    return sorted(spread.union(turns))


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


def _axes(matrix: Matrix, cells: Iterable[Cell]) -> Iterable[AxisResult]:
    """The axes with the values that cells have, in the order of the file; what `include:` adds comes last."""
    seen: dict[str, dict[str, None]] = {axis.name: {value.text: None for value in axis.values} for axis in matrix.axes}
    used: dict[str, set[str]] = {name: set() for name in seen}
    for cell in cells:
        for name, value in cell.values.items():
            seen.setdefault(name, {}).setdefault(value)
            used.setdefault(name, set()).add(value)
    for name, values in seen.items():
        kept = tuple(value for value in values if value in used.get(name, ()))
        yield AxisResult(name=name, kind=axis_kind(name).value, values=kept)


def _lock(lock: Lock) -> LockResult:
    last_day = None if lock.as_of is None else (lock.as_of - timedelta(seconds=1)).date().isoformat()
    packages = (
        PackageResult(name=package.name, version=package.version, layer=package.layer.value)
        for package in lock.packages
    )
    return LockResult(name=lock.environment.name, python=lock.python, as_of=last_day, packages=tuple(packages))


def _exception(record: Record) -> ExceptionResult | None:
    found = record.exception
    return None if found is None else ExceptionResult.model_validate(found.model_dump())


def _comparison(compared: Compared | None) -> ComparisonResult | None:
    return None if compared is None else ComparisonResult(label=compared.label, reason=compared.reason, p=compared.p)


def _final(verdict: Verdict) -> float | None:
    """What a trial ended at: NaN where it ended there, whatever it had come to before."""
    return math.nan if verdict.basis is Basis.NON_FINITE else verdict.final


def _rounded(value: float | None) -> float | None:
    """A value to draw, short as JSON."""
    return value if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def _commands(matrix: Matrix, cell: Cell, lock: Lock | None) -> ReproductionCommands:
    """How to run a cell again: with this tool, and from its lock alone."""
    file, only = shlex.quote(matrix.path.name), shlex.quote(cell.name)
    with_runner = (f"python -m runner {file} --only {only}", f"python -m runner shell {only} --matrix {file}")
    if lock is None:
        return ReproductionCommands(with_runner=with_runner, without_runner=())
    script = shlex.join([cell.script, *matrix.experiment.args])
    environment = Setup.of(matrix).environment(cell).name
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in cell.env)
    rewritten = cell.import_flavour != "as-written"
    preludes = ", ".join(cell.preludes)
    without = (
        *([f"# only with the runner: the prelude {preludes}, so this runs the script without it"] if preludes else []),
        f"uv venv --python {lock.python} cell",
        f"uv pip install --python cell/bin/python --require-hashes -r locks/{environment}.txt",
        *(["patch -p0 < imports.diff    # what was changed in the script, above"] if rewritten else []),
        f"{env}PYTHONHASHSEED=0 cell/bin/python {script}    # the runner also seeds NumPy, random and the framework",
    )
    return ReproductionCommands(with_runner=with_runner, without_runner=without)
