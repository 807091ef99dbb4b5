"""The one result of a matrix, put together once from its judged cells and what a session hands in; pure, no I/O.

`result_of` takes a `ResultInput` and gives the `Result` that `results.json` holds and everything shown is drawn from.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runner.matrix.axes import axis_kind
from runner.outcomes.failures import FailureGroup, failure_groups
from runner.outcomes.fingerprint import message_told
from runner.outcomes.judged_matrix import complaint, expected, is_as_expected
from runner.outcomes.layout import changes
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.ranges import sentences
from runner.outcomes.reported_metric import reported
from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    KeptComparisons,
    LockResult,
    NeighbourChange,
    ReproductionCommands,
    Result,
    TrialResult,
)
from runner.outcomes.series import NOT_METRICS, epoch_seconds, thinned
from runner.outcomes.verdict import Basis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.account import Account
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record


BASELINE = "baseline"
"""The label of the baseline's own comparison."""
COMPARED_AS = 1
"""Raised by one whenever the same trials come to another comparison: then kept ones no longer follow."""
LOG_BYTES, LOG_BYTES_OF_GOOD = 4096, 1536
"""Of a longer log so many are kept, of a cell that is good fewer: a site of a hundred cells stays small."""
_DIGITS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LogExcerpt:
    """The part of a trial's log that is kept, and the length of the whole."""

    text: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownLock:
    """The lock of a cell as the result shows it, and its digest."""

    digest: str
    shown: LockResult


@dataclass(frozen=True, kw_only=True)
class ResultInput:
    """All that a result follows from, as values: whoever has locks, logs and files reads them and hands them in."""

    matrix: Matrix
    matrix_text: str
    cells: tuple[Cell, ...]
    """The cells that the result is about, in the matrix's order."""
    judged: JudgedMatrix
    """All cells of the matrix, held against each other."""
    compared: Mapping[CellId, ComparisonResult]
    """As `compared` gives it: of every cell of the matrix, or empty."""
    locks: Mapping[CellId, KnownLock]
    """Of the cells that have one."""
    logs: Mapping[str, LogExcerpt] = field(default_factory=dict)
    """By the keys of trials: see `logs_wanted`."""
    accounts: tuple[Account, ...] = ()
    made_at: str
    """ISO 8601, UTC."""
    runner_version: str


def result_of(known: ResultInput) -> Result:
    """The result of a matrix, with all its evidence."""
    return _Assembly(known=known).result()


def compared(judged: JudgedMatrix, known: KeptComparisons | None = None) -> dict[CellId, ComparisonResult]:
    """Each cell of a matrix against its baseline; empty without one.

    Loads SciPy and takes about 10 ms a cell, so that what a run has `known` is used where it follows from these cells.
    """
    baseline = judged.baseline
    if baseline is None:
        return {}
    if known is not None and known.follow_from == _digest(judged):
        return {cell.id: one for cell, one in zip(judged.cells, known.comparisons, strict=True)}
    found = {
        one.cell.id: ComparisonResult(
            label=one.label.value, reason=one.reason, p=None if one.rates is None else one.rates.adjusted_p
        )
        for one in judged.comparisons
    }
    found[baseline.id] = ComparisonResult(label=BASELINE, reason=judged.reason)
    return {cell.id: found[cell.id] for cell in judged.cells}


def kept_comparisons(judged: JudgedMatrix, found: Mapping[CellId, ComparisonResult]) -> KeptComparisons:
    """The comparisons that a run keeps: `found` as `compared` gave it."""
    comparisons = tuple(found[cell.id] for cell in judged.cells) if found else ()
    return KeptComparisons(follow_from=_digest(judged), comparisons=comparisons)


def _digest(judged: JudgedMatrix) -> str:
    """A hash of all that comparisons follow from: the baseline, and of each cell the trials with their verdicts."""
    digest = hashlib.sha256(json.dumps([COMPARED_AS, str(judged.chosen), judged.named, judged.reason]).encode())
    for cell in judged.cells:
        trials = [(record.key, verdict.label, repr(verdict.final)) for record, verdict in cell.trials]
        digest.update(json.dumps([str(cell.id), cell.label, cell.flags, trials]).encode())
    return digest.hexdigest()


