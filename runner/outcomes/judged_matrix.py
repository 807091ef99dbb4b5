"""A whole matrix judged in two passes: by shape or criterion first, then against the baseline's level and costs.

Takes the trials of all cells with their first verdicts and gives the outcomes of all cells; pure. The baseline is the
cell that others are compared with; its level is that of rule R10 (docs/verdicts.md). Outcomes are held against what
the matrix expects of its cells, and against this, that something of it works at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runner.matrix.model import Judging
from runner.outcomes.comparing import comparisons, control, top_up, unlike_starts
from runner.outcomes.costs import against_baseline
from runner.outcomes.judged_cell import judge_cell, judge_counts
from runner.outcomes.judging import verdict_of
from runner.outcomes.layout import changes
from runner.outcomes.outcome import NOT_RUN, Outcome, OutcomeKind
from runner.outcomes.tally import ENOUGH_RUNS, NOTHING_RAN, most_trials, tally
from runner.outcomes.verdict import Basis, Label, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.matrix.criterion import Comparison
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Expectation, Seeds
    from runner.outcomes.comparing import Control
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.layout import Change
    from runner.outcomes.observation import AnyTrial
    from runner.outcomes.tally import Keep, Tally, Trial


_AS_USUAL = Judging()


@dataclass(frozen=True, kw_only=True)
class JudgedMatrix:
    """The cells of a matrix, judged, in its order, and what they were held against."""

    cells: tuple[JudgedCell, ...]
    chosen: CellId | None
    """The baseline; None without one."""
    reference: Reference | None
    """The level that settled trials were held against; None: they stay `settled`, or a criterion judged them."""
    reason: str
    """Why this baseline, or why none."""
    named: bool
    """True where the baseline was fixed before any trial was seen."""
    copy: JudgedCell | None = None
    """The baseline run a second time with other seeds."""

    @property
    def baseline(self) -> JudgedCell | None:
        """The cell that the others are compared with."""
        return None if self.chosen is None else self.by_id[self.chosen]

    @cached_property
    def by_id(self) -> Mapping[CellId, JudgedCell]:
        """Each cell by its identity."""
        return {cell.id: cell for cell in self.cells}

    @cached_property
    def comparisons(self) -> tuple[CellComparison, ...]:
        """Each other cell against the baseline; none without one."""
        if self.baseline is None:
            return ()
        return comparisons(self.cells, self.baseline, named=self.named)

    @cached_property
    def control(self) -> Control | None:
        """The rate at which equal cells were called different; None where the baseline was not run twice."""
        return None if self.copy is None or self.baseline is None else control([(self.copy, self.baseline)])

    def seeds_wanted(self, seeds: Seeds) -> tuple[int, ...]:
        """The number of further trials each cell needs at the least, in the order of the cells.

        All 0 when the matrix is done.

        First what the sequential rule asks for by these verdicts: a trial that settled above the baseline's level is a
        failure now. Where no cell needs that any more, what the comparisons lack; a fixed number of seeds stays fixed,
        and `seeds.cap` is kept.
        """
        sequential = tuple(cell.lacking for cell in self.cells)
        if any(sequential) or seeds.fixed or self.baseline is None:
            return sequential
        lacking = top_up(self.cells, self.baseline)
        return tuple(
            max(0, min(more, most_trials(seeds) - cell.n_trials, seeds.cap - cell.counted))
            for cell, more in zip(self.cells, lacking, strict=True)
        )


def judge_matrix(
    cells: Iterable[tuple[CellId, Iterable[AnyTrial]]],
    seeds: Seeds,
    *,
    criterion: tuple[Comparison, ...] = (),
    judging: Judging = _AS_USUAL,
    baseline: Mapping[str, str] | None = None,
    copy: Iterable[AnyTrial] = (),
) -> JudgedMatrix:
    """Judge a matrix: its cells, each with its trials and their verdicts without a reference.

    `criterion` and `judging` are those of the verdicts. `baseline` has some axis values of the cell that others are
    compared with; without it the best is chosen (see `baseline_of`). `copy` are the trials of the baseline's copy.
    """
    judge = MatrixJudge(seeds=seeds, criterion=criterion, judging=judging, baseline=baseline)
    return judge.judged([judge_cell(cell, trials, seeds) for cell, trials in cells], copy=tally(copy))


@dataclass(kw_only=True)
class MatrixJudge:
    """Holds the cells of one matrix against each other, again and again while trials come in.

    A cell whose trials are the same is judged once by the same level.
    """

    seeds: Seeds
    criterion: tuple[Comparison, ...] = ()
    judging: Judging = _AS_USUAL
    baseline: Mapping[str, str] | None = None
    keep: Keep = tuple
    """Keeps the trials that were held against the baseline, which are others then."""
    _known: dict[CellId, _Judged] = field(default_factory=dict, init=False)

    def judged(self, first: Sequence[JudgedCell], copy: Tally = NOTHING_RAN) -> JudgedMatrix:
        """The matrix of these cells, each judged by its own trials alone, and with those of the baseline's copy."""
        found = baseline_of(first, self.baseline)
        baseline = next((one.trials for one in first if one.id == found.cell), ())
        held = _Held(found.reference, against_baseline(self.judging, baseline))
        twice = found.reference is not None or bool(self.judging.costs)
        copied = found.cell if copy.trials else None
        judged = tuple(self._once(cell.id, cell.counts, held) if twice else cell for cell in first)
        return JudgedMatrix(
            cells=judged,
            copy=None if copied is None else self._cell(copied, copy, held if twice else None),
            chosen=found.cell,
            reference=found.reference,
            reason=found.reason,
            named=found.named,
        )

    def _once(self, cell: CellId, counts: Tally, held: _Held) -> JudgedCell:
        known = self._known.get(cell)
        if known is None or known.counts is not counts or known.held != held:
            known = _Judged(counts=counts, held=held, cell=self._cell(cell, counts, held))
            self._known[cell] = known
        return known.cell

    def _cell(self, cell: CellId, counts: Tally, held: _Held | None) -> JudgedCell:
        if held is not None:
            trials = counts.trials
            again = [_held_against(held, trial, self.criterion) for trial in trials]
            if any(new is not old for new, old in zip(again, trials, strict=True)):
                counts = tally(again).put_away(self.keep)
        return judge_counts(cell, counts, self.seeds)


