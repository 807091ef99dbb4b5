"""An explanation as an `Account`: the same findings as plain data, with the sentences that they allow."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.explain.explaining import Bisected
from runner.explain.telling import finals
from runner.explain.words import release_of, sentences_of, unknown_of
from runner.outcomes import account as out
from runner.outcomes.significance import fisher, rate_interval

if TYPE_CHECKING:
    from runner.explain.explaining import Explanation
    from runner.explain.removed import Look, Removed
    from runner.explain.tracing import Traced
    from runner.explain.walking import Walk
    from runner.investigate import Attribution, Cause, Combination, Evidence, Interventions, Tested, Told
    from runner.outcomes.judged_cell import JudgedCell

_NOTHING = out.Counts()


def account_of(found: Explanation, command: str) -> out.Account:
    """The account of an explanation; `command` is what asked for it."""
    asking = found.asking
    rates, level = found.compared.rates, found.compared.level
    p = rates.adjusted_p if rates and rates.sure else level.adjusted_p if level else None
    partial = out.Account(
        id=_id(found),
        runner_version=importlib.metadata.version("convergence-matrix"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=asking.session.engine.kind.value,
        matrix=asking.matrix.path.name,
        command=command,
        good=_side(found, found.good, found.outcomes[0]),
        bad=_side(found, found.bad, found.outcomes[1]),
        shared=dict(found.shared),
        telling=found.telling.words if found.telling else "",
        fault=found.telling.fault if found.telling else "",
        real=found.real,
        comparison=_comparison(found),
        p=p,
        causes=_causes(found.attribution),
        tried=_tried(found.attribution),
        bisections=tuple(_bisection(one) for one in found.bisected),
        pair=(asking.values(found.pair[0]), asking.values(found.pair[1])) if found.pair else None,
        removed=_removed(found.removed) if found.removed else None,
        switches=_switches(found.interventions) if found.interventions else (),
        trace=_trace(found.traced),
        sentences=(),
        trials=asking.budget.executed,
        rests_on=sum(record.ran for trials in asking.trials.values() for record, _ in trials),
        seconds=round(time.monotonic() - asking.budget.begun, 1),
    )
    worded = partial.model_copy(update={"sentences": tuple(sentences_of(partial))})
    return worded.model_copy(update={"unknown": tuple(unknown_of(worded, ended=asking.budget.ended))})


def walk_of(found: Walk) -> out.Walk:
    """A bisection by itself, as data and in a sentence."""
    bisection = _bisection(Bisected(span=found.span, found=found.found))
    return out.Walk(
        bisection=bisection,
        shared=dict(found.asking.shared),
        telling=found.telling.words if found.telling else "good: the trial succeeds by the matrix's own criterion",
        sentence=release_of(bisection),
        trials=found.asking.budget.executed,
        seconds=round(time.monotonic() - found.asking.budget.begun, 1),
    )


def _comparison(found: Explanation) -> str:
    """Effect and p value of the two cells, by all of their trials: where they were not told apart there are more."""
    if found.attribution is None or found.real:
        return found.compared.reason
    ends = [one.evidence for one in found.attribution.tried if one.combination in {found.good, found.bad}]
    (good, of_good), (bad, of_bad) = [(one.good, one.good + one.bad(None)) if one else (0, 0) for one in ends[:2]]
    text = f"good in {good} of {of_good} against {bad} of {of_bad}"
    if not (of_good and of_bad):
        return text
    low, high = rate_interval((bad, good), (of_bad, of_good))
    p = fisher((good, bad), (of_good, of_bad))
    return f"{text}, rates that differ by {100 * low:+.0f} to {100 * high:+.0f} percentage points, p = {p:.2g}"


def _id(found: Explanation) -> str:
    """The same for the same question about the same matrix."""
    question = [found.asking.matrix.path.name, found.shared, found.good.values, found.bad.values]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]


def _side(found: Explanation, about: Combination, outcome: JudgedCell) -> out.Side:
    return out.Side(
        values=found.asking.values(about),
        outcome=str(outcome.outcome),
        converged=outcome.converged,
        counted=outcome.counted,
        finals=tuple(finals(outcome.trials)),
    )


def _counts(evidence: Evidence | None, fault: str | None) -> out.Counts:
    if evidence is None:
        return _NOTHING
    return out.Counts(
        good=evidence.good,
        bad=evidence.bad(fault),
        other=evidence.other(fault),
        trials=evidence.trials,
        certain=evidence.certain,
        reason=evidence.blocked,
    )


def _causes(found: Attribution | None) -> tuple[out.Cause, ...]:
    return tuple(_cause(cause, found) for cause in found.causes) if found else ()


def _cause(cause: Cause, found: Attribution) -> out.Cause:
    known = {factor.name: factor for factor in found.factors}
    return out.Cause(
        factors=tuple(out.Factor(name=name, good=known[name].good, bad=known[name].bad) for name in cause.factors),
        coupled=cause.coupled,
        bystanders=cause.bystanders,
        brought=tuple(one.name for one in cause.components.factors if one.pinned) if cause.components else (),
        without=cause.without.value,
        probability=round(cause.probability, 4),
        components=_causes(cause.components),
    )


def _tried(found: Attribution | None) -> tuple[out.Tried, ...]:
    if found is None:
        return ()
    return tuple(_place(one.combination, one.told, one.evidence, found.fault) for one in found.tried)


def _place(about: Combination, told: Told, evidence: Evidence | None, fault: str | None) -> out.Tried:
    values = {**dict(about.values), **dict(about.pins)}
    return out.Tried(values=values, told=told.value, counts=_counts(evidence, fault))


def _bisection(one: Bisected) -> out.Bisection:
    found = one.found
    return out.Bisection(
        axis=one.span.axis,
        places=tuple(_place(place.combination, place.told, place.evidence, found.fault) for place in found.places),
        flips=tuple(
            out.Flip(before=flip.before, after=flip.after, breaks=flip.breaks, probability=round(flip.probability, 4))
            for flip in found.flips
        ),
        probability=round(found.probability, 4),
        ending=found.ending.value,
        trials=found.trials,
        decisions=found.asked,
    )


def _trace(found: Traced | None) -> out.Trace | None:
    if found is None:
        return None
    difference = found.difference
    return out.Trace(
        sentence=difference.sentence() if difference else "",
        step=difference.step if difference else 0,
        recorded=difference.recorded if difference else 0,
        last=difference.last if difference else 0,
        notes=found.notes,
    )


def _removed(found: Removed) -> out.Removed:
    missing = found.missing
    return out.Removed(
        kind=missing.kind, owner=missing.owner, name=missing.name, good=_seen(found.good), bad=_seen(found.bad)
    )


def _seen(look: Look | None) -> out.Seen | None:
    return out.Seen(where=look.where, there=look.there, said=look.said, near=look.near) if look else None


def _switches(found: Interventions) -> tuple[out.Switch, ...]:
    fault = found.bad.fault if found.bad else None
    return tuple(_switch(one, fault, found.bad) for one in found.tested)


def _switch(one: Tested, fault: str | None, off: Evidence | None) -> out.Switch:
    return out.Switch(
        name=one.switching.name,
        does=one.switching.does,
        how=one.switching.how,
        breadth=one.switching.breadth,
        standing=one.standing.value,
        on=_counts(one.evidence, fault),
        reverse=one.switching.reverse_name,
        reversed=one.reverse.value if one.reverse else None,
        reversed_counts=_counts(one.reverse_evidence, fault) if one.reverse else None,
        repeated=one.repeated,
        off=_counts(off, fault) if one.repeated else None,
    )
