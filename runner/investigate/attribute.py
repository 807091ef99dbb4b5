"""Which change makes the difference? From a good and a bad cell to the smallest sets of factors that turn one bad.

Factors are moved alone first; then a bad set is shrunk, and what is left without it is tried, until nothing is left.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from runner.investigate.attributed import Attribution, Cause, Factor
from runner.investigate.inquiry import AttributeRules, Inquiry
from runner.investigate.question import BudgetSpentError
from runner.investigate.shrink import shrink
from runner.investigate.told import Ending, Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.investigate.question import Answers, Search

_NOTHING: frozenset[str] = frozenset()


def attribute(
    factors: Sequence[Factor], rules: AttributeRules | None = None, known: Answers | None = None
) -> Search[Attribution]:
    """Every smallest set of `factors` that turns the good cell bad; `known` is used before anything is asked.

    Packages come best with what they need before them: then fewer combinations are untestable. Where answers say what
    environments hold, a cause that brought other packages along is followed to those.
    """
    inquiry = Inquiry(factors=tuple(factors), rules=rules or AttributeRules(), known=dict(known or {}))
    found = yield from _attributed(inquiry)
    causes = []
    for cause in found.causes:
        inner = _inner(inquiry, cause) if inquiry.rules.components else None
        components = (yield from _attributed(inner)) if inner is not None else None
        inquiry.spent = inner.spent if inner is not None else inquiry.spent
        causes.append(replace(cause, components=components))
    return replace(found, causes=tuple(causes), trials=inquiry.spent)


def _attributed(inquiry: Inquiry) -> Search[Attribution]:
    causes: list[Cause] = []
    untold: list[frozenset[str]] = []
    ending = Ending.SURE
    try:
        good, bad = yield from inquiry.tell(_NOTHING, inquiry.all)
        if (good, bad) == (Told.GOOD, Told.BAD):
            yield from _find(inquiry, causes, untold)
    except BudgetSpentError:
        ending = Ending.BUDGET
    good, bad = inquiry.told(_NOTHING), inquiry.told(inquiry.all)
    untold += [less for cause in causes for less in _less(cause) if inquiry.told(less) is Told.AMBIGUOUS]
    if ending is Ending.SURE and (untold or (good, bad) != (Told.GOOD, Told.BAD)):
        ending = Ending.EXHAUSTED
    return Attribution(
        good=good,
        bad=bad,
        factors=inquiry.factors,
        causes=tuple(causes),
        complete=ending is Ending.SURE,
        fault=inquiry.fault,
        tried=inquiry.tried(),
        ending=ending,
        trials=inquiry.spent,
    )


def _find(inquiry: Inquiry, causes: list[Cause], untold: list[frozenset[str]]) -> Search[None]:
    """Add every cause: those of one factor, then of what is left when one factor of each known cause stays good.

    A set that stays good has no cause within, provided that moving more never heals (MARCO, Liffiton 2016).
    """
    singles = [frozenset({name}) for name in inquiry.alone]
    if singles:
        told = yield from inquiry.tell(*singles)
        for single, one in zip(singles, told, strict=True):
            if one is Told.BAD:
                causes.append((yield from _cause(inquiry, single)))
    closed: list[frozenset[str]] = []
    while (rest := _left(inquiry, causes, closed)) is not None:
        told_rest = (yield from inquiry.tell(rest))[0]
        if told_rest is Told.BAD:
            smallest = yield from shrink(inquiry, rest)
            causes.append((yield from _cause(inquiry, smallest)))
            continue
        closed.append(rest)
        if told_rest is not Told.GOOD:
            untold.append(rest)


def _left(inquiry: Inquiry, causes: Sequence[Cause], closed: Sequence[frozenset[str]]) -> frozenset[str] | None:
    """The largest set that has no known cause within and is not within one that is closed; None: there is none."""
    sets = (inquiry.all.difference(kept) for kept in _keeping([cause.needed or cause.factors for cause in causes]))
    return next((one for one in sets if one and not any(one <= good for good in closed)), None)


def _keeping(causes: Sequence[tuple[str, ...]]) -> Iterator[frozenset[str]]:
    """The ways to keep one factor of every cause at its good value, those that keep fewest first.

    Where some factors of a cause can't be taken back alone, it is one of the others.
    """
    return iter(sorted({frozenset(choice) for choice in product(*causes)}, key=lambda kept: (len(kept), sorted(kept))))


def _cause(inquiry: Inquiry, smallest: frozenset[str]) -> Search[Cause]:
    """What is said of a smallest set, verified by moving all but it."""
    rest = inquiry.all - smallest
    try:
        less = yield from inquiry.tell(*(smallest - {name} for name in inquiry.ordered(smallest)))
        without = (yield from inquiry.tell(rest))[0] if rest else Told.GOOD
    except BudgetSpentError:
        less = tuple(inquiry.told(smallest - {name}) for name in inquiry.ordered(smallest))
        without = inquiry.told(rest)
    needed = [name for name, told in zip(inquiry.ordered(smallest), less, strict=True) if told is Told.GOOD]
    return Cause(
        factors=inquiry.ordered(smallest),
        needed=tuple(needed),
        coupled=tuple(name for name in inquiry.ordered(smallest) if name not in needed),
        without=without,
        probability=inquiry.doubtless(smallest, *(smallest - {name} for name in needed)),
    )


def _less(cause: Cause) -> list[frozenset[str]]:
    """The set without each of its factors that may not be needed."""
    return [frozenset(cause.factors) - {name} for name in cause.coupled]


def _inner(inquiry: Inquiry, cause: Cause) -> Inquiry | None:
    """The inquiry into what a cause brought along; None where it brought nothing, or that is not known."""
    moved = frozenset(cause.factors)
    good, bad = inquiry.evidence(_NOTHING), inquiry.evidence(moved)
    if good is None or bad is None or not good.contents or not bad.contents:
        return None
    had, has = dict(good.contents), dict(bad.contents)
    brought = [name for name in {**had, **has} if had.get(name) != has.get(name) and name not in moved]
    if not brought:
        return None
    own = tuple(factor for factor in inquiry.factors if factor.name in moved)
    packages = tuple(Factor(name=name, good=had.get(name), bad=has.get(name), pinned=True) for name in sorted(brought))
    fixed = tuple((one.name, one.good) for one in inquiry.factors if one.name not in moved and one.good is not None)
    inner = inquiry.about((*packages, *own), fixed)
    inner.known[inner.combination(_NOTHING)] = good
    inner.known[inner.combination(inner.all)] = bad
    return inner