@dataclass(frozen=True, slots=True)
class _Held:
    """What trials are held against in the second pass."""

    reference: Reference | None
    judging: Judging
    """With the limits that the baseline's costs set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    counts: Tally
    held: _Held
    cell: JudgedCell


def _held_against(held: _Held, trial: Trial, criterion: tuple[Comparison, ...]) -> Trial:
    """A trial judged again where the baseline can matter: R10 comes after all rules that gave another label."""
    one, verdict = trial
    if Label.SETTLED not in {verdict.label, verdict.shape} and verdict.basis is not Basis.COST:
        return trial
    return one, verdict_of(one.record, criterion, judging=held.judging, reference=held.reference)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The cell that others are compared with; None: there is none."""

    cell: CellId | None
    reference: Reference | None
    """The level for R10; None where a criterion judges, and where levels can't be compared."""
    reason: str
    """Why this cell, and why it has no level; without a cell why there is none."""
    named: bool = False
    """True where it was fixed before any trial was seen; the best of several cells was not."""


def _qualifies(cell: JudgedCell) -> bool:
    """True where a cell may be chosen without being named: enough judged trials, most of them successes."""
    return cell.counted >= ENOUGH_RUNS and 2 * cell.converged > cell.counted


def _level(cell: JudgedCell) -> Reference:
    """The medians of a cell's successes, of which there must be one."""
    successes = [verdict for _, verdict in cell.counts.successes]
    return Reference(
        final=median(verdict.final for verdict in successes if verdict.final is not None),
        scale=median(verdict.scale for verdict in successes if verdict.scale is not None),
    )


def baseline_of(cells: Sequence[JudgedCell], named: Mapping[str, str] | None = None) -> Baseline:
    """Choose the baseline of a matrix by the verdicts of its first pass.

    `named` has some of its axis values. Of several cells that they fit, and of all cells where nothing is named, the
    baseline is the one with the best median final value among those with at least 4 judged trials, most of them
    successes. There is no reference where the cells that settled start more than 10 times apart: their metric is
    defined differently. (docs/verdicts.md says "between cells"; a cell where nothing settled is not judged by the
    reference, so one that explodes in its first epoch does not take it from all others.)
    """
    if sum(cell.counted > 0 for cell in cells) < 2:
        return _none("fewer than two cells have a judged trial: there is nothing to compare")
    unlike = unlike_starts(cells)
    if named is not None:
        return _named([cell for cell in cells if cell.id.matches(named)], named, unlike)
    if unlike:
        return _none(f"{unlike}; name a baseline to compare how often cells succeed")
    best = _best(cells)
    if best is None:
        return _none(f"no cell has {ENOUGH_RUNS} judged trials, most of which succeed; name a baseline to have one")
    level = _level(best)
    return Baseline(
        cell=best.id,
        reference=level if best.figures.settles else None,
        reason=f"the best median final value ({level.final:.3g}) of the cells that mostly succeed",
    )


