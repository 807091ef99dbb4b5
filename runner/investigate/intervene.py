"""Search for the mechanism: the bad cell with one thing changed at a time; what flips it is repeated and reversed.

A few switches are tried at a time, likely and narrow ones first; those that flip the outcome are asked again, and
reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.investigate.attempt import Attempt, InterveneRules, counts_of
from runner.investigate.question import BudgetSpentError
from runner.outcomes.account import Decision, SearchEnding, Share, SwitchFinding, SwitchStanding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.investigate.attempt import Intervention
    from runner.investigate.belief import Evidence
    from runner.investigate.question import Answers, Combination, Search


AT_ONCE = 4
"""Switches that are tried side by side: a budget that ends between two groups loses nothing."""


NARROW = 4
"""A switch of this breadth or less that is proven ends the search: nothing narrower is likely to be found."""
ENOUGH_BESIDE = 12
"""So many trials of the bad cell tell a switch that moves some from one that moves none."""
MANY = 3
"""So many switches that can be made at once are, before each is tried alone."""
MOST_JOINT = 6
"""So many switches that each move some trials are tried together."""


@dataclass(frozen=True, kw_only=True)
class Interventions:
    """All switches, those that matter first, narrowest first."""

    tested: tuple[SwitchFinding, ...]
    good: Evidence | None
    bad: Evidence | None
    ending: SearchEnding
    trials: int
    spared: int = 0
    """The number of switches that were not tried, since a cause was proven by then."""

    @property
    def proven(self) -> bool:
        """True where one of them is the cause."""
        return any(one.standing is SwitchStanding.CAUSED_BY for one in self.tested)


def intervene(
    good: Combination,
    bad: Combination,
    switches: Sequence[Intervention],
    rules: InterveneRules | None = None,
    known: Answers | None = None,
) -> Search[Interventions]:
    """The effect of each switch on the bad cell; `known` is used before anything is asked.

    Likely ones come first, then by breadth; the search ends where a narrow one is proven, or nothing narrower is left.
    Where none flips the outcome alone, those that move it are tried together.
    """
    rules = rules or InterveneRules()
    strict = min(rules.claim, (1 - rules.confidence) / max(1, len(switches)))
    attempt = Attempt(good=good, bad=bad, rules=rules, strict=strict, known=dict(known or {}))
    before = {one.name for one in switches if attempt.trials(one.on) > attempt.enough}
    ending = SearchEnding.SURE
    left = sorted(switches, key=lambda one: one.rank)
    joint: Intervention | None = None
    try:
        attempt.sure.update((good, bad))
        yield from attempt.decide(good, bad)
        left, joint = yield from _sifted(attempt, switches, left)
        while left := _worth_trying(attempt, [*switches, *([joint] if joint else [])], left):
            group = [one for one in left[:AT_ONCE] if one.likely is left[0].likely]
            left = left[len(group) :]
            yield from attempt.decide(*(one.on for one in group if not one.unless))
            yield from attempt.decide(*(one.on for one in group if not _needless(attempt, one, switches)))
            for one in group:
                if attempt.flips(one.on) and not _needless(attempt, one, switches):
                    yield from _repeat(attempt, one, again=one.name not in before)
        joint = joint or (yield from _joint(attempt, switches))
    except BudgetSpentError:
        ending = SearchEnding.BUDGET
    return _result(attempt, switches, joint, ending)


def _result(
    attempt: Attempt, switches: Sequence[Intervention], joint: Intervention | None, ending: SearchEnding
) -> Interventions:
    """All that was tried, in the order of an account; what a proof, or a trial of all at once, made needless is not."""
    every = [*switches, *([joint] if joint else [])]
    proven = any(attempt.standing(one) is SwitchStanding.CAUSED_BY for one in every)
    untried = [one for one in switches if attempt.known.get(one.on) is None]
    spared = [one for one in untried if proven and ending is SearchEnding.SURE]
    aside = {one.name for one in spared} | {one.name for one in untried if one.name in attempt.sifted}
    needed = [one for one in switches if not _needless(attempt, one, switches) and one.name not in aside]
    tested = [_tested(attempt, one) for one in needed if joint is None or not one.unless]
    tested += [_joint_finding(attempt, joint, switches)] if joint else []
    order = list(SwitchStanding)
    return Interventions(
        tested=tuple(
            sorted(
                tested,
                key=lambda one: (order.index(one.standing), one.breadth, one.reversed is not Decision.BAD),
            )
        ),
        good=attempt.known.get(attempt.good),
        bad=attempt.known.get(attempt.bad),
        ending=ending,
        trials=attempt.spent,
        spared=len(spared),
    )


def _sifted(
    attempt: Attempt, switches: Sequence[Intervention], left: Sequence[Intervention]
) -> Search[tuple[list[Intervention], Intervention | None]]:
    """Those left to try once many that can be made at once were: none of them does it, or the fewest that do.

    The fewest are the first to try where it is one, else the joint switch that they are.
    """
    left, joint = list(left), None
    for whole in () if attempt.rules.thorough else switches:
        parts = [one for one in left if one.name in whole.unless]
        if len(parts) < MANY:
            continue
        yield from attempt.decide(whole.on)
        if attempt.leaning(whole.on) is not Decision.BAD and not attempt.flips(whole.on):
            continue
        attempt.sifted.update(one.name for one in parts)
        left = [one for one in left if one not in parts and one is not whole]
        if attempt.flips(whole.on):
            kept = yield from _fewest(attempt, parts)
            if len(kept) == 1:
                left = [*kept, *left]
            elif kept:
                joint = yield from _made_together(attempt, kept)
    return left, joint


def _worth_trying(
    attempt: Attempt, switches: Sequence[Intervention], left: Sequence[Intervention]
) -> list[Intervention]:
    """Those left to try: after a proof only narrower ones, and none after that of a narrow one."""
    proven = [one.breadth for one in switches if attempt.standing(one) is SwitchStanding.CAUSED_BY]
    if attempt.rules.thorough or not proven:
        return list(left)
    return [one for one in left if min(proven) > NARROW and one.breadth < min(proven)]


def _needless(attempt: Attempt, one: Intervention, switches: Sequence[Intervention]) -> bool:
    """True where a narrower switch that it holds flips the outcome by itself."""
    return any(attempt.flips(other.on) for other in switches if other.name in one.unless)


def _repeat(attempt: Attempt, one: Intervention, *, again: bool) -> Search[None]:
    """Off and on once more, unless an earlier call did it; then the reverse of it in the good cell."""
    attempt.sure.add(one.on)
    yield from attempt.decide(one.on)
    if attempt.decision(one.on) is not Decision.GOOD:
        return
    if again:
        yield from attempt.once_more(attempt.bad)
        yield from attempt.once_more(one.on)
    if one.reverse is not None:
        yield from attempt.decide(one.reverse)
    attempt.repeated.add(one.name)


def _joint(attempt: Attempt, switches: Sequence[Intervention]) -> Search[Intervention | None]:
    """Several switches of which none flips the outcome alone, and all are needed; None where there are none.

    Tried are those that each move some trials, and those that flip it all at once, less what is not needed.
    """
    singles = [one for one in switches if not one.unless]
    if any(attempt.flips(one.on) for one in singles):
        return None
    if any(attempt.standing(one) is SwitchStanding.AMBIGUOUS for one in singles):
        yield from attempt.at_least(attempt.bad, ENOUGH_BESIDE)  # that it passes now and then takes trials to compare
    moving = [one for one in singles if attempt.standing(one) is SwitchStanding.PARTIAL][:MOST_JOINT]
    if len(moving) > 1 and (found := (yield from _smallest(attempt, moving))):
        return found
    for whole in switches:
        parts = [one for one in singles if one.name in whole.unless]
        if len(parts) > 1 and attempt.leaning(whole.on) is Decision.GOOD:
            return (yield from _smallest(attempt, parts))
    return None


def _smallest(attempt: Attempt, parts: Sequence[Intervention]) -> Search[Intervention | None]:
    """The fewest of some switches that flip the outcome together, repeated; None where all together do not."""
    kept = yield from _fewest(attempt, parts)
    return (yield from _made_together(attempt, kept)) if len(kept) > 1 else None


def _made_together(attempt: Attempt, parts: Sequence[Intervention]) -> Search[Intervention]:
    joint = parts[0].joined(*parts[1:])
    yield from _repeat(attempt, joint, again=True)
    return joint


def _fewest(attempt: Attempt, parts: Sequence[Intervention]) -> Search[list[Intervention]]:
    """The fewest of some switches that flip the outcome together; none where all together do not."""
    kept = list(parts)
    if not (yield from _flips(attempt, kept)):
        return []
    while len(kept) > 1:
        half = len(kept) // 2
        for fewer in (kept[:half], kept[half:]):
            if (yield from _flips(attempt, fewer)):
                kept = fewer
                break
        else:
            break
    for one in list(kept):
        fewer = [other for other in kept if other is not one]
        if fewer and (yield from _flips(attempt, fewer)):
            kept = fewer
    return kept


def _flips(attempt: Attempt, parts: Sequence[Intervention]) -> Search[bool]:
    joint = parts[0].joined(*parts[1:]) if len(parts) > 1 else parts[0]
    yield from attempt.decide(joint.on)
    return attempt.flips(joint.on)


def _joint_finding(attempt: Attempt, joint: Intervention, switches: Sequence[Intervention]) -> SwitchFinding:
    names = joint.name.split(" + ")
    parts = tuple(
        Share(name=one.name, does=one.does, alone=counts_of(attempt.known.get(one.on), attempt.fault))
        for one in switches
        if one.name in names
    )
    return _tested(attempt, joint).model_copy(update={"parts": parts})


def _tested(attempt: Attempt, one: Intervention) -> SwitchFinding:
    fault = attempt.fault
    reverse = attempt.reversed(one)
    held = attempt.held(one)
    return SwitchFinding(
        name=one.name,
        does=one.does,
        how=one.how,
        breadth=one.breadth,
        standing=attempt.standing(one),
        on=counts_of(attempt.known.get(one.on), fault),
        reverse=one.reverse_name,
        reversed=reverse,
        reversed_counts=counts_of(attempt.known.get(one.reverse), fault) if one.reverse and reverse else None,
        repeated=held,
        off=counts_of(attempt.known.get(attempt.bad), fault) if held else None,
    )
