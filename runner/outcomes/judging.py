"""How trials are judged where no criterion says so, and the baseline's level that rule R10 compares with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runner.outcomes.metrics import Mode


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What `judge` is told of every trial of a matrix; a criterion's metric and operator win over these."""

    metric: str = "loss"
    mode: Mode | None = None
    """Which way is better; None: as the metric's name says."""
    at: Literal["last", "best"] = "last"
    """`best` judges the best value so far, as checkpoints keep it."""
    skip: int = 0
    """How many first epochs are left out."""


AS_USUAL = Judging()
"""The last loss, from the first epoch on; smaller is better."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The level of a baseline: medians over its successful trials, in the metric's own units (VERDICTS.md, R10)."""

    final: float
    scale: float
    """The starting loss S."""
