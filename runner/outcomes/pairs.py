"""Two outcomes side by side: what they can be asked, their levels, and how many seeds more a comparison needs.

All of it without SciPy, so that a finished matrix is known to be finished at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.baseline import unlike_starts
from runner.outcomes.cell import ENOUGH_RUNS
from runner.outcomes.footing import Footing, footing
from runner.outcomes.samples import ENOUGH_VALUES, finite
from runner.outcomes.significance import seeds_to_tell_apart
from runner.outcomes.tally import tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.outcomes.cell import Outcome
    from runner.outcomes.tally import Tally


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell and the baseline, with what their trials add up to."""

    cell: Outcome
    baseline: Outcome
    footing: Footing
    ours: Tally
    theirs: Tally
    levels: tuple[tuple[float, ...], tuple[float, ...]] | None
    """The sorted final values of the successes of the cell and of the baseline; None where they are not compared."""

    @property
    def testable(self) -> bool:
        """Whether no side is blocked."""
        return self.footing is not Footing.BLOCKED

    @property
    def apart(self) -> bool:
        """Whether the outcomes are of different kinds."""
        return self.cell.kind is not self.baseline.kind

    @property
    def levels_apart(self) -> bool:
        """Whether the levels of the two do not overlap."""
        if self.levels is None:
            return False
        ours, theirs = self.levels
        return ours[-1] < theirs[0] or theirs[-1] < ours[0]


def pair_of(cell: Outcome, baseline: Outcome) -> Pair:
    """The two side by side."""
    ours, theirs = tally(cell.trials), tally(baseline.trials)
    kind = footing(cell.kind, baseline.kind)
    finals = (finite(verdict.final for _, verdict in counts.successes) for counts in (ours, theirs))
    levels = next(finals), next(finals)
    enough = min(map(len, levels)) >= ENOUGH_VALUES
    comparable = kind is not Footing.BLOCKED and enough and not unlike_starts((cell, baseline))
    return Pair(
        cell=cell, baseline=baseline, footing=kind, ours=ours, theirs=theirs, levels=levels if comparable else None
    )


def numbers_of_tests(pairs: Sequence[Pair], *, chosen: bool) -> tuple[int, int]:
    """How many comparisons of rates and of levels are corrected for.

    A baseline that was `chosen` for its level is the best of all cells: its levels are some of those of all pairs.
    """
    rates = sum(pair.testable for pair in pairs)
    levels = sum(pair.levels is not None for pair in pairs)
    return rates, levels * (levels + 1) // 2 if chosen else levels


def seeds_needed(pairs: Sequence[Pair], *, chosen: bool) -> list[tuple[int, int]]:
    """How many more counted trials each cell and each baseline need, so that what they look like can be sure.

    At least 4. Where outcomes are of different kinds, or levels do not overlap, as many as make n of n against 0 of n,
    or n values above n others, pass the correction. Copies are asked for no more: they would be copied again.
    """
    rate_tests, level_tests = numbers_of_tests(pairs, chosen=chosen)
    return [_needed(pair, rate_tests, level_tests) for pair in pairs]


def _needed(pair: Pair, rate_tests: int, level_tests: int) -> tuple[int, int]:
    wanted = ENOUGH_RUNS
    if pair.apart:
        wanted = seeds_to_tell_apart(rate_tests)
    elif pair.levels_apart:
        wanted = seeds_to_tell_apart(level_tests)
    return _lacking(pair, wanted)


def _lacking(pair: Pair, wanted: int) -> tuple[int, int]:
    if not pair.testable:
        return 0, 0
    ours, theirs = (0 if counts.seed_insensitive else max(0, wanted - counts.n) for counts in (pair.ours, pair.theirs))
    return ours, theirs


def top_up(outcomes: Sequence[Outcome], baseline: Outcome) -> tuple[int, ...]:
    """How many more counted trials each outcome needs, so that those that look different can be sure.

    Only where one succeeds and the other fails: where both succeed at levels that look different, the comparison says
    what is still needed, and whoever wants to know asks for more seeds.
    """
    pairs = [pair_of(outcome, baseline) for outcome in outcomes if outcome is not baseline]
    tests, _ = numbers_of_tests(pairs, chosen=False)
    needed = [_lacking(pair, seeds_to_tell_apart(tests) if pair.apart else ENOUGH_RUNS) for pair in pairs]
    cells = iter([ours for ours, _ in needed])
    of_baseline = max((theirs for _, theirs in needed), default=0)
    return tuple(of_baseline if outcome is baseline else next(cells) for outcome in outcomes)
