"""The sentences of an account, from the findings alone: first three without figures, then the evidence with them."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from runner.explain.plain_sentences import foreseen_told, plain_of
from runner.outcomes.account import Decision, SwitchStanding
from runner.outcomes.outcome import Outcome, OutcomeKind
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.outcomes.account import Account, Bisection, Cause, Counts, Flip, RemovedName, Share, Side, SwitchFinding

_MOST_NAMED = 12
_MOST_CAUSES = 3
_MOST_BESIDE = 3
_FLIPPING = (SwitchStanding.CAUSED_BY, SwitchStanding.WAY_ROUND, SwitchStanding.GOES_WITH, SwitchStanding.PARTIAL)
_VERB = {
    SwitchStanding.CAUSED_BY: "It is caused by what the switch",
    SwitchStanding.WAY_ROUND: "A way round, and not shown to be the cause, is what the switch",
    SwitchStanding.GOES_WITH: "It goes with what the switch",
}


def sentences_of(account: Account) -> Iterator[str]:
    """The sentences on what the experiments show, the most important first."""
    if not account.real:
        yield _difference(account)
        yield from _no_effect(account)
        return
    yield from plain_of(account)
    yield _difference(account)
    for cause in account.causes:
        yield _axis(cause, account)
    for bisection in account.bisections:
        yield flips_sentence(bisection)
    yield from _closest(account)
    if account.removed:
        yield from _removed(account.removed)
    if account.foreseen:
        told = "; ".join(map(foreseen_told, account.foreseen[:_MOST_CAUSES]))
        yield f"What is known to change between the two and concerns the script, without a trial: {told}."
    yield from _mechanism(account)
    if account.trace and account.trace.sentence and not account.trace.given:
        yield f"From the same initial weights on, with the same batches: {account.trace.sentence}"


def unknown_of(account: Account, *, ended: bool, bases: Sequence[str] = ()) -> Iterator[str]:
    """The sentences on what remains unknown; `bases` are the base images of the good and the bad cell."""
    if ended:
        yield "The budget ended before all was tried: the same command with a larger budget goes on from there."
    if account.real and len(set(bases)) > 1:
        good, bad = (name or "the usual one" for name in bases)
        yield (
            f"What the base image does: the good cell stands on {good}, the bad one on {bad}, as `base_image:` says, so"
            " it changed with the versions."
        )
    if account.real and not account.causes:
        yield "No set of changes was found that makes the difference; see what was tried."
    for cause in account.causes:
        if cause.brought and not cause.components:
            yield (
                f"Whether the cause is {' and '.join(cause.names)} itself or one of {len(cause.brought)} packages that"
                f" came along: {_shortened(cause.brought)}."
            )
    for bisection in account.bisections:
        yield from _undecided(bisection)
    yield from _unknown_mechanism(account, ended=ended)


def _unknown_mechanism(account: Account, *, ended: bool) -> Iterator[str]:
    """Of trace and switches."""
    if account.trace and not account.trace.sentence:
        yield f"Where the two trainings first differ: {' '.join(account.trace.notes)}"
    if unset := [
        one.does for one in _standing(account, SwitchStanding.NOT_APPLICABLE) if one.name.startswith("explicit-")
    ]:
        yield f"Defaults that differ in live objects and could not be tested: {'; '.join(unset[:_MOST_CAUSES])}."
    untried = _standing(account, SwitchStanding.UNTRIED)
    if account.real and not (account.removed or _standing(account, *_FLIPPING)):
        if len(account.switches) > len(untried):
            which = "of those tried" if untried else "in the catalogue"
            yield f"The mechanism: no switch {which} flips the outcome."
        elif account.causes and not untried and not ended:
            yield "The mechanism: no switch in the catalogue acts on what these cells have installed."
    if account.spared:
        further = "1 further switch" if account.spared == 1 else f"{account.spared} further switches"
        if account.trace and not _standing(account, SwitchStanding.CAUSED_BY):
            why = "what it is given differs before the model" if account.trace.given else "the trainings are the same"
            yield f"Not tried, since {why}: {further} (--thorough tries them)."
        else:
            yield f"Not tried, since the cause is proven: {further}, packages that came along (--thorough tries them)."
    if untried:
        yield f"Not tried: {_shortened(one.name for one in untried)}."


def _undecided(bisection: Bisection) -> Iterator[str]:
    """The values of an axis that are neither good nor bad: some can't be decided, for others there was no time."""
    for decisions, reason in (
        ({Decision.UNTESTABLE, Decision.AMBIGUOUS}, "can't be decided"),
        ({Decision.UNDECIDED}, "were not decided"),
    ):
        places = [place for place in bisection.places if place.told in decisions]
        if places:
            yield (
                f"{len(places)} of {counted(len(bisection.places), 'value')} of {bisection.axis} {reason}:"
                f" {_shortened(place.values[bisection.axis] or '' for place in places)}."
            )


