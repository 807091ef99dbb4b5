"""What two outcomes are to each other before any number is looked at, and the words that a comparison may end with."""

from __future__ import annotations

import enum
from typing import assert_never

from runner.outcomes.cell import OutcomeKind


class Footing(enum.Enum):
    """What a pair of outcomes can be asked."""

    BLOCKED = "a side can't be tested"
    APART = "one succeeds, the other fails"
    SUCCEED = "both succeed"
    FAIL = "both fail"
    UNSURE = "a side is undecided"


class ComparisonLabel(enum.StrEnum):
    """What may be said of a cell against the baseline (VERDICTS.md, 3)."""

    BLOCKED = "blocked"
    WORSE = "worse"
    BETTER = "better"
    LEVEL_DIFFERS = "level-differs"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"

    @property
    def different(self) -> bool:
        """Whether the two cells were called different."""
        return self in {ComparisonLabel.WORSE, ComparisonLabel.BETTER, ComparisonLabel.LEVEL_DIFFERS}


def footing(cell: OutcomeKind, baseline: OutcomeKind) -> Footing:
    """What the two can be asked; whoever adds a kind of outcome must decide here."""
    match cell, baseline:
        case (OutcomeKind.UNTESTABLE, _) | (_, OutcomeKind.UNTESTABLE):
            return Footing.BLOCKED
        case (OutcomeKind.UNDECIDED, _) | (_, OutcomeKind.UNDECIDED):
            return Footing.UNSURE
        case (OutcomeKind.GOOD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.SUCCEED if baseline is cell else Footing.APART
        case (OutcomeKind.BAD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.FAIL if baseline is cell else Footing.APART
        case unexpected:
            assert_never(unexpected)
