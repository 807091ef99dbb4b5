"""A whole matrix judged in two passes: by shape or criterion first, then settled trials against the baseline's level.

Takes the trials of all cells with their first verdicts and gives the outcomes of all cells; pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.matrix.model import Judging
from runner.outcomes.baseline import baseline_of
from runner.outcomes.cell import outcome_of
from runner.outcomes.comparing import comparisons
from runner.outcomes.control import control
from runner.outcomes.label import verdict_of
from runner.outcomes.labels import Label
from runner.outcomes.pairs import top_up
from runner.outcomes.tally import most_trials, seeds_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.matrix.criterion import Comparison
    from runner.matrix.model import Seeds
    from runner.outcomes.cell import Outcome
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.control import Control
    from runner.outcomes.tally import Trial
    from runner.outcomes.verdict import Reference

_AS_USUAL = Judging()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The outcomes of a matrix, in the order of its cells, and what they were held against."""

    outcomes: tuple[Outcome, ...]
    position: int | None
    """Where in `outcomes` the baseline is; None without one."""
    reference: Reference | None
    """The level that settled trials were held against; None: they stay `settled`, or a criterion judged them."""
    reason: str
    """Why this baseline, or why none."""
    named: bool
    """Whether the baseline was fixed before any trial was seen."""
    copy: Outcome | None = None
    """The baseline run a second time with other seeds."""

    @property
    def baseline(self) -> Outcome | None:
        """The cell that the others are compared with."""
        return None if self.position is None else self.outcomes[self.position]

    @cached_property
    def comparisons(self) -> tuple[CellComparison, ...]:
        """Each other cell against the baseline; none without one."""
        if self.baseline is None:
            return ()
        return comparisons(self.outcomes, self.baseline, named=self.named)

    @cached_property
    def control(self) -> Control | None:
        """How often cells that are the same were called different; None where the baseline was not run twice."""
        return None if self.copy is None or self.baseline is None else control([(self.copy, self.baseline)])

    def seeds_wanted(self, seeds: Seeds) -> tuple[int, ...]:
        """How many more trials each cell needs at the least, in the order of the cells; all 0 when the matrix is done.

        First what the sequential rule asks for by these verdicts: a trial that settled above the baseline's level is a
        failure now. Where no cell needs that any more, what the comparisons lack; a fixed number of seeds stays fixed,
        and `seeds.cap` is kept.
        """
        sequential = tuple(seeds_wanted(outcome.trials, seeds) for outcome in self.outcomes)
        if any(sequential) or seeds.fixed or self.baseline is None:
            return sequential
        lacking = top_up(self.outcomes, self.baseline)
        return tuple(
            max(0, min(more, most_trials(seeds) - outcome.n_trials, seeds.cap - outcome.counted))
            for outcome, more in zip(self.outcomes, lacking, strict=True)
        )


def outcomes_of(
    cells: Iterable[tuple[Mapping[str, str], Iterable[Trial]]],
    seeds: Seeds,
    *,
    criterion: tuple[Comparison, ...] = (),
    judging: Judging = _AS_USUAL,
    baseline: Mapping[str, str] | None = None,
    copy: Iterable[Trial] = (),
) -> Judged:
    """Judge a matrix: its cells' axis values, each with its trials and their verdicts without a reference.

    `criterion` and `judging` are those of the verdicts. `baseline` has some axis values of the cell that others are
    compared with; without it the best is chosen (see `baseline_of`). `copy` are the trials of the baseline's copy.
    """
    known = [(values, tuple(trials)) for values, trials in cells]
    first = tuple(outcome_of(values, trials, seeds) for values, trials in known)
    chosen = baseline_of(first, baseline)
    reference = chosen.reference

    def second(values: Mapping[str, str], trials: Iterable[Trial]) -> Outcome:
        held = (_held_against(reference, trial, criterion, judging) for trial in trials) if reference else trials
        return outcome_of(values, held, seeds)

    outcomes = first if reference is None else tuple(second(values, trials) for values, trials in known)
    copies = tuple(copy)
    return Judged(
        outcomes=outcomes,
        copy=second(outcomes[chosen.position].cell, copies) if copies and chosen.position is not None else None,
        position=chosen.position,
        reference=reference,
        reason=chosen.reason,
        named=chosen.named,
    )


def _held_against(reference: Reference, trial: Trial, criterion: tuple[Comparison, ...], judging: Judging) -> Trial:
    """A trial judged again where the reference can matter: R10 comes after all rules that gave another label."""
    record, verdict = trial
    if Label.SETTLED not in {verdict.label, verdict.shape}:
        return trial
    return record, verdict_of(record, criterion, judging=judging, reference=reference)
