"""A matrix in parts for several machines: which cells are in which part, balanced by what they are expected to take.

Pure: cells by environment and their costs in, a part for each cell out; every cell is in exactly one.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Piece = tuple[int, ...]
    """Cells of one environment, by their positions in the matrix."""

MAKING_S = 60.0
"""About how long an environment takes to make, in seconds; every part that has a cell of it makes it."""
_WORTH_IT = 0.9
"""An environment is divided only where all parts are done in this share of the time."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts; `index` counts from 1."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


def parse_shard(text: str) -> Shard | None:
    """`3/8` as a shard; nothing for an empty text. Raises UsageError for what is neither."""
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text}: write it like 3/8, the third of eight parts.")
    return Shard(int(found[1]), int(found[2]))


def divide(environments: Sequence[Piece], costs: Sequence[float], of: int) -> list[int]:
    """The part of each cell, counted from 1; the same input always gives the same parts.

    `environments` has the cells of each environment, `costs` the expected seconds of each cell. The longest piece goes
    to the part that has least; environments stay whole but where dividing one makes all of it done sooner.
    """
    pieces = [1] * len(environments)
    best, parts = _packed(environments, pieces, costs, of)
    while True:
        busiest = max(range(of), key=lambda part: (best[part], -part))
        number = _largest(parts[busiest], costs)
        if number is None:
            break
        choices = range(pieces[number] + 1, min(of, len(environments[number])) + 1)
        tried = [[*pieces[:number], count, *pieces[number + 1 :]] for count in choices]
        packed = [
            (max(loads), choice, loads, found)
            for choice in tried
            for loads, found in [_packed(environments, choice, costs, of)]
        ]
        if not packed or min(packed)[0] > _WORTH_IT * max(best):
            break
        _, pieces, best, parts = min(packed)
    return [
        part
        for _, part in sorted((cell, part) for part, held in enumerate(parts, 1) for _, cells in held for cell in cells)
    ]


def _packed(
    environments: Sequence[Piece], pieces: Sequence[int], costs: Sequence[float], of: int
) -> tuple[list[float], list[list[tuple[int, Piece]]]]:
    """How long each part takes, and its pieces, each with the number of its environment."""
    cut = [
        (number, piece)
        for number, (cells, count) in enumerate(zip(environments, pieces, strict=True))
        for piece in _cut(cells, costs, count)
    ]
    cut.sort(key=lambda one: (-_cost(one[1], costs), one[1]))
    heap = [(0.0, part) for part in range(of)]
    parts: list[list[tuple[int, Piece]]] = [[] for _ in range(of)]
    for number, piece in cut:
        load, part = heapq.heappop(heap)
        parts[part].append((number, piece))
        heapq.heappush(heap, (load + _cost(piece, costs), part))
    return [load for load, _ in sorted(heap, key=lambda one: one[1])], parts


def _cost(piece: Piece, costs: Sequence[float]) -> float:
    return MAKING_S + sum(costs[cell] for cell in piece)


def _cut(cells: Piece, costs: Sequence[float], count: int) -> list[Piece]:
    """The cells in `count` runs of about the same cost; neighbours stay together, no run is empty."""
    sums = list(accumulate(costs[cell] for cell in cells))
    ends = [0]
    for number in range(1, count):
        wanted = sums[-1] * number / count
        end = next(i for i, total in enumerate(sums, 1) if total >= wanted or i == len(sums))
        ends.append(min(max(end, ends[-1] + 1), len(cells) - (count - number)))
    return [cells[start:end] for start, end in zip(ends, [*ends[1:], len(cells)], strict=True)]


def _largest(held: Sequence[tuple[int, Piece]], costs: Sequence[float]) -> int | None:
    """The environment with the longest piece of a part that can be divided at all."""
    found = [(_cost(piece, costs), -number) for number, piece in held if len(piece) > 1]
    return -max(found)[1] if found else None
