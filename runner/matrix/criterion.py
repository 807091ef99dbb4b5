"""The criterion's grammar: `loss < 1e-4`, `val_accuracy >= 0.9`, `loss < 1e-4 within 5 epochs`; a real parser, never eval."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Operator(enum.Enum):
    """How a metric is compared with its target."""

    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="

    @property
    def minimises(self) -> bool:
        """Whether smaller values of the metric are better."""
        return self in {Operator.LESS, Operator.LESS_EQUAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One target: `metric` must be `operator` `target`, at the end or `within` that many epochs."""

    metric: str
    operator: Operator
    target: float
    within: int | None = None
