"""Search for the changes that make the difference: the smallest sets of factors that turn a good cell bad.

Factors are moved alone first; then a bad set is shrunk (by halves, by delta debugging, by what hangs together), and the
rest is tried without it, until nothing is left. Untestable combinations are stepped around; factors that can't be told
apart for them stay in the set and are named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING

from runner.investigate.question import AttributeRules, BudgetSpentError, Inquiry
from runner.matrix.axes import AxisKind
from runner.matrix.cell_id import CellId
from runner.outcomes.account import Cause, Decision, Factor, SearchEnding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.investigate.question import Answers, Move, Search
    from runner.outcomes.account import Tried

_NOTHING: frozenset[str] = frozenset()


_MOST_STUCK = 8
"""Up to so many factors that can't be taken back alone are tried to be taken back two at a time."""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """All that was found between a good and a bad cell."""

    good: Decision
    """The decision about the good cell: unless good, there is nothing to attribute."""
    bad: Decision
    """The decision about the bad cell."""
    factors: tuple[Factor, ...]
    causes: tuple[Cause, ...]
    """In the order in which they were found; sets of one first."""
    inner: tuple[Attribution | None, ...] = ()
    """For each cause the attribution among the packages that it brought along; None where it brought none."""
    complete: bool
    """True where these are all smallest sets, provided that moving more never heals; else there may be others."""
    fault: str | None
    """The fault that counts as bad."""
    moves: tuple[Move, ...]
    ending: SearchEnding
    trials: int
    """Trials that ran for this search, components included; recorded ones cost nothing."""

    @property
    def tried(self) -> tuple[Tried, ...]:
        """The combinations that were tried, as an account has them."""
        return tuple(move.tried for move in self.moves)

    @property
    def alone(self) -> dict[str, Decision]:
        """The effect of each factor that was moved alone."""
        return {next(iter(move.factors)): move.tried.told for move in self.moves if len(move.factors) == 1}


def attribute(
    factors: Sequence[Factor], rules: AttributeRules | None = None, known: Answers | None = None
) -> Search[Attribution]:
    """Every smallest set of `factors` that turns the good cell bad; `known` is used before anything is asked.

    Packages come best with what they need before them: then fewer combinations are untestable. Where answers say what
    environments hold, a cause that brought other packages along is followed to those.
    """
    inquiry = Inquiry(factors=tuple(factors), rules=rules or AttributeRules(), known=dict(known or {}))
    found = yield from _attributed(inquiry)
    causes, inner = [], []
    for cause in found.causes:
        within = _inner(inquiry, cause) if inquiry.rules.components else None
        components = (yield from _attributed(within)) if within is not None else None
        inquiry.spent = within.spent if within is not None else inquiry.spent
        causes.append(_with_components(cause, components) if components else cause)
        inner.append(components)
    return replace(found, causes=tuple(causes), inner=tuple(inner), trials=inquiry.spent)


def _with_components(cause: Cause, found: Attribution) -> Cause:
    """A cause with what was found among the packages that it brought along.

    An axis that is only there since the packages can't be had without it, and by itself leaves the cell good, brought
    them along and no more.
    """
    innocent = {next(iter(one.factors)) for one in found.moves if one.alone and one.tried.told is Decision.GOOD}
    guilty = {name for inner in found.causes for name in inner.names if name in inner.needed or name not in innocent}
    blocked = (one.tried.counts.reason for one in found.moves if one.factors and one.factors <= guilty)
    return cause.model_copy(
        update={
            "bystanders": tuple(name for name in cause.names if found.causes and name not in guilty),
            "inseparable": next((one for one in blocked if one), ""),
            "brought": tuple(one.name for one in found.factors if one.pinned),
            "components": tuple(_without_companions(inner, frozenset(cause.names) & guilty) for inner in found.causes),
        }
    )


def _without_companions(inner: Cause, own: frozenset[str]) -> Cause:
    """A cause within the environments, less what an axis of it can't be had without: that comes along with the axis."""
    if not own & set(inner.names):
        return inner
    kept = tuple(one for one in inner.factors if one.name in own or one.name in inner.needed)
    return inner.model_copy(update={"factors": kept, "coupled": tuple(own & set(inner.coupled))})


def _attributed(inquiry: Inquiry) -> Search[Attribution]:
    causes: list[Cause] = []
    open_: list[frozenset[str]] = []
    ending = SearchEnding.SURE
    differ = (Decision.GOOD, Decision.BAD)
    try:
        ends = yield from inquiry.decide(_NOTHING, inquiry.all)
        if ends == differ:
            yield from _find(inquiry, causes, open_)
    except BudgetSpentError:
        ending = SearchEnding.BUDGET
    ends = inquiry.decision(_NOTHING), inquiry.decision(inquiry.all)
    open_ += [less for cause in causes for less in _less(cause) if inquiry.decision(less) is Decision.AMBIGUOUS]
    if ending is SearchEnding.SURE and (open_ or ends != differ):
        ending = SearchEnding.EXHAUSTED
    return Attribution(
        good=ends[0],
        bad=ends[1],
        factors=inquiry.factors,
        causes=tuple(causes),
        complete=ending is SearchEnding.SURE,
        fault=inquiry.fault,
        moves=inquiry.moves(),
        ending=ending,
        trials=inquiry.spent,
    )


