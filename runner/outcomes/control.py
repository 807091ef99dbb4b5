"""The A/A control: how often two cells that are the same, run with other seeds, were called different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.comparing import compare
from runner.outcomes.interval import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.outcomes.cell import Outcome
    from runner.outcomes.comparison import CellComparison


@dataclass(frozen=True, kw_only=True)
class Control:
    """What pairs of the same cell came to."""

    pairs: tuple[CellComparison, ...]

    @property
    def compared(self) -> int:
        """How many pairs could be compared: no side was blocked, and both have a trial that counts."""
        return sum(pair.rates is not None and all(pair.rates.counted) for pair in self.pairs)

    @property
    def different(self) -> int:
        """How many were called worse, better or at another level: false alarms."""
        return sum(pair.label.different for pair in self.pairs)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Clopper-Pearson interval of the rate of false alarms; None where nothing was compared."""
        return clopper_pearson(self.different, self.compared) if self.compared else None

    @property
    def other_outcomes(self) -> int:
        """How many pairs have outcomes of another kind, such as good and undecided: what seeds alone can do."""
        return sum(pair.cell.kind is not pair.baseline.kind for pair in self.pairs)

    def __str__(self) -> str:
        if self.interval is None:
            return "no two cells that are the same were compared"
        low, high = self.interval
        return (
            f"of {self.compared} pairs of the same cell {self.different} were called different "
            f"(95 % interval {100 * low:.1f}-{100 * high:.1f} %); {self.other_outcomes} have outcomes of another kind"
        )


def control(pairs: Iterable[tuple[Outcome, Outcome]]) -> Control:
    """Compare pairs of outcomes of the same cell, each as if it was the only one: 5 % may be called different."""
    return Control(pairs=tuple(compare(one, other) for one, other in pairs))
