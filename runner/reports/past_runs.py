"""Published runs one after another: what a result keeps of those before it, and what changed since the last.

A run keeps only what differs from the run before it, so the long history of a quiet matrix stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, assert_never

from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.result import PastCell, PastRun
from runner.outcomes.tally import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from runner.outcomes.result import CellResult, Result


MOST_RUNS = 20
"""Earlier runs that a report remembers."""
SLOWER = 1.25
"""The factor by which an epoch must take longer to be slower, or less to be faster."""

State = dict[str, PastCell]
"""The cells of one run, by their ids."""


class News(StrEnum):
    """The change of a cell since the run before; a cell has one of these, the first that fits."""

    NEWLY_FAILING = "newly failing"
    UNTESTABLE = "can no longer be tested"
    FLAKY = "became undecided"
    BETTER = "became better"
    SLOWER = "slower"
    FASTER = "faster"
    STILL_FAILING = "still failing"
    ADDED = "new in the matrix"
    CHOSEN = "run for the first time"
    """It was in the matrix before, and not among the cells that were chosen to run."""
    SAME = "as before"
    GONE = "no longer in the matrix"


@dataclass(frozen=True, kw_only=True, slots=True)
class CellNews:
    """One cell, then and now; `before` is None where it is new."""

    cell: CellResult
    before: PastCell | None
    news: News


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What one run brought for a cell, held against the run before it; None where a run lacks the cell."""

    cell: str
    """Its id."""
    before: PastCell | None
    after: PastCell | None
    news: News


def continued(report: Result, previous: Result | None) -> Result:
    """The report with the history of the one that was published before it, and that one as its last run.

    Where nothing that a reader sees changed, it is as the previous one: the same run is not listed twice.
    """
    if previous is None:
        return report
    if _says_the_same(report, previous):
        return report.model_copy(update={"made_at": previous.made_at, "history": previous.history})
    last = state_of(previous)
    if not _changes(last, state_of(report)):
        return report.model_copy(update={"history": previous.history})
    runs = [*states(previous.history), (previous.made_at, last)]
    now = state_of(report)
    left_out = {run.made_at: run.left_out for run in previous.history}
    left_out[previous.made_at] = tuple(cell.id for cell in previous.cells if LEFT_OUT in cell.flags and cell.id in now)
    return report.model_copy(update={"history": tuple(_stored(runs[-MOST_RUNS:], left_out))})


def states(history: Sequence[PastRun]) -> list[tuple[str, State]]:
    """The time of each remembered run and its cells, the oldest first."""
    found: list[tuple[str, State]] = []
    state: State = {}
    for run in history:
        state = {cell: seen for cell, seen in {**state, **run.cells}.items() if seen is not None}
        found.append((run.made_at, state))
    return found


def state_of(report: Result) -> State:
    """The cells of a result, as a later one remembers them: not those that were left out."""
    return {
        cell.id: PastCell(
            outcome=cell.outcome, kind=cell.kind, final=cell.final, epoch_s=cell.epoch_s, machine=cell.machine
        )
        for cell in report.cells
        if LEFT_OUT not in cell.flags
    }


def news_of(report: Result) -> list[CellNews]:
    """The change of every cell since the run before, in the matrix's order; empty without one."""
    if not report.history:
        return []
    _, last = states(report.history)[-1]
    chosen = frozenset(report.history[-1].left_out)
    known = [(last.get(cell.id), cell) for cell in report.cells if LEFT_OUT not in cell.flags]
    return [CellNews(cell=cell, before=before, news=_news(before, cell, cell.id in chosen)) for before, cell in known]


def gone(report: Result) -> int:
    """The number of cells that the run before had and this one lacks."""
    ids = {cell.id for cell in report.cells}
    return sum(cell not in ids for cell in states(report.history)[-1][1]) if report.history else 0


def turns(report: Result) -> list[tuple[str, list[Turn]]]:
    """The time of each run after the first that is remembered, and the cells that came to something else in it."""
    runs = [*states(report.history), (report.made_at, state_of(report))]
    here = {cell.id for cell in report.cells}
    chosen = [frozenset(run.left_out) for run in report.history]
    return [
        (made_at, list(_turns(before, after, here, own)))
        for ((_, before), (made_at, after)), own in zip(pairwise(runs), chosen, strict=True)
    ]


def _turns(before: State, after: State, here: Collection[str], chosen: Collection[str]) -> Iterator[Turn]:
    """What came to something else; a cell that is `here` was no more than left out of a run that lacks it.

    One that is `chosen` was left out of the run before.
    """
    for cell, seen in after.items():
        last = before.get(cell)
        news = _news(last, seen, cell in chosen)
        if news not in {News.SAME, News.STILL_FAILING} or (last is not None and str(last.outcome) != str(seen.outcome)):
            yield Turn(cell=cell, before=last, after=seen, news=news)
    for cell, last in before.items():
        if cell not in after and cell not in here:
            yield Turn(cell=cell, before=last, after=None, news=News.GONE)


def strips(report: Result) -> dict[str, list[PastCell | None]]:
    """Each cell in every remembered run and in this one, the oldest first; None where a run lacks it."""
    runs = [state for _, state in states(report.history)] + [state_of(report)]
    return {cell.id: [state.get(cell.id) for state in runs] for cell in report.cells}


def _says_the_same(report: Result, previous: Result) -> bool:
    """True where a reader sees no difference but for the date; compared as text, in which NaN equals NaN."""
    one, other = (some.model_dump_json(exclude={"made_at", "history", "cells"}) for some in (report, previous))
    if one != other or len(report.cells) != len(previous.cells):
        return False
    both = zip(report.told_cells(), previous.told_cells(), strict=True)
    return all(one.model_dump_json() == other.model_dump_json() for one, other in both)


def _stored(runs: Sequence[tuple[str, State]], left_out: Mapping[str, tuple[str, ...]]) -> Iterator[PastRun]:
    before: State = {}
    for made_at, state in runs:
        yield PastRun(made_at=made_at, cells=_changes(before, state), left_out=left_out.get(made_at, ()))
        before = state


def _changes(before: Mapping[str, PastCell], after: Mapping[str, PastCell]) -> dict[str, PastCell | None]:
    lost = dict.fromkeys(before.keys() - after.keys())
    changed = {cell: seen for cell, seen in after.items() if not _same(before.get(cell), seen)}
    return {**changed, **dict(sorted(lost.items()))}


def _same(before: PastCell | None, after: PastCell) -> bool:
    return before is not None and before.model_dump_json() == after.model_dump_json()


def _news(before: PastCell | None, cell: CellResult | PastCell, was_left_out: bool) -> News:
    if before is None:
        return News.CHOSEN if was_left_out else News.ADDED
    match cell.kind:
        case OutcomeKind.BAD:
            return News.STILL_FAILING if before.kind is cell.kind else News.NEWLY_FAILING
        case OutcomeKind.UNTESTABLE:
            return News.SAME if before.kind is cell.kind else News.UNTESTABLE
        case OutcomeKind.UNDECIDED:
            return News.SAME if before.kind is cell.kind else News.FLAKY
        case OutcomeKind.GOOD:
            return _speed(before, cell) if before.kind is cell.kind else News.BETTER
        case _:
            assert_never(cell.kind)


def _speed(before: PastCell, cell: CellResult | PastCell) -> News:
    if before.epoch_s and cell.epoch_s and before.machine == cell.machine:
        if cell.epoch_s >= before.epoch_s * SLOWER:
            return News.SLOWER
        if cell.epoch_s * SLOWER <= before.epoch_s:
            return News.FASTER
    return News.SAME
