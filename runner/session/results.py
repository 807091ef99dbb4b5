"""The results of a run: outcomes, expectations met or missed, the findings of `--fail-on`, the table and the report.

For a report it reads locks, logs, accounts and the text of the matrix, once.
"""

from __future__ import annotations

import enum
import importlib.metadata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, assert_never

from pydantic import ValidationError

from runner.errors import UsageError
from runner.outcomes.account import FOLDER, read_accounts
from runner.outcomes.assembly import (
    KnownLock,
    LogExcerpt,
    ResultInput,
    judged_metric,
    result_of,
)
from runner.outcomes.comparison import ComparisonLabel
from runner.outcomes.earlier import EarlierLabel
from runner.outcomes.failures import failure_groups
from runner.outcomes.judged_cell import left_out
from runner.outcomes.judged_matrix import complaint, missed, pinned_changes
from runner.outcomes.kept_comparisons import KeptComparisons, compared, kept_comparisons
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.ranges import sentences
from runner.outcomes.result import LockResult, PackageResult
from runner.outcomes.result_file import opened_result
from runner.outcomes.sparse import sparse_sentences
from runner.outcomes.tally import LEFT_OUT
from runner.outcomes.verdict import CRASHES
from runner.own_folder import OwnFolder
from runner.reports.notation import cause, cell_name
from runner.reports.past_runs import continued
from runner.scripts.commit import commit_of
from runner.trials.job_files import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from pandas.io.formats.style import Styler

    from runner.environments.lock import Lock
    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.earlier import Earlier
    from runner.outcomes.failures import FailureGroup
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.layout import Change
    from runner.outcomes.outcome import Outcome
    from runner.outcomes.predicted_change import PredictedChange
    from runner.outcomes.result import CellResult, ComparisonResult, Result
    from runner.reports.site import Written
    from runner.session.ledger import Ledger
    from runner.trials.job_files import Workplace


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A cell whose outcome is not the expected one."""

    cell: CellId
    expected: str
    outcome: str
    """Its outcome, as people read it."""
    line: int
    """Line of the expectation in the matrix file."""

    def __str__(self) -> str:
        return f"expected {self.expected} (line {self.line}), got {self.outcome}: {self.cell}"


class Assemble(Protocol):
    """Makes the one result of outcomes."""

    def __call__(self, results: Results) -> Result:
        """Its cells have their trials when they are told."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The outcomes of the selected cells, in the matrix's order; `executed` trials ran for them this time."""

    matrix: Matrix
    cells: tuple[Cell, ...]
    outcomes: tuple[JudgedCell, ...]
    compared: tuple[ComparisonResult | None, ...]
    """The comparison of each with the baseline, corrected over the whole matrix; None without a baseline."""
    judged: JudgedMatrix
    """All cells of the matrix, held against each other."""
    executed: int
    assemble: Assemble = field(compare=False, repr=False)
    """Makes the one result of it, with locks, logs and accounts, when something is to be shown."""

    @cached_property
    def result(self) -> Result:
        """The one result, which everything shown is drawn from, with all trials in memory."""
        return self.brief.in_full()

    @cached_property
    def brief(self) -> Result:
        """The same, whose cells are read with their trials and commands when they are told: few records are kept."""
        return self.assemble(self)

    def table(self) -> pd.DataFrame:
        """One row a cell with its axis values, outcome, seeds, figures, versions really imported and the exception."""
        from runner.reports.notebook import frame_of  # noqa: PLC0415 - only for a notebook

        return frame_of(self.brief)

    def styled(self) -> Styler:
        """The table with outcomes in colour, for notebooks. Raises UsageError where jinja2 is not installed."""
        from runner.reports.notebook import styled  # noqa: PLC0415 - as above

        return styled(self.table())

    def _repr_html_(self) -> str:
        from runner.reports.notebook import html_of  # noqa: PLC0415 - as above

        return html_of(self.brief, map(str, self.misses))

    @cached_property
    def by_id(self) -> Mapping[CellId, Outcome]:
        """The outcome of each selected cell but those that were left out."""
        return {cell.id: cell.outcome for cell in self.outcomes if not cell.is_left_out}

    @property
    def failures(self) -> tuple[FailureGroup, ...]:
        """Why trials did not succeed, a reason each, with the cells that share it."""
        return failure_groups(self.outcomes)

    @property
    def metric(self) -> str:
        """The metric that is judged."""
        return judged_metric(self.matrix)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The outcomes of the cells, in ranges of versions: one or two sentences."""
        base = self.matrix.base.name
        found = sparse_sentences(self.matrix.ways, base, self.outcomes)
        return found or sentences(self.by_id, base=base, metric=self.metric)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The places where the outcome changes along a version axis, all else equal."""
        return pinned_changes(self.outcomes, self.matrix.base.name)

    @property
    def misses(self) -> tuple[Miss, ...]:
        """Every expectation of the matrix that did not hold."""
        return tuple(
            Miss(cell=cell.id, expected=one.outcome, outcome=cell.told, line=one.match.position.line)
            for cell in self.outcomes
            for one in missed(self.matrix, cell)
        )

    @property
    def complaint(self) -> str:
        """Why this is not green whatever was expected; empty where it may be. The first line that a user must see."""
        return complaint(self.matrix, self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 all as expected, 1 an expectation failed, nothing was executed, no cell is good or most are undecided."""
        return 1 if self.misses or self.complaint else 0


def results_of(
    matrix: Matrix,
    cells: Sequence[Cell],
    ledger: Ledger,
    *,
    executed: int,
    kept: KeptComparisons | None,
    assemble: Assemble,
) -> Results:
    """The results that the finished trials of all cells give, for those of `cells`."""
    judged = ledger.judged()
    found = compared(judged, kept)
    return Results(
        matrix=matrix,
        cells=tuple(cells),
        outcomes=tuple(judged.by_id.get(cell.id) or left_out(cell.id) for cell in cells),
        compared=tuple(found.get(cell.id) for cell in cells),
        judged=judged,
        executed=executed,
        assemble=assemble,
    )


def read_comparisons(files: OwnFolder, matrix: Matrix) -> KeptComparisons | None:
    """The comparisons that the last run of a matrix kept; None where there are none that can be read."""
    try:
        return KeptComparisons.model_validate_json(files.read(_comparisons(matrix)) or b"")
    except ValidationError:
        return None


def keep_comparisons(files: OwnFolder, results: Results) -> None:
    """Keep the comparisons of a run of all cells, so that who only looks at its results need not make them again."""
    both = zip(results.cells, results.compared, strict=True)
    found = {cell.id: one for cell, one in both if cell.id in results.judged.by_id}
    if len(found) < len(results.judged.cells):
        return
    known = kept_comparisons(results.judged, {cell: one for cell, one in found.items() if one is not None})
    files.write(_comparisons(results.matrix), known.model_dump_json().encode())


def _comparisons(matrix: Matrix) -> str:
    return f"comparisons/{matrix.path.name}.json"


_LONGEST = 200


class FailOn(enum.StrEnum):
    """The values of `--fail-on`."""

    WORSE = "worse"
    """A cell breaks, or succeeds less often, surely, than in the earlier result; without one, than the matrix's
    baseline."""
    FLAKY = "flaky"
    """Some trials of a cell succeed and others fail."""
    CRASH = "crash"
    """A trial of a cell ended with an exception, a signal or an exit code that is not 0, at whatever stage."""
    NOT_GOOD = "not-good"
    """A cell is bad, undecided or untestable."""


def broken(report: Result, fail_on: Iterable[FailOn], earlier: Sequence[Earlier] | None = None) -> tuple[str, ...]:
    """The findings that must not be, a line a cell; `earlier` where an earlier result was given."""
    cells = [cell for cell in report.cells if not (cell.expected and cell.as_expected)]
    return tuple(line for kind in dict.fromkeys(fail_on) for line in _found(kind, report, cells, earlier))


def _found(
    kind: FailOn, report: Result, cells: Sequence[CellResult], earlier: Sequence[Earlier] | None
) -> Iterator[str]:
    match kind:
        case FailOn.WORSE:
            yield from _worse(cells) if earlier is None else _worse_than_before(cells, earlier)
        case FailOn.FLAKY:
            yield from (f"flaky: {_said(cell, cell.reason)}" for cell in cells if cell.outcome.flaky)
        case FailOn.CRASH:
            crashed = (cell for cell in cells if any(trial.label in CRASHES for trial in report.told(cell).trials))
            yield from (f"crash: {_said(cell, cause(cell, _LONGEST))}" for cell in crashed)
        case FailOn.NOT_GOOD:
            others = [cell for cell in cells if cell.kind is not OutcomeKind.GOOD and LEFT_OUT not in cell.flags]
            yield from (f"not good: {_said(cell, cell.reason)}" for cell in others)
        case _:
            assert_never(kind)


def _worse(cells: Sequence[CellResult]) -> Iterator[str]:
    for cell in cells:
        if cell.comparison and cell.comparison.label in {ComparisonLabel.BREAKS, ComparisonLabel.WORSE}:
            yield f"worse than the baseline: {_said(cell, cell.comparison.reason)}"


def _worse_than_before(cells: Sequence[CellResult], earlier: Sequence[Earlier]) -> Iterator[str]:
    known = {cell.cell_id for cell in cells}
    for one in earlier:
        if one.label is EarlierLabel.WORSE and one.cell in known:
            yield f"worse than before: {one.name}: {one.reason}"


def _said(cell: CellResult, reason: str) -> str:
    return f"{cell_name(cell)} {cell.told}: {reason}"


def report_of(results: Results, locks: Mapping[CellId, Lock | None], workplace: Workplace) -> Result:
    """All that is known of the selected cells, in one value that reads their trials when they are told."""
    matrix, shown = results.matrix, {lock.digest: _lock(lock) for lock in locks.values() if lock}
    return result_of(
        ResultInput(
            matrix=matrix,
            matrix_text=matrix.path.read_text("utf-8", "replace"),
            cells=results.cells,
            judged=results.judged,
            compared={cell.id: one for cell, one in zip(results.cells, results.compared, strict=True) if one},
            locks={cell: shown[lock.digest] for cell, lock in locks.items() if lock},
            log=lambda key, most: _log(workplace.log(key), most),
            accounts=read_accounts(workplace.files.inner(FOLDER), matrix.path.name),
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
    return KnownLock(digest=lock.digest, shown=shown, base_image=lock.environment.base_image)


def _log(path: Path, most: int) -> LogExcerpt:
    size = path.stat().st_size if path.is_file() else 0
    return LogExcerpt(text=excerpt(path, most) if most else "", size_bytes=size)


def publish(
    results: Results,
    folder: Path | None = None,
    *,
    predicted: tuple[PredictedChange, ...] = (),
    sources: Mapping[str, str] | None = None,
) -> Written:
    """Write the site of the selected cells into `folder`, else into `reports/site` beside the matrix.

    `predicted` is what a static look finds for them, `sources` the SHA-256 of their scripts' files by path.

    Raises UsageError where a `results.json` lies there that can't be read, MachineError where nothing can be written.
    """
    from runner.reports.site import ELSEWHERE, write_site  # noqa: PLC0415 - templates and NumPy, for whoever publishes

    project = results.matrix.folder.absolute()
    beside = OwnFolder(above=results.matrix.folder, name="reports/site", elsewhere=ELSEWHERE)
    to = OwnFolder(above=folder, elsewhere=ELSEWHERE) if folder else beside
    commit = commit_of(project, [*sources, results.matrix.path.name]) if sources else ""
    result = results.brief.model_copy(update={"predicted": predicted, "sources": sources or {}, "commit": commit})
    with to.alone():
        return write_site(continued(result, published(to)), to)


def published(folder: OwnFolder) -> Result | None:
    """The report whose site lies in a folder; None where there is none.

    Raises UsageError where it can't be read: its history would be lost.
    """
    path = folder.checked("results.json")
    if not path.exists():
        return None
    try:
        return opened_result(path)
    except UsageError as error:
        raise UsageError(f"{error} Its history would be lost: move it away to begin a new one.") from error
