"""From a bad set of moved factors to a smallest one: search by halves, then delta debugging, then what hangs together.

Untestable combinations are stepped around; what can't be told apart for them stays in the set, and is named.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from runner.investigate.told import Told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.inquiry import Inquiry
    from runner.investigate.question import Search

_MOST_STUCK = 8
"""Up to so many factors that can't be taken back alone are tried to be taken back two at a time."""


def shrink(inquiry: Inquiry, moved: frozenset[str]) -> Search[frozenset[str]]:
    """A set within `moved`, which is bad, that is bad and of which no single factor can be taken back and leave it bad.

    Of n factors of which k are guilty it takes about k log2 n + 2 k decisions.
    """
    smallest = yield from _halved(inquiry, moved)
    while True:
        smallest = yield from _debugged(inquiry, smallest)
        smaller = yield from _untangled(inquiry, smallest)
        if smaller == smallest:
            return smallest
        smallest = smaller


def _halved(inquiry: Inquiry, moved: frozenset[str]) -> Search[frozenset[str]]:
    """The guilty factors one by one: each ends the shortest bad run of factors, with the guilty ones before it moved.

    QuickXplain (Junker 2004) in its simplest form. Right where moving more never heals; what follows makes sure.
    """
    guilty: frozenset[str] = frozenset()
    pool = inquiry.ordered(moved)
    while pool and not (guilty and (yield from inquiry.bad(guilty))):
        low, high = yield from _shortest_run(inquiry, guilty, pool)
        guilty |= frozenset(pool[low:high])
        pool = pool[:low]
    return guilty


def _shortest_run(inquiry: Inquiry, guilty: frozenset[str], pool: Sequence[str]) -> Search[tuple[int, int]]:
    """(low, high): the first `high` of the pool are bad, the first `low` are not, and nothing between can be told."""
    low, high = 0, len(pool)
    aside: set[int] = set()
    while between := [length for length in range(low + 1, high) if length not in aside]:
        middle = min(between, key=lambda length: abs(2 * length - low - high))
        (told,) = yield from inquiry.tell(guilty.union(pool[:middle]))
        match told:
            case Told.BAD:
                high = middle
            case Told.GOOD:
                low = middle
            case _:
                aside.add(middle)
    return low, high


def _debugged(inquiry: Inquiry, moved: frozenset[str]) -> Search[frozenset[str]]:
    """Delta debugging: ddmin (Zeller and Hildebrandt 2002), where untestable counts as not bad."""
    parts = 2
    while len(moved) > 1:
        smaller = yield from _bad_part(inquiry, moved, parts)
        if smaller is not None:
            moved, parts = smaller, max(2, min(parts - 1, len(smaller)))
        elif parts >= len(moved):
            break
        else:
            parts = min(2 * parts, len(moved))
    return moved


def _bad_part(inquiry: Inquiry, moved: frozenset[str], parts: int) -> Search[frozenset[str] | None]:
    """The first part of so many, or all but one part, that is bad by itself."""
    names = inquiry.ordered(moved)
    cuts = [len(names) * part // parts for part in range(parts + 1)]
    pieces = [frozenset(names[low:high]) for low, high in pairwise(cuts)]
    for candidate in dict.fromkeys([*pieces, *(moved - piece for piece in pieces)]):
        if candidate and candidate != moved and (yield from inquiry.bad(candidate)):
            return candidate
    return None


def _untangled(inquiry: Inquiry, moved: frozenset[str]) -> Search[frozenset[str]]:
    """Less two factors that can't be taken back alone but can together, where that leaves it bad."""
    stuck = [name for name in inquiry.ordered(moved) if inquiry.told(moved - {name}) is Told.UNTESTABLE]
    for pair in combinations(stuck[:_MOST_STUCK], 2):
        rest = moved.difference(pair)
        if rest and (yield from inquiry.bad(rest)):
            return rest
    return moved
