"""The numbers that the rules compare: a series read from what was reported, and its quantities (VERDICTS.md, 2).

Here smaller is always better: a maximised metric is negated on the way in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MATERIAL = 0.10
"""A change that counts, as a share of the starting loss S."""
TREND = 0.025
"""A fall that is still going on, as a share of S."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The finite values `y` with the epochs that reported them, and what was known of the others."""

    y: tuple[float, ...]
    epochs: tuple[int, ...]
    first_reported: int | None
    """The first epoch with a value, finite or not."""
    first_non_finite: int | None
    ended_finite: bool
    """Whether the last reported value was finite."""


def read(values: Sequence[float | str | None], *, sign: int = 1, skip: int = 0, running_best: bool = False) -> Series:
    """Read a series as it was reported: None is "not in this epoch"; "nan", "inf" and "-inf" may be text.

    Epochs count from 1 and keep their number when the first `skip` are left out.
    """
    reported = [(epoch, float(value)) for epoch, value in enumerate(values, 1) if value is not None and epoch > skip]
    finite = [(epoch, sign * value) for epoch, value in reported if math.isfinite(value)]
    y = tuple(value for _, value in finite)
    return Series(
        y=tuple(accumulate(y, min)) if running_best else y,
        epochs=tuple(epoch for epoch, _ in finite),
        first_reported=reported[0][0] if reported else None,
        first_non_finite=next((epoch for epoch, value in reported if not math.isfinite(value)), None),
        ended_finite=bool(reported) and math.isfinite(reported[-1][1]),
    )


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """The quantities of VERDICTS.md, 2, of at least one finite value."""

    n: int
    y0: float
    end: float
    final: float
    lowest: float
    best: float
    """The lowest level that lasted: single lucky dips do not count once n >= 15."""
    scale: float
    """The starting loss S."""
    before_last: float
    """L4, the level of the fourth fifth."""
    reversals: int
    window: int
    """How many of the last values the reversals were counted in."""


def measure(y: Sequence[float]) -> Quantities:
    """Measure a series of at least one finite value."""
    n, y0 = len(y), y[0]
    final = median(y[-max(3, n // 10) :]) if n >= 15 else y[-1]
    levels = [median(part) for part in split(y, 5) if part]
    best = min(y0, final, *levels)
    scale = max(abs(y0), y0 - best)
    window = min(n, max(10, -(-6 * n // 10)))
    return Quantities(
        n=n,
        y0=y0,
        end=y[-1],
        final=final,
        lowest=min(y),
        best=best,
        scale=scale,
        before_last=levels[-2] if len(levels) > 1 else y0,
        reversals=reversals(y[-window:], MATERIAL * scale),
        window=window,
    )


def split(values: Sequence[float], parts: int) -> list[Sequence[float]]:
    """Cut into consecutive parts whose lengths differ by at most one, longer ones first (as `numpy.array_split`)."""
    length, longer = divmod(len(values), parts)
    bounds = [0, *accumulate(length + (i < longer) for i in range(parts))]
    return [values[a:b] for a, b in pairwise(bounds)]


def reversals(values: Sequence[float], leg: float) -> int:
    """How many turning points have a leg longer than `leg` on both sides (a zigzag)."""
    turns, direction = 0, 0  # 1: rising, -1: falling, 0: has not moved by a leg yet
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
        if direction >= 0 and high - value > leg:
            turns, direction, low = turns + direction, -1, value
        elif direction <= 0 and value - low > leg:
            turns, direction, high = turns - direction, 1, value
    return turns
