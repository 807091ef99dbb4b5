"""The first sentences of an account, for somebody who knows no statistics: what, since when, what to do.

They have no figures but values of the script's own metric; the sentences after them have the evidence.
"""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

from packaging.version import Version

from runner.matrix.criterion import Measure
from runner.outcomes.account import Decision, SwitchStanding
from runner.outcomes.verdict import Label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.outcomes.account import (
        Account,
        Bisection,
        Cause,
        Factor,
        Flip,
        ForeseenChange,
        RemovedName,
        Side,
        SwitchFinding,
    )

_PLACE = re.compile(r" \([^()]*(?: in [^()]+)?\)$")
"""Stage and frame at the end of a fault."""


_LONGEST_REASON = 200


def plain_of(account: Account) -> Iterator[str]:
    """What differs, since when, and what to do about it; of two cells that really differ."""
    for cause in account.causes:
        yield from _innocent(cause)
    yield _what(account)
    yield _since(account)
    yield _to_do(account)


def _innocent(cause: Cause) -> Iterator[str]:
    """The axes that only brought the culprit along: what they do with the culprit as it was before."""
    if not cause.bystanders or not cause.components:
        return
    before = [one for inner in cause.components for one in inner.factors if one.name not in cause.bystanders]
    axes = [one for one in cause.factors if one.name in cause.bystanders]
    if not before or not axes:
        return
    moved = " and ".join(_step(one) for one in axes)
    kept = " and ".join(f"{one.name} {one.good}" if one.good else f"no {one.name}" for one in before)
    still = " and ".join(f"{one.name} {one.bad or 'none'}" for one in axes)
    makes = "make" if len(axes) > 1 else "makes"
    culprits = " and ".join(_step(one) for one in before)
    lacking = f"; {_shortened(cause.inseparable)}" if cause.inseparable else ""
    yield f"{moved} {makes} no difference by itself: with {kept}, {still} is good. What does is {culprits}{lacking}."


def _shortened(reason: str) -> str:
    """The resolver's reason in a clause."""
    text = " ".join(reason.split()).rstrip(".")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON].rstrip()}…"


def _step(one: Factor) -> str:
    return f"{one.name} {one.good or 'none'} → {one.bad or 'none'}"


def _what(account: Account) -> str:
    good, bad = (_cell(side, account) for side in (account.good, account.bad))
    given = f" {account.trace.sentence}" if account.trace and account.trace.given else ""
    return f"{_difference(account, good, bad)}.{given}"


def _difference(account: Account, good: str, bad: str) -> str:
    if account.fault == Label.NAN:
        return f"With {bad} the training ends at NaN; with {good} it does not"
    if account.ending:
        fault = _PLACE.sub("", account.fault)
        if fault == Label.TIMEOUT:
            return f"With {bad} the script does not come to its end in time; with {good} it does"
        return f"With {bad} the script ends with {fault}; with {good} it does not"
    if account.fault in {one.exceeded for one in Measure}:
        return f"With {bad} the script {account.fault}, beside {good}"
    ends = [f", at {median(side.finals):.3g}" if side.finals else "" for side in (account.bad, account.good)]
    if account.leveled:
        return f"With {bad} the training comes to rest elsewhere than with {good}{ends[0]} and not{ends[1][1:]}"
    return f"With {bad} the training does not get where it should{ends[0]}; with {good} it does{ends[1]}"


def _since(account: Account) -> str:
    """The release of the last culprit that was walked; without one, what makes the difference."""
    for bisection in reversed(account.bisections):
        if steps := [_flip(bisection, flip) for flip in bisection.flips]:
            return f"Along the releases of {bisection.axis} it {', and '.join(steps)}."
    if not account.causes:
        return "Which of the changes between the two does it was not found."
    inner = account.causes[0].components or account.causes[:1]
    moved = " and ".join(_step(one) for cause in inner for one in cause.factors)
    return f"What makes the difference is {moved}."


def _flip(bisection: Bisection, flip: Flip) -> str:
    before, after = (bisection.places[place].values[bisection.axis] for place in (flip.before, flip.after))
    turns, is_back = "breaks" if flip.breaks else "is mended", Version(after or "0") < Version(before or "0")
    if flip.after - flip.before > 1:
        between = f"between {after} and {before}" if is_back else f"after {before}, and by {after}"
        return f"{turns} somewhere {between}"
    return f"{turns} with {after} ({before} is the {'first after' if is_back else 'last before'} it)"


def _to_do(account: Account) -> str:
    """What to do, by the best that is known: a fix that works, the cause, what is gone, what changed, a way round."""
    if any(one.works for one in account.fixes) and account.advice:
        return account.advice[0]
    if proven := _first(account, SwitchStanding.CAUSED_BY):
        return f"It passes once {proven.does}: that is the cause."
    if account.removed:
        return _without(account.removed)
    if account.foreseen:
        return f"To look at first: {foreseen_told(account.foreseen[0])}."
    return _around(account)


def _without(removed: RemovedName) -> str:
    near = removed.bad.near if removed.bad else ()
    argument = removed.kind == "argument"
    gone = f"the argument {removed.name} of {removed.owner}" if argument else f"{removed.owner}.{removed.name}"
    return f"To mend it, do without {gone}{f': there is {near[0]}, say' if near else ''}."


def _around(account: Account) -> str:
    if around := _first(account, SwitchStanding.WAY_ROUND):
        return f"A way round: it passes where {around.does} ({around.name}); what was found of why is below."
    if with_it := _first(account, SwitchStanding.GOES_WITH):
        return f"It passed where {with_it.does} ({with_it.name}); whether that is the cause was not shown."
    last = _last_good(account)
    yet = " before the budget ended" if account.ended else ""
    return f"What mends it was not found{yet}{f'; {last} is the last release that was seen to pass' if last else ''}."


def foreseen_told(one: ForeseenChange) -> str:
    """A change that concerns the script, in a clause with its line."""
    message = f"{'' if one.certain else 'perhaps: '}{one.message.rstrip('.')}"
    instead = f"; instead {one.instead}" if one.instead and one.instead not in message else ""
    return f"line {one.line} of {one.file}: {message}{instead}"


def _last_good(account: Account) -> str:
    for bisection in reversed(account.bisections):
        breaking = [flip for flip in bisection.flips if flip.breaks]
        if breaking:
            place = bisection.places[breaking[-1].good]
            if place.told is Decision.GOOD:
                return f"{bisection.axis} {place.values[bisection.axis]}"
    return ""


def _first(account: Account, standing: SwitchStanding) -> SwitchFinding | None:
    return next((one for one in account.switches if one.standing is standing), None)


def _cell(side: Side, account: Account) -> str:
    """The values that differ, in words: `tensorflow 2.10.1 and keras 2.10.0`."""
    differing: Mapping[str, str] = {
        axis: value for axis, value in side.values.items() if account.shared.get(axis) != value
    }
    return " and ".join(f"{axis} {value}" for axis, value in differing.items())