def _difference(account: Account) -> str:
    chance = (
        f" (p = {account.p:.2g}, from the trials that the matrix's `seeds:` ask for)" if account.p is not None else ""
    )
    if account.real and account.ending:
        return _ending(account)
    sides = account.good, account.bad
    good, bad = (f"{_named(side, account)} {_held(side, account)}" for side in sides)
    if account.real:
        return f"The difference is real: {good}; {bad}{chance}."
    return f"No difference was shown: {good}; {bad}. Their comparison: {account.comparison}."


def _ending(account: Account) -> str:
    """How the bad cell ends, and how often; what raises is told by its exception, and needs no statistics."""
    bad, good = (
        f"{_named(side, account)} in {_fails(side, account)} ({_outcome(side, account)})"
        for side in (account.bad, account.good)
    )
    return f"The difference is real: the trial ends with {account.fault}: {bad}; {good}."


def _no_effect(account: Account) -> Iterator[str]:
    never = [one for one in (account.good, account.bad) if Outcome.parse(one.outcome).kind is OutcomeKind.UNTESTABLE]
    if never:
        names = " and ".join(_named(side, account) for side in never)
        yield f"{names} could not be installed, so the script was never put to the test there: nothing was tried."
        return
    if all(Outcome.parse(side.outcome).flaky for side in (account.good, account.bad)):
        yield "Both cells succeed with some seeds and fail with others, and nothing else changes: the seed decides."
    yield (
        "So this is not shown to be an effect of what differs between the two cells, a version or anything else:"
        " nothing further was tried."
    )


def _held(side: Side, account: Account) -> str:
    """The counts of a cell by the distinction of the account, which is not always what its own verdicts say."""
    counts = _counts(side, account)
    return _side(side) if counts is None else f"passes in {_of(counts)} ({_outcome(side, account)})"


def _fails(side: Side, account: Account) -> str:
    counts = _counts(side, account)
    if counts is None:
        return f"{side.counted - side.converged} of {counted(side.counted, 'trial')}"
    return f"{counts.bad} of {counted(_total(counts), 'trial')}"


def _counts(side: Side, account: Account) -> Counts | None:
    values = {axis: value for axis, value in side.values.items() if account.shared.get(axis) != value}
    return next((one.counts for one in account.tried if one.values == values), None)


def _outcome(side: Side, account: Account) -> str:
    """What the cell comes to; where a level tells the two apart, only the level: "good" has one meaning then."""
    level = f"median final {median(side.finals):.3g}" if side.finals else ""
    return ", ".join(one for one in ("" if account.leveled else side.outcome, level) if one)


def _side(side: Side) -> str:
    count = f"{side.converged} of {counted(side.counted, 'counted trial')}" if side.counted else "no trial counts"
    level = f", median final {median(side.finals):.3g}" if side.finals else ""
    return f"{side.outcome} ({count}{level})"


def _named(side: Side, account: Account) -> str:
    return _values({axis: value for axis, value in side.values.items() if account.shared.get(axis) != value})


def _axis(cause: Cause, account: Account) -> str:
    moved = " and ".join(f"{one.name} ({one.good or 'none'} → {one.bad or 'none'})" for one in cause.factors)
    together = len(cause.factors) > 1
    if cause.bystanders:
        return _brought_along(cause, moved)
    text = (
        f"{moved} {'together make' if together else 'alone makes'} the difference (probability {cause.probability:.3f})"
    )
    if together and not cause.coupled:
        text += "; none of them does without the others"
    if cause.coupled:
        several = len(cause.coupled) > 1
        why = "all matter is not known, because none can" if several else "matters is not known, because it can't"
        text += f"; whether {' and '.join(cause.coupled)} {why} be changed alone"
    if cause.without is Decision.GOOD and len(account.good.values) - len(account.shared) > len(cause.factors):
        text += "; all the other changes together leave the cell good"
    for inner in cause.components:
        culprits = " and ".join(f"{one.name} {one.good or 'none'} → {one.bad or 'none'}" for one in inner.factors)
        text += f"; inside the environments it is {culprits} that makes it"
    return f"{text}."


def _brought_along(cause: Cause, moved: str) -> str:
    """Of a cause of which some axes only look guilty."""
    culprits = " and ".join(
        f"{one.name} {one.good or 'none'} → {one.bad or 'none'}"
        for inner in cause.components
        for one in inner.factors
        if one.name not in cause.bystanders
    )
    probability = min(cause.probability, *(inner.probability for inner in cause.components))
    return (
        f"With {moved} the environments change, and inside of them it is {culprits} that makes the difference"
        f" (probability {probability:.3f}); {' and '.join(cause.bystanders)} only brought that along."
    )