def logs_wanted(cells: Iterable[JudgedCell]) -> dict[str, int]:
    """By the key of each trial, how many bytes of its log a result keeps: of one trial a cell, of the others none."""
    wanted = {}
    for cell in cells:
        shown = _shown(cell)
        most = LOG_BYTES_OF_GOOD if cell.kind is OutcomeKind.GOOD else LOG_BYTES
        wanted.update({record.key: most if record is shown else 0 for record in cell.records})
    return wanted


def judged_metric(matrix: Matrix) -> str:
    """The name of the metric that is judged: the first criterion's, else that of `judge:`."""
    return matrix.criterion[0].metric if matrix.criterion else matrix.judging.metric


@dataclass(kw_only=True)
class _Assembly:
    known: ResultInput

    def result(self) -> Result:
        known, matrix, judged = self.known, self.known.matrix, self.known.judged
        outcomes = {cell.id: cell.outcome for cell in self._cells}
        metric = judged_metric(matrix)
        return Result(
            runner_version=known.runner_version,
            made_at=known.made_at,
            title=matrix.path.absolute().parent.name,
            matrix=known.matrix_text,
            axes=tuple(_axes(matrix, known.cells)),
            base=matrix.base.name,
            criterion=tuple(map(str, matrix.criterion)),
            metric=metric,
            complaint=complaint(matrix, self._cells),
            sentences=sentences(outcomes, base=matrix.base.name, metric=metric),
            changes=tuple(
                NeighbourChange(axis=one.axis, before=one.before.digest, after=one.after.digest)
                for one in changes(outcomes, matrix.base.name)
            ),
            baseline=judged.chosen.digest if judged.chosen in outcomes else "",
            baseline_reason=judged.reason,
            control=str(judged.control) if judged.control else "",
            cells=tuple(map(self._cell, known.cells, self._cells)),
            failures=tuple(_failure(group) for group in self._groups),
            accounts=known.accounts,
            locks={lock.digest: lock.shown for cell in known.cells if (lock := known.locks.get(cell.id))},
        )

    @cached_property
    def _cells(self) -> tuple[JudgedCell, ...]:
        return tuple(self.known.judged.by_id[cell.id] for cell in self.known.cells)

    @cached_property
    def _groups(self) -> tuple[FailureGroup, ...]:
        return failure_groups(self._cells)

    @cached_property
    def _failures_of(self) -> dict[CellId, list[int]]:
        found: dict[CellId, list[int]] = {}
        for index, group in enumerate(self._groups):
            for cell in group.cells:
                found.setdefault(cell.id, []).append(index)
        return found

    def _cell(self, cell: Cell, judged: JudgedCell) -> CellResult:
        matrix, records = self.known.matrix, judged.records
        lock = self.known.locks.get(cell.id)
        ran = [record for record in records if record.ran]
        seconds = [value for record in records if (value := epoch_seconds(record)) is not None]
        peaks = [record.peak_memory_bytes for record in records if record.peak_memory_bytes is not None]
        finals = [final for _, verdict in judged.trials if (final := _final(verdict)) is not None]
        copies = judged.counts.copies
        return CellResult(
            id=cell.id.digest,
            values=dict(cell.id.pairs),
            outcome=judged.outcome,
            kind=judged.kind,
            reason=judged.reason,
            converged=judged.converged,
            counted=judged.counted,
            interval=IntervalResult(low=judged.interval[0], high=judged.interval[1]) if judged.interval else None,
            flags=judged.flags,
            final=_median(finals),
            epoch_s=median(seconds) if seconds else None,
            peak_memory_bytes=max(peaks, default=None),
            exception=_exception(judged.example[0]) if judged.fingerprint and judged.example else None,
            failures=tuple(self._failures_of.get(cell.id, ())),
            comparison=self.known.compared.get(cell.id),
            python=_all_of(record.python for record in ran),
            engine=_all_of(record.engine for record in records),
            image=_all_of(record.image for record in ran),
            lock=lock.digest if lock else "",
            imported=_imported(ran),
            diff=next((record.rewritten for record in ran if record.rewritten), ""),
            network=any(record.network for record in ran),
            expected=", ".join(one.outcome for one in expected(matrix, cell.id)),
            as_expected=is_as_expected(matrix, judged),
            commands=_commands(matrix, cell, lock, is_rewritten=any(record.rewritten for record in ran)),
            trials=tuple(
                self._trial(record, verdict, copy=(record.seed, record.key) in copies)
                for record, verdict in judged.trials
            ),
        )

    def _trial(self, record: Record, verdict: Verdict, *, copy: bool) -> TrialResult:
        log = self.known.logs.get(record.key, LogExcerpt())
        kept = thinned([epoch.logs for epoch in record.epochs])
        names = dict.fromkeys(name for epoch in record.epochs for name in epoch.logs if name not in NOT_METRICS)
        return TrialResult(
            key=record.key,
            seed=record.seed,
            label=verdict.label,
            basis=verdict.basis.value,
            reason=verdict.reason,
            flags=verdict.flags,
            copy_of_another=copy,
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
            planned_epochs=reported(record, verdict.metric).planned,
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
            log=log.text,
            log_bytes=log.size_bytes,
            artifacts=record.artifacts,
        )


