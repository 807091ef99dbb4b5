"""The one result of a matrix, put together once from its judged cells and what a session hands in; pure, no I/O.

`result_of` takes a `ResultInput` and gives the `Result` that `results.json` holds and everything shown is drawn from.
Records and logs are read when a cell is told, a cell at a time, and not kept.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runner.matrix.axes import axis_kind
from runner.matrix.cell_id import CellId
from runner.outcomes.failures import FailureGroup, failure_groups
from runner.outcomes.fingerprint import message_told
from runner.outcomes.judged_cell import left_out
from runner.outcomes.judged_matrix import complaint, expected, is_as_expected, pinned_changes
from runner.outcomes.machine_kind import on_kind, times_told, usual
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.ranges import sentences
from runner.outcomes.reported_metric import reported
from runner.outcomes.reproduction import commands
from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    LockResult,
    NeighbourChange,
    Result,
    TrialResult,
)
from runner.outcomes.series import MOST_POINTS, drawn, numbers_of, short, thinned
from runner.outcomes.sparse import sparse_sentences
from runner.outcomes.upgrade import upgrade_advice
from runner.outcomes.verdict import Basis
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.account import Account
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.observation import Circumstances, Observation
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record


LOG_BYTES, LOG_BYTES_OF_GOOD = 4096, 1536
"""Of a longer log so many are kept, of a cell that is good fewer: a site of a hundred cells stays small."""
MOST_VALUES = 12_000
"""So many numbers of curves are kept of a cell, of all its trials and metrics together."""


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
    base_image: str = ""
    """The name of the base image that its containers stand on, where it has one."""


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
    log: Callable[[str, int], LogExcerpt] = field(default=lambda _key, _most: LogExcerpt())
    """Reads the log of a trial by its key, of a longer one so many bytes."""
    accounts: tuple[Account, ...] = ()
    made_at: str
    """ISO 8601, UTC."""
    runner_version: str


def result_of(known: ResultInput) -> Result:
    """The result of a matrix, whose cells have their trials when they are told."""
    return _Assembly(known=known).result()


def judged_metric(matrix: Matrix) -> str:
    """The name of the metric that is judged: the first criterion's, else that of `judge:`."""
    return matrix.criterion[0].metric if matrix.criterion else matrix.judging.metric