def flips_sentence(bisection: Bisection) -> str:
    """The sentence on where the outcome flips along an axis."""
    open_ = sum(place.told is Decision.UNDECIDED for place in bisection.places)
    if not bisection.flips:
        rest = f", but {open_} of {len(bisection.places)} releases are undecided: the budget ended first"
        return (
            f"Along {bisection.axis}{_beside(bisection)} no step was found at which the outcome flips"
            f"{rest if open_ else ''}."
        )
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
    """The doubts about a step: places in between, and sides that only follow from their neighbours."""
    inner = bisection.places[flip.before + 1 : flip.after]
    open_ = [place for place in inner if place.told is Decision.UNDECIDED]
    groups = [
        (open_, "in between not decided"),
        ([place for place in inner if place not in open_], "in between can't be decided"),
        ([bisection.places[side] for side in (flip.before, flip.after) if not _tried(bisection, side)], "not tried"),
    ]
    parts = [
        f"{_shortened(place.values[bisection.axis] or '' for place in places)} {reason}"
        for places, reason in groups
        if places
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _tried(bisection: Bisection, place: int) -> bool:
    return bisection.places[place].counts.trials > 0


def _beside(bisection: Bisection) -> str:
    """The values of the other axes all along; packages that were pinned are too many to be named."""
    first, *others = (place.values for place in bisection.places)
    still = {axis: value for axis, value in first.items() if all(one.get(axis) == value for one in others)}
    return f", with {_values(still)}," if 0 < len(still) <= _MOST_BESIDE else ""


def _closest(account: Account) -> Iterator[str]:
    """The good and the bad cell of the sentences that follow, where they are not those asked about."""
    followed = account.removed or account.switches or account.trace
    if not followed or account.pair is None or account.pair == (account.good.values, account.bad.values):
        return
    one, other = account.pair
    good, bad = (
        _values({axis: cell[axis] for axis in cell if one.get(axis) != other.get(axis)}) for cell in (one, other)
    )
    yield f"The rest was found on the two sides of that step: there the good cell is {good}, the bad cell {bad}."


def _removed(removed: RemovedName) -> Iterator[str]:
    """The name that is gone, and what the packages say of it: in the good cell, then in the bad one."""
    if removed.kind == "attribute":
        text = f"{removed.owner} has no {removed.name} in the bad cell"
        if removed.good and removed.good.there:
            text += "; it has one in the good cell"
    else:
        text = f"{removed.owner} does not take {removed.name}= in the bad cell"
    near = removed.bad.near if removed.bad else ()
    yield f"{text}{f'; similar names there: {_shortened(near)}' if near else ''}."
    for cell, seen in (("good", removed.good), ("bad", removed.bad)):
        if seen and seen.said:
            yield f"The package's own notice about it, in the {cell} cell: “{seen.said}”."
            return


def _mechanism(account: Account) -> Iterator[str]:
    flipping = _standing(account, *_VERB)
    best = [one for one in flipping if one.standing is flipping[0].standing]
    shown = best[: _MOST_CAUSES if best[0].standing is SwitchStanding.CAUSED_BY else 1] if best else []
    for one in shown:
        verb = _VERB[one.standing] if one is shown[0] else "It flips as well with"
        yield f"{verb} {one.name}{' changes' if one is shown[0] else ''} ({one.does}): {_evidence(one)}."
        if one.parts:
            yield f"Each of these is needed: {'; '.join(_share(part) for part in one.parts)}."
    rest = [one for one in flipping if one not in shown]
    if rest:
        names = _shortened(one.name for one in rest)
        yield f"The bad cell turns good with these too, on weaker evidence or by a wider change: {names}."
    for one in _standing(account, SwitchStanding.PARTIAL)[:_MOST_CAUSES]:
        yield f"{one.name} ({one.does}) moves a part of it: with it the bad cell passes in {_of(one.on)}."
    idle = _standing(account, SwitchStanding.NO_EFFECT)
    if idle:
        yield f"Tried without effect: {_shortened(one.name for one in idle)}."


def _share(part: Share) -> str:
    if not part.alone.trials:
        return f"{part.name} was not tried alone"
    return f"with {part.name} alone it passes in {_of(part.alone)}"


def _evidence(one: SwitchFinding) -> str:
    text = f"with it the bad cell passes in {_of(one.on)}"
    if one.off is not None:
        text += f", without it it fails in {one.off.bad} of {_total(one.off)}"
    if one.reversed is Decision.UNTESTABLE:
        text += f"; its reverse, {one.reverse}, could not be tested in the good cell"
    elif one.reversed_counts is not None:
        broken = one.reversed_counts.bad
        breaks = f"breaks the good cell in {broken} of {counted(_total(one.reversed_counts), 'trial')}"
        leaves = f"does not break the good cell (it passes in {_of(one.reversed_counts)})"
        text += f"; its reverse, {one.reverse}, {breaks if broken else leaves}"
    elif one.standing is SwitchStanding.CAUSED_BY:
        text += "; the two cells were seen to differ in that, and no switch does the reverse in the good cell"
    elif one.standing is SwitchStanding.WAY_ROUND:
        text += "; no switch does the reverse in the good cell"
    return text


def _of(counts: Counts) -> str:
    return f"{counts.good} of {counted(_total(counts), 'trial')}"


def _total(counts: Counts) -> int:
    return counts.good + counts.bad + counts.other


def _standing(account: Account, *standings: SwitchStanding) -> list[SwitchFinding]:
    return [one for one in account.switches if one.standing in standings]


def _values(values: Mapping[str, str | None]) -> str:
    return ",".join(f"{axis}={value or 'none'}" for axis, value in values.items())


def _shortened(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