def _shown(cell: JudgedCell) -> Record | None:
    """The record whose log is kept: of the failure that names the outcome, else the first."""
    return cell.example[0] if cell.example else next(iter(cell.records), None)


def _failure(group: FailureGroup) -> FailureResult:
    found = group.fingerprint
    return FailureResult(
        label=group.label,
        reason=group.reason,
        advice=group.advice,
        type=found.type if found else "",
        message=found.message if found else "",
        stage=found.stage if found else "",
        frame=found.frame if found else "",
        cells=tuple(cell.id.digest for cell in group.cells),
        trials=len(group.trials),
    )


def _axes(matrix: Matrix, cells: Iterable[Cell]) -> Iterator[AxisResult]:
    """The axes with the values that cells have, in the order of the file; what `include:` adds comes last."""
    seen: dict[str, dict[str, None]] = {axis.name: {value.text: None for value in axis.values} for axis in matrix.axes}
    used: dict[str, set[str]] = {name: set() for name in seen}
    for cell in cells:
        for name, value in cell.id:
            seen.setdefault(name, {}).setdefault(value)
            used.setdefault(name, set()).add(value)
    for name, values in seen.items():
        kept = tuple(value for value in values if value in used.get(name, ()))
        yield AxisResult(name=name, kind=axis_kind(name).value, values=kept)


def _exception(record: Record) -> ExceptionResult | None:
    found = record.exception
    if found is None:
        return None
    return ExceptionResult.model_validate(
        {**found.model_dump(exclude={"after_loops"}), "message": message_told(found.message)}
    )


def _final(verdict: Verdict) -> float | None:
    """The value that a trial ended at: NaN where it ended there, whatever it had come to before."""
    return math.nan if verdict.basis is Basis.NON_FINITE else verdict.final


def _median(values: Sequence[float]) -> float | None:
    """The median, with NaN counted as worse than every number; None of nothing."""
    if not values:
        return None
    middle = median(math.inf if math.isnan(value) else value for value in values)
    return middle if math.isfinite(middle) else math.nan


def _all_of(values: Iterable[str | None]) -> str:
    """The one value that all trials have; where they differ all of them."""
    return " / ".join(sorted({value for value in values if value}))


def _imported(records: Sequence[Record]) -> dict[str, str]:
    """The versions that trials imported, by module."""
    names = dict.fromkeys(name for record in records for name in record.packages)
    return {
        name: _all_of(record.packages[name].version for record in records if name in record.packages) for name in names
    }


def _rounded(value: float | None) -> float | None:
    """A value to draw, short as JSON."""
    return value if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def _commands(matrix: Matrix, cell: Cell, lock: KnownLock | None, *, is_rewritten: bool) -> ReproductionCommands:
    """The commands that run a cell again: with this tool, and from its lock alone."""
    file, only = shlex.quote(matrix.path.name), shlex.quote(str(cell.id))
    with_runner = (f"convergence-matrix {file} --only {only}", f"convergence-matrix shell {only} --matrix {file}")
    if lock is None:
        return ReproductionCommands(with_runner=with_runner, without_runner=())
    command = matrix.experiment.command_text(cell)
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in matrix.experiment.variables(cell))
    preludes = ", ".join(cell.preludes)
    without = (
        *([f"# only with the runner: the prelude {preludes}, so this runs the script without it"] if preludes else []),
        f"uv venv --python {lock.shown.python} cell",
        f"uv pip install --python cell/bin/python --require-hashes -r locks/{lock.shown.name}.txt",
        *(["patch -p0 < imports.diff    # what was changed in the script, above"] if is_rewritten else []),
        f"{env}PYTHONHASHSEED=0 cell/bin/python {command}    # the runner also seeds NumPy, random and the framework",
    )
    return ReproductionCommands(with_runner=with_runner, without_runner=without)
