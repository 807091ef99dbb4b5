"""The account in words: a few sentences with numbers, from the findings alone; they never say more than these."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from runner.investigate import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.outcomes.account import Account, Bisection, Cause, Counts, Flip, Removed, Side, Switch

_MOST_NAMED = 12
_MOST_CAUSES = 3
_MOST_BESIDE = 3
_FLIPPING = (Standing.CAUSED_BY, Standing.GOES_WITH)


def sentences_of(account: Account) -> Iterator[str]:
    """What the experiments show, the most important first."""
    yield _difference(account)
    if not account.real:
        yield from _no_effect(account)
        return
    for cause in account.causes:
        yield _axis(cause, account)
    for bisection in account.bisections:
        yield release_of(bisection)
    yield from _closest(account)
    if account.removed:
        yield from _removed(account.removed)
    yield from _mechanism(account)
    if account.trace and account.trace.sentence:
        yield f"From the same initial weights on, with the same batches: {account.trace.sentence}"


def unknown_of(account: Account, *, ended: bool) -> Iterator[str]:
    """What remains unknown."""
    if ended:
        yield "The budget ended before all was asked: the same command with a larger one goes on from there."
    if account.real and not account.causes:
        yield "No set of changes was found that makes the difference; see what was tried."
    for cause in account.causes:
        if cause.brought and not cause.components:
            yield (
                f"Whether it is {' and '.join(one.name for one in cause.factors)} itself or one of {len(cause.brought)}"
                f" packages that came along: {_shortened(cause.brought)}."
            )
    for bisection in account.bisections:
        yield from _undecided(bisection)
    if account.trace and not account.trace.sentence:
        yield f"Where the two part first: {' '.join(account.trace.notes)}"
    if unset := [one.does for one in _standing(account, Standing.NOT_APPLICABLE) if one.name.startswith("explicit-")]:
        yield f"Found to differ in live objects and not put to the test: {'; '.join(unset[:_MOST_CAUSES])}."
    untried = _standing(account, Standing.UNTRIED)
    tried = len(account.switches) > len(untried)
    if account.real and tried and not account.removed and not _standing(account, *_FLIPPING):
        which = "of those tried" if untried else "in the catalogue"
        yield f"The mechanism: no switch {which} flips it."
    if untried:
        yield f"Not tried: {_shortened(one.name for one in untried)}."


def _undecided(bisection: Bisection) -> Iterator[str]:
    """The values of an axis that are neither good nor bad: some can't be told, of others there was no time to."""
    for standings, words in (
        ({"untestable", "ambiguous"}, "nothing can be told"),
        ({"untold"}, "no side is decided"),
    ):
        places = [place for place in bisection.places if place.told in standings]
        if places:
            yield (
                f"Of {len(places)} of {len(bisection.places)} values of {bisection.axis} {words}:"
                f" {_shortened(place.values[bisection.axis] or '' for place in places)}."
            )


def _difference(account: Account) -> str:
    chance = f" (p = {account.p:.2g}, by the seeds that the matrix gives a cell)" if account.p is not None else ""
    sides = account.good, account.bad
    good, bad = (f"{_named(side, account)} {_held(side, account)}" for side in sides)
    if account.real:
        return f"The difference is real: {good}; {bad}{chance}."
    return f"No difference was shown: {good}; {bad}. Compared: {account.comparison}."


def _no_effect(account: Account) -> Iterator[str]:
    if account.good.outcome.startswith("flaky") and account.bad.outcome.startswith("flaky"):
        yield "Both succeed under some seeds and fail under others, with nothing else changed: the seed does that."
    yield (
        "So this is not shown to be an effect of what differs between the two (not a version effect, as far as these"
        " trials tell): nothing further was asked."
    )


def _held(side: Side, account: Account) -> str:
    """What a cell is by the rule that tells good from bad, which is not always what its own verdicts say."""
    values = {axis: value for axis, value in side.values.items() if account.shared.get(axis) != value}
    counts = next((one.counts for one in account.tried if one.values == values), None)
    if counts is None:
        return _side(side)
    level = f", median final {median(side.finals):.3g}" if side.finals else ""
    return f"is good in {_of(counts)} trials ({side.outcome}{level})"


def _side(side: Side) -> str:
    count = f"{side.converged} of {side.counted} counted trials" if side.counted else "no trial counts"
    level = f", median final {median(side.finals):.3g}" if side.finals else ""
    return f"{side.outcome} ({count}{level})"


def _named(side: Side, account: Account) -> str:
    return _values({axis: value for axis, value in side.values.items() if account.shared.get(axis) != value})


def _axis(cause: Cause, account: Account) -> str:
    moved = " and ".join(f"{one.name} ({one.good or 'none'} → {one.bad or 'none'})" for one in cause.factors)
    together = len(cause.factors) > 1
    text = (
        f"{moved} {'together make' if together else 'alone makes'} the difference (probability {cause.probability:.3f})"
    )
    if together and not cause.coupled:
        text += "; none of them does without the others"
    if cause.coupled:
        text += f"; whether {' and '.join(cause.coupled)} matters can't be told, it can't be moved alone"
    if cause.without == "good" and len(account.good.values) - len(account.shared) > len(cause.factors):
        text += "; all other changes together leave it good"
    for inner in cause.components:
        culprits = " and ".join(f"{one.name} {one.good or 'none'} → {one.bad or 'none'}" for one in inner.factors)
        text += f"; in the environments it is {culprits} that does it"
    if cause.bystanders:
        text += f", and {' and '.join(cause.bystanders)} only brought that along"
    return f"{text}."