def _named(fitting: list[JudgedCell], named: Mapping[str, str], unlike: str) -> Baseline:
    words = ", ".join(f"{axis} {value}" for axis, value in named.items())
    chosen = fitting[0] if len(fitting) == 1 else _best(fitting)
    if chosen is None:
        why = "none of its cells has 4 judged trials, most of which succeed" if fitting else "no cell has these values"
        return _none(f"the named baseline ({words}) is none: {why}")
    reason, reference = f"named ({words})", None
    if not chosen.converged:
        reason = f"{reason}; none of its trials succeeds, so that it has no level"
    elif chosen.figures.settles and unlike:
        reason = f"{reason}; {unlike}"
    elif chosen.figures.settles:
        reference = _level(chosen)
    return Baseline(cell=chosen.id, reference=reference, reason=reason, named=len(fitting) == 1)


def _none(reason: str) -> Baseline:
    return Baseline(cell=None, reference=None, reason=reason)


def _best(cells: Sequence[JudgedCell]) -> JudgedCell | None:
    return min(filter(_qualifies, cells), key=lambda cell: cell.figures.rank, default=None)


def expected(matrix: Matrix, cell: CellId) -> Iterator[Expectation]:
    """The expectations of a matrix for a cell."""
    return (one for one in matrix.expect if cell.matches(one.match.values))


def missed(matrix: Matrix, cell: JudgedCell) -> tuple[Expectation, ...]:
    """The expectations of a matrix for a cell that its outcome does not meet; of one that was left out none."""
    if cell.is_left_out:
        return ()
    return tuple(one for one in expected(matrix, cell.id) if not cell.outcome.meets(one.outcome))


def is_as_expected(matrix: Matrix, cell: JudgedCell) -> bool:
    """True where a cell is as the matrix expects.

    Where it expects nothing of the cell, whether its outcome is not bad.
    """
    if any(expected(matrix, cell.id)):
        return not missed(matrix, cell)
    return cell.kind is not OutcomeKind.BAD


def complaint(matrix: Matrix, cells: Sequence[JudgedCell]) -> str:
    """Why cells are not green as a whole; empty where they may be.

    Nothing ran, most are undecided, or none is good; a matrix that expects of every one of them what it came to, which
    is not good either, gets what it asked for.
    """
    cells = [cell for cell in cells if not cell.is_left_out]
    undecided = sum(cell.kind is OutcomeKind.UNDECIDED for cell in cells)
    if not any(cell.n_trials for cell in cells):
        return "Nothing was executed: no cell has a finished trial."
    if undecided * 2 > len(cells):
        words = "undecided or not run" if any(cell.outcome == NOT_RUN for cell in cells) else "undecided"
        return f"Most cells are {words}: {undecided} of {len(cells)}."
    asked_for = all(any(expected(matrix, cell.id)) and not missed(matrix, cell) for cell in cells)
    if asked_for or any(cell.kind is OutcomeKind.GOOD for cell in cells):
        return ""
    counts = Counter(_verb(cell.outcome) for cell in cells)
    return f"No cell is good: {', '.join(f'{count} {verb}' for verb, count in counts.most_common())}."


def pinned_changes(cells: Sequence[JudgedCell], base: str) -> tuple[Change, ...]:
    """The changes between neighbours that both were chosen to run."""
    missing = {cell.id for cell in cells if cell.is_left_out}
    found = changes({cell.id: cell.outcome for cell in cells}, base)
    return tuple(one for one in found if missing.isdisjoint({one.before, one.after}))


def _verb(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.BAD:
            return "broke" if outcome.breaks else "failed"
        case OutcomeKind.UNTESTABLE:
            return "could not be tested"
        case OutcomeKind.UNDECIDED:
            return str(NOT_RUN) if outcome == NOT_RUN else "undecided"
        case OutcomeKind.GOOD:
            return "good"
