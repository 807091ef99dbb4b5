"""Where the outcome changes along a version axis: neighbouring cells, all else equal, of different kinds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.outcomes.layout import dimensions_of, layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.outcomes.cell import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Two neighbours along `axis`; axes that it determines move along. Places count in the outcomes that were given."""

    axis: str
    before: int
    """The cell with the earlier version."""
    after: int


def changes(outcomes: Sequence[Outcome], base: str = "") -> tuple[Change, ...]:
    """Every change of kind, axis by axis, in the order of the versions."""
    cells = [outcome.cell for outcome in outcomes]
    axes = [dimension.name for dimension in dimensions_of(cells, base) if dimension.ordered]
    return tuple(change for axis in axes for change in _along(axis, outcomes, base))


def _along(axis: str, outcomes: Sequence[Outcome], base: str) -> Iterator[Change]:
    layout = layout_of([outcome.cell for outcome in outcomes], base, line=axis)
    found = [
        (place, Change(axis=axis, before=before, after=after))
        for row in layout.rows.values()
        for (_, before), (place, after) in pairwise(row.items())
        if outcomes[before].kind is not outcomes[after].kind
    ]
    return (change for _, change in sorted(found, key=lambda one: one[0]))