def release_of(bisection: Bisection) -> str:
    """Where the outcome flips along an axis."""
    untold = sum(place.told == "untold" for place in bisection.places)
    if not bisection.flips:
        rest = (
            f", but {untold} of {len(bisection.places)} releases are untold: the budget ended first" if untold else ""
        )
        return f"Along {bisection.axis}{_beside(bisection)} no step was found at which the outcome flips{rest}."
    tried = sum(place.counts.trials > 0 for place in bisection.places)
    steps = []
    for flip in bisection.flips:
        before, after = (bisection.places[place].values for place in (flip.before, flip.after))
        moving = [axis for axis in after if before.get(axis) != after[axis]]
        step = ", ".join(f"{axis} {before.get(axis)} → {after[axis]}" for axis in moving)
        unsure = _unsure(bisection, flip)
        steps.append(f"{'breaks' if flip.breaks else 'heals'} at {step}{unsure}")
    return (
        f"Along {bisection.axis}{_beside(bisection)} it {', and '.join(steps)}"
        f" (probability {bisection.probability:.3f}; {tried} of {len(bisection.places)} releases tried)."
    )


def _unsure(bisection: Bisection, flip: Flip) -> str:
    """What is not known of a step: places in between, and sides that only follow from their neighbours."""
    inner = bisection.places[flip.before + 1 : flip.after]
    untold = [place for place in inner if place.told == "untold"]
    groups = [
        (untold, "in between not decided"),
        ([place for place in inner if place not in untold], "in between can't be told"),
        ([bisection.places[side] for side in (flip.before, flip.after) if not _tried(bisection, side)], "not tried"),
    ]
    parts = [
        f"{_shortened(place.values[bisection.axis] or '' for place in places)} {words}"
        for places, words in groups
        if places
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _tried(bisection: Bisection, place: int) -> bool:
    return bisection.places[place].counts.trials > 0


def _beside(bisection: Bisection) -> str:
    """What the other axes were set to all along; packages that were pinned are too many to be named."""
    first, *others = (place.values for place in bisection.places)
    still = {axis: value for axis, value in first.items() if all(one.get(axis) == value for one in others)}
    return f", with {_values(still)}," if 0 < len(still) <= _MOST_BESIDE else ""


def _closest(account: Account) -> Iterator[str]:
    """Which cells are the good and the bad one of the sentences that follow, where they are not those asked about."""
    followed = account.removed or account.switches or account.trace
    if not followed or account.pair is None or account.pair == (account.good.values, account.bad.values):
        return
    one, other = account.pair
    good, bad = (
        _values({axis: cell[axis] for axis in cell if one.get(axis) != other.get(axis)}) for cell in (one, other)
    )
    yield f"What follows was found on the two sides of that step: the good cell is {good}, the bad cell {bad}."


def _removed(removed: Removed) -> Iterator[str]:
    """What is gone, and what the packages say of it: in the good cell, then in the bad one."""
    if removed.kind == "attribute":
        text = f"{removed.owner} has no {removed.name} in the bad cell"
        if removed.good and removed.good.there:
            text += ", in the good one it has"
    else:
        text = f"{removed.owner} does not take {removed.name}= in the bad cell"
    near = removed.bad.near if removed.bad else ()
    yield f"{text}{f'; named alike there: {_shortened(near)}' if near else ''}."
    for cell, seen in (("good", removed.good), ("bad", removed.bad)):
        if seen and seen.said:
            yield f"The package itself says of it, in the {cell} cell: “{seen.said}”."
            return


def _mechanism(account: Account) -> Iterator[str]:
    caused, goes = _standing(account, Standing.CAUSED_BY), _standing(account, Standing.GOES_WITH)
    shown = caused[:_MOST_CAUSES] or goes[:1]
    for one in shown:
        verb = "It is caused by what" if one.standing == Standing.CAUSED_BY else "It goes with what"
        verb = f"{verb} the switch" if one is shown[0] else "It flips as well with"
        yield f"{verb} {one.name}{' changes' if one is shown[0] else ''} ({one.does}): {_evidence(one)}."
    rest = [one for one in (*caused, *goes) if one not in shown]
    if rest:
        names = _shortened(one.name for one in rest)
        yield f"With these it turns good too, on weaker evidence or by a wider change: {names}."
    idle = _standing(account, Standing.NO_EFFECT)
    if idle:
        yield f"Tried, and it did not matter: {_shortened(one.name for one in idle)}."


def _evidence(one: Switch) -> str:
    text = f"with it the bad cell is good in {_of(one.on)} trials"
    if one.off is not None:
        text += f", without it bad in {_bad_of(one.off)}"
    if one.reversed == "untestable":
        text += f"; its reverse, {one.reverse}, could not be put to the test in the good cell"
    elif one.reversed_counts is not None:
        broken = one.reversed_counts.bad
        breaks = f"breaks the good cell in {_bad_of(one.reversed_counts)} trials"
        leaves = f"does not break the good cell (good in {_of(one.reversed_counts)} trials)"
        text += f"; its reverse, {one.reverse}, {breaks if broken else leaves}"
    elif one.standing == Standing.CAUSED_BY:
        text += "; nothing turns it the other way in the good cell"
    return text


def _of(counts: Counts) -> str:
    return f"{counts.good} of {counts.good + counts.bad + counts.other}"


def _bad_of(counts: Counts) -> str:
    return f"{counts.bad} of {counts.good + counts.bad + counts.other}"


def _standing(account: Account, *standings: Standing) -> list[Switch]:
    return [one for one in account.switches if one.standing in standings]


def _values(values: Mapping[str, str | None]) -> str:
    return ",".join(f"{axis}={value or 'none'}" for axis, value in values.items())


def _shortened(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