def _find(inquiry: Inquiry, causes: list[Cause], open_: list[frozenset[str]]) -> Search[None]:
    """Add every cause: those of one factor, then of what is left when one factor of each known cause stays good.

    A set that stays good has no cause within, provided that moving more never heals (MARCO, Liffiton 2016). Sets about
    which nothing can be decided are added to `open_`.
    """
    singles = [frozenset({name}) for name in inquiry.alone]
    if singles:
        decisions = yield from inquiry.decide(*singles)
        for single, decision in zip(singles, decisions, strict=True):
            if decision is Decision.BAD:
                causes.append((yield from _cause(inquiry, single)))
    closed: list[frozenset[str]] = []
    while (rest := _left(inquiry, causes, closed)) is not None:
        (decision,) = yield from inquiry.decide(rest)
        if decision is Decision.BAD:
            smallest = yield from shrink(inquiry, rest)
            causes.append((yield from _cause(inquiry, smallest)))
            continue
        closed.append(rest)
        if decision is not Decision.GOOD:
            open_.append(rest)


def _left(inquiry: Inquiry, causes: Sequence[Cause], closed: Sequence[frozenset[str]]) -> frozenset[str] | None:
    """The largest set that has no known cause within and is not within one that is closed; None: there is none."""
    sets = (inquiry.all.difference(kept) for kept in _keeping([cause.needed or cause.names for cause in causes]))
    return next((one for one in sets if one and not any(one <= good for good in closed)), None)


def _keeping(causes: Sequence[tuple[str, ...]]) -> Iterator[frozenset[str]]:
    """The ways to keep one factor of every cause at its good value, those that keep fewest first.

    Where some factors of a cause can't be taken back alone, it is one of the others.
    """
    return iter(sorted({frozenset(choice) for choice in product(*causes)}, key=lambda kept: (len(kept), sorted(kept))))


def _cause(inquiry: Inquiry, smallest: frozenset[str]) -> Search[Cause]:
    """The cause that a smallest set is, verified by moving all but it."""
    rest = inquiry.all - smallest
    names = inquiry.ordered(smallest)
    try:
        less = yield from inquiry.decide(*(smallest - {name} for name in names))
        without = (yield from inquiry.decide(rest))[0] if rest else Decision.GOOD
    except BudgetSpentError:
        less = tuple(inquiry.decision(smallest - {name}) for name in names)
        without = inquiry.decision(rest)
    needed = [name for name, decision in zip(names, less, strict=True) if decision is Decision.GOOD]
    return Cause(
        factors=tuple(factor for factor in inquiry.factors if factor.name in smallest),
        coupled=tuple(name for name in names if name not in needed),
        without=without,
        probability=inquiry.doubtless(smallest, *(smallest - {name} for name in needed)),
    )


def _less(cause: Cause) -> list[frozenset[str]]:
    """The set without each of its factors that may not be needed."""
    return [frozenset(cause.names) - {name} for name in cause.coupled]


def _inner(inquiry: Inquiry, cause: Cause) -> Inquiry | None:
    """The inquiry into what a cause brought along; None where it brought nothing, or that is not known.

    Two backends are two distributions: what only one of them needs comes and goes with it, and is not asked by itself.
    Their releases are held, or pinning a package could move them too.
    """
    moved = frozenset(cause.names)
    good, bad = inquiry.evidence(_NOTHING), inquiry.evidence(moved)
    if good is None or bad is None or not good.contents or not bad.contents:
        return None
    had, has = dict(good.contents), dict(bad.contents)
    apart = had.keys() ^ has.keys() if AxisKind.BACKEND.value in moved else set()
    brought = [name for name in {**had, **has} if had.get(name) != has.get(name) and name not in moved | apart]
    if not brought:
        return None
    own = tuple(factor for factor in inquiry.factors if factor.name in moved)
    packages = tuple(Factor(name=name, good=had.get(name), bad=has.get(name), pinned=True) for name in sorted(brought))
    still = {one.name: one.good for one in inquiry.factors if one.name not in moved and one.good is not None}
    distributions = {name: version for name, version in {**had, **has}.items() if name in apart}
    inner = inquiry.about((*packages, *own), CellId.of(still), distributions)
    inner.known[inner.combination(_NOTHING)] = good
    inner.known[inner.combination(inner.all)] = bad
    return inner


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
        (decision,) = yield from inquiry.decide(guilty.union(pool[:middle]))
        match decision:
            case Decision.BAD:
                high = middle
            case Decision.GOOD:
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
    stuck = [name for name in inquiry.ordered(moved) if inquiry.decision(moved - {name}) is Decision.UNTESTABLE]
    for pair in combinations(stuck[:_MOST_STUCK], 2):
        rest = moved.difference(pair)
        if rest and (yield from inquiry.bad(rest)):
            return rest
    return moved