@dataclass(kw_only=True)
class _Assembly:
    known: ResultInput

    def result(self) -> Result:
        known, matrix, judged = self.known, self.known.matrix, self.known.judged
        outcomes = {cell.id: cell.outcome for cell in self._cells if not cell.is_left_out}
        metric = judged_metric(matrix)
        cells = tuple(map(self._cell, known.cells, self._cells))
        found = Result(
            runner_version=known.runner_version,
            made_at=known.made_at,
            title=matrix.title or matrix.path.absolute().parent.name,
            description=matrix.description,
            matrix=known.matrix_text,
            axes=tuple(_axes(matrix, known.cells)),
            base=matrix.base.name,
            criterion=matrix.criteria,
            metric=metric,
            complaint=complaint(matrix, self._cells),
            sentences=sparse_sentences(matrix.ways, matrix.base.name, self._cells)
            or sentences(outcomes, base=matrix.base.name, metric=metric),
            changes=tuple(
                NeighbourChange(axis=one.axis, before=one.before.digest, after=one.after.digest)
                for one in pinned_changes(self._cells, matrix.base.name)
            ),
            baseline=judged.chosen.digest if judged.chosen in outcomes else "",
            baseline_reason=judged.reason,
            control=str(judged.control) if judged.control else "",
            times=(
                *_bases_told(cells),
                *times_told({cell.id: cell.figures.machines for cell in self._cells}, known.compared),
            ),
            cells=(),
            failures=tuple(_failure(group, self._accounts_of) for group in self._groups),
            accounts=known.accounts,
            advice=self._advice(),
            locks={lock.digest: lock.shown for cell in known.cells if (lock := known.locks.get(cell.id))},
        )
        return found.telling(cells, self._told)

    def _advice(self) -> tuple[str, ...]:
        if any(one.is_left_out for one in self._cells):
            return ()  # of a stack that was not run nothing can be said
        base = self.known.matrix.base
        packages = [base, *(axis for axis in self.known.matrix.axes if axis.kind is base.kind and axis is not base)]
        cells = [(one.id.values, one.kind) for one in self._cells]
        return upgrade_advice(cells, [axis.name for axis in packages], self.known.accounts)

    @cached_property
    def _cells(self) -> tuple[JudgedCell, ...]:
        judged = self.known.judged.by_id
        return tuple(judged.get(cell.id) or left_out(cell.id) for cell in self.known.cells)

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

    @cached_property
    def _accounts_of(self) -> dict[CellId, list[Account]]:
        """The accounts whose good or bad side a cell is, or that account for it."""
        found: dict[CellId, list[Account]] = {}
        for account in self.known.accounts:
            values = [account.good.values, account.bad.values, *account.cells]
            for cell in dict.fromkeys(map(CellId.of, values)):
                found.setdefault(cell, []).append(account)
        return found

    def _cell(self, cell: Cell, judged: JudgedCell) -> CellResult:
        matrix, trials, example = self.known.matrix, judged.trials, judged.example
        observations = [one for one, _ in trials]
        lock = self.known.locks.get(cell.id)
        ran = [one.circumstances for one in observations if one.ran]
        machine = usual(observations)
        seconds = [one.epoch_s for one in on_kind(observations, machine) if one.epoch_s is not None]
        peaks = [one.peak_memory_bytes for one in observations if one.peak_memory_bytes is not None]
        finals = [final for _, verdict in trials if (final := _final(verdict)) is not None]
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
            machine=machine,
            peak_memory_bytes=max(peaks, default=None),
            exception=_exception(example[0].record) if example and judged.fingerprint else None,
            failures=tuple(self._failures_of.get(cell.id, ())),
            accounts=tuple(account.id for account in self._accounts_of.get(cell.id, ())),
            comparison=self.known.compared.get(cell.id),
            python=_all_of(one.python for one in ran),
            engine=_all_of(one.circumstances.engine for one in observations),
            image=_all_of(one.image for one in ran),
            base_identity=_all_of(one.base_identity for one in ran),
            base_image=lock.base_image if lock and any(one.engine == "docker" for one in ran) else "",
            runtime=_all_of(one.runtime for one in ran),
            emulated=_all_of(one.emulated for one in ran),
            lock=lock.digest if lock else "",
            imported=_imported(ran),
            diff=next((one.rewritten for one in ran if one.rewritten), ""),
            network=any(one.network for one in ran),
            expected=", ".join(one.outcome for one in expected(matrix, cell.id)),
            as_expected=is_as_expected(matrix, judged),
            untold=tuple(one.ran for one in observations),
        ).brief()

    def _told(self, brief: CellResult) -> CellResult:
        """A cell with its trials, whose records and logs are read for this, and with its commands."""
        place = self._places[brief.id]
        cell, judged = self.known.cells[place], self._cells[place]
        lock = self.known.locks.get(cell.id)
        rewritten = any(one.circumstances.rewritten for one, _ in judged.trials if one.ran)
        return brief.model_copy(
            update={
                "commands": commands(self.known.matrix, cell, lock.shown if lock else None, is_rewritten=rewritten),
                "trials": tuple(self._trials(judged)),
                "untold": (),
            }
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.id.digest: place for place, cell in enumerate(self.known.cells)}

    def _trials(self, judged: JudgedCell) -> Iterator[TrialResult]:
        """The trials of a cell; of one of them its log is kept, of the others how long it is."""
        trials, copies, shown = judged.trials, judged.counts.copies, _shown(judged)
        most = max(1, MOST_VALUES // (MOST_POINTS * max(1, len(trials))))
        longest = LOG_BYTES_OF_GOOD if judged.kind is OutcomeKind.GOOD else LOG_BYTES
        for one, verdict in trials:
            log = self.known.log(one.key, longest if shown and one.key == shown.key else 0)
            is_copy = (one.seed, one.key) in copies
            yield self._trial(one.record, verdict, log, copy=is_copy, most=most)

    def _trial(self, record: Record, verdict: Verdict, log: LogExcerpt, *, copy: bool, most: int) -> TrialResult:
        kept = thinned([epoch.logs for epoch in record.epochs])
        numbers = numbers_of(record.epochs) if record.thinned else range(1, len(record.epochs) + 1)
        names = drawn(record, verdict.metric, most)
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
            epochs=tuple(numbers[index] for index in kept),
            curves={name: tuple(short(record.epochs[index].logs.get(name)) for index in kept) for name in names},
            thinned=record.thinned,
            stage=record.stage,
            phase=record.phase,
            exit_code=record.exit_code,
            signal=record.signal,
            started_at=record.started_at,
            duration_s=round(record.duration_s, 3),
            epoch_s=record.epoch_s,
            epoch_seconds=tuple(short(record.epochs[index].time_s) for index in kept),
            memory_bytes=tuple(record.epochs[index].rss_bytes for index in kept),
            peak_memory_bytes=record.peak_memory_bytes,
            processor=record.processor or "",
            device=record.device or "",
            exception=_exception(record),
            message=record.message or "",
            log=log.text,
            log_bytes=log.size_bytes,
            artifacts=record.artifacts,
        )


def _shown(cell: JudgedCell) -> Observation | None:
    """The trial whose log is kept: of the failure that names the outcome, else the first."""
    example = cell.example
    return example[0] if example else next((one for one, _ in cell.trials), None)


def _failure(group: FailureGroup, accounts_of: Mapping[CellId, Sequence[Account]]) -> FailureResult:
    """A group of failures, with the accounts of why one of its cells fails."""
    found = group.fingerprint
    accounts = (
        account.id
        for cell in group.cells
        for account in accounts_of.get(cell.id, ())
        if CellId.of(account.good.values) != cell.id
    )
    return FailureResult(
        label=group.label,
        reason=group.reason,
        advice=group.advice,
        type=found.type if found else "",
        message=found.message if found else "",
        stage=found.stage if found else "",
        frame=found.frame if found else "",
        cells=tuple(cell.id.digest for cell in group.cells),
        accounts=tuple(dict.fromkeys(accounts)),
        trials=group.n_trials,
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


def _bases_told(cells: Iterable[CellResult]) -> Iterator[str]:
    """What is to be said where cells that ran stand on more than one base image, of which one at least has a name."""
    ran = [cell for cell in cells if cell.base_identity]
    numbers = Counter(cell.base_image for cell in ran)
    if len(numbers) > 1 and len({cell.base_identity for cell in ran}) > 1:
        shown = "; ".join(f"{name or 'the usual one'}: {counted(number, 'cell')}" for name, number in numbers.items())
        yield (
            f"Cells stand on different base images ({shown}): where two of them differ, their versions are not the only"
            " thing that does."
        )


def _all_of(values: Iterable[str | None]) -> str:
    """The one value that all trials have; where they differ all of them."""
    return " / ".join(sorted({value for value in values if value}))


def _imported(ran: Sequence[Circumstances]) -> dict[str, str]:
    """The versions that trials imported, by module."""
    versions: dict[str, list[str]] = {}
    for name, version in itertools.chain.from_iterable(one.imported for one in ran):
        versions.setdefault(name, []).append(version)
    return {name: _all_of(some) for name, some in versions.items()}
