"""What comparing the cells of a matrix came to, as the table says it: a label, a p value and a sentence a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.outcomes.comparison import CellComparison
    from runner.outcomes.judged_matrix import JudgedMatrix

BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A cell against the baseline."""

    label: str
    """A `ComparisonLabel`, or `baseline` of the baseline itself."""
    reason: str
    """The numbers behind the label, in words; of the baseline why it is that."""
    p: float | None = None
    """Of the difference in how often the two succeed, corrected; None where that can't be asked."""


def compared(judged: JudgedMatrix) -> tuple[Compared, ...]:
    """What may be said of each cell, in the order of the cells; nothing without a baseline."""
    if judged.chosen is None:
        return ()
    found = {comparison.cell.id: _in_words(comparison) for comparison in judged.comparisons}
    found[judged.chosen] = Compared(label=BASELINE, reason=judged.reason)
    return tuple(found[cell.id] for cell in judged.cells)


def _in_words(comparison: CellComparison) -> Compared:
    p = None if comparison.rates is None else comparison.rates.adjusted_p
    return Compared(label=comparison.label.value, reason=comparison.reason, p=p)
