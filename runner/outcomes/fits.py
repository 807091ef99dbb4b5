"""Several trainings in one trial: the one that is judged, and what is told of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.outcomes.judge import judge
from runner.outcomes.reported_metric import ReportedMetric, called, has_finite_weights, reported, trainings
from runner.outcomes.series import canonical
from runner.outcomes.verdict import Basis, Label
from runner.trials.record import kind_of, process_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.matrix.criterion import Comparison
    from runner.matrix.model import Judging
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Phase, Record


_FROM_BEST_TO_WORST = (
    *(Label.CONVERGED, Label.SETTLED, Label.IMPROVING, Label.TOO_SHORT),
    *(Label.MISSED, Label.PLATEAUED, Label.OSCILLATING, Label.DIVERGED, Label.NAN),
)
_UNJUDGED = frozenset({Label.SETTLED, Label.TOO_SHORT, Label.NO_METRICS})
_MOST_TOLD = 3
"""So many of the others are told one by one in a reason; all are flags."""
_LONGEST_WARNING = 200


@dataclass(frozen=True, kw_only=True)
class Companions:
    """What is told of the trainings beside the one that is judged."""

    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def judged_fit(
    record: Record, metric: str, judging: Judging, target: Comparison | None, beside: ReportedMetric | None = None
) -> ReportedMetric:
    """The training that `fits:` means among those that reported the metric: the last, the best or the worst one.

    Of a further criterion it is the best one that `beside`, the first criterion's, is: one training must meet all.
    """
    found = trainings(record, metric) if len(record.phases) + len(record.evaluations) > 1 else ()
    if judging.fits == "best" and beside is not None:
        found = tuple(one for one in found if set(one.phases) & set(beside.phases)) or found
    if judging.fits == "last" or len(found) < 2:
        return found[-1] if found else reported(record, metric)
    ranked = sorted(found, key=lambda one: _badness(_verdict(record, one, metric, judging, target)))
    return ranked[-1] if judging.fits == "all" else ranked[0]


def companions(record: Record, judged: ReportedMetric, metric: str, judging: Judging) -> Companions:
    """What is told of the other trainings of a trial: what they were, and which of them went wrong."""
    if len(record.phases) < 2:
        return Companions()
    same = repetition(record)
    notes, flags = [], []
    if same is not None:
        which = {"last": "the last one", "best": "the best one", "all": "the worst one"}[judging.fits]
        settings = "" if same.same_settings else ", the optimizer with other settings"
        notes.append(f"{len(same.trainings)} fits of the same model from fresh weights{settings}; judged is {which}")
        flags.append(f"{len(same.trainings)}-{same.word}s")
    wrong = list(_went_wrong(record, judged, metric, judging))
    notes += [f"{_called(name, same)} {words}" for name, _, words in wrong[:_MOST_TOLD]]
    if len(wrong) > _MOST_TOLD:
        notes.append(f"and {len(wrong) - _MOST_TOLD} more went wrong")
    return Companions(notes=tuple(notes), flags=(*flags, *dict.fromkeys(flag for _, flag, _ in wrong)))


def adversaries(record: Record, judged: ReportedMetric) -> str | None:
    """The sentence for a trial that judges the loss of one of several models that are trained in turn; else None."""
    phases = {phase.name: phase for phase in record.phases}
    own = phases.get(judged.phases[-1]) if judged.phases else None
    same = {name for one in trainings(record, "loss") if one.values == judged.values for name in one.phases}
    others = [] if own is None else [one for one in record.phases if one.name not in same and in_turn(own, one)]
    if own is None or not others:
        return None
    names = " and ".join(phase.model or phase.name for phase in others)
    one = own.model.split()[-1] if own.model else called(own)
    return (
        f"judged is the loss of {own.model or own.name}, which is trained in turn with {names}: an adversarial loss "
        f"needs a target, such as `criterion: {one}.loss < 1`"
    )


def unconverged(verdict: Verdict, record: Record, judged: ReportedMetric, *, has_criterion: bool) -> Verdict:
    """The verdict with what the library said itself of the judged training where that did not converge.

    That is the label where nothing else says whether it did: no criterion, no baseline, no rule that it broke.
    """
    own = [phase for phase in record.phases if phase.name in judged.phases] or record.phases[-1:]
    warned = [(phase.model or phase.name, " ".join(phase.warnings[0].split())) for phase in own if phase.warnings]
    if not warned:
        return verdict
    model, message = warned[-1]
    said = f"{model} did not converge, as it said itself: {message[:_LONGEST_WARNING]}"
    if verdict.label in _UNJUDGED and not has_criterion:
        verdict = replace(verdict, label=Label.UNCONVERGED, basis=Basis.WARNING, reason=f"{said}; {verdict.reason}")
    else:
        verdict = replace(verdict, reason=f"{verdict.reason}; {said}")
    return verdict.with_flags("convergence-warning")


def _verdict(record: Record, one: ReportedMetric, metric: str, judging: Judging, target: Comparison | None) -> Verdict:
    return judge(
        one.values,
        metric=metric,
        mode=judging.mode or one.mode,
        target=target,
        at=judging.at,
        skip=judging.skip,
        steps=one.steps,
        finite_weights=has_finite_weights(record, one.phases),
    )


def _badness(verdict: Verdict) -> tuple[int, float]:
    label = verdict.label.value
    rank = _FROM_BEST_TO_WORST.index(label) if label in _FROM_BEST_TO_WORST else len(_FROM_BEST_TO_WORST)
    final = verdict.final if verdict.final is not None else 0.0
    return rank, final if verdict.mode == "min" else -final


def _went_wrong(
    record: Record, judged: ReportedMetric, metric: str, judging: Judging
) -> Iterator[tuple[str, str, str]]:
    """(phase, flag, words) of every other training that ended in NaN, diverged or was left by an exception."""
    order = {phase.name: number for number, phase in enumerate(record.phases)}
    phases = {phase.name: phase for phase in record.phases}
    series = {one.phases[-1]: (one, metric) for one in trainings(record, metric) if one.phases}
    known = {name for one, _ in series.values() for name in one.phases}
    for one in trainings(record, "loss") if canonical(metric) != "loss" else ():
        if not known.intersection(one.phases):
            series[one.phases[-1]] = one, "loss"
    place = max((order.get(name, len(order)) for name in judged.phases), default=len(order))
    own = record.phases[place] if place < len(order) else None
    for name, phase in phases.items():
        if name in judged.phases or (place == len(order) and order[name] == len(order) - 1):
            continue  # what is judged came after the last fit: it is that fit's own
        found = series.get(name)
        turn = own is not None and in_turn(own, phase)
        ending = _ending(record, phase, *(found or (None, metric)), judging=judging, only_nan=turn)
        if ending is not None:
            where = "other-model" if turn else "earlier-fit" if order[name] < place else "later-fit"
            yield name, f"{where}-{ending[0]}", ending[1]


def _ending(
    record: Record, phase: Phase, one: ReportedMetric | None, metric: str, *, judging: Judging, only_nan: bool
) -> tuple[str, str] | None:
    """(word, words) for how a training went wrong; None where it did not, or where that ended the trial."""
    verdict = None if one is None else _verdict(record, one, metric, judging, None)
    broken = phase.weight_norm is not None and not math.isfinite(phase.weight_norm)
    if broken or (verdict is not None and verdict.label is Label.NAN):
        first = None if verdict is None else verdict.first_non_finite_epoch
        return "nan", f"ended in NaN{f' (epoch {first})' if first and kind_of(phase.name) == 'fit' else ''}"
    if only_nan:
        return None
    ended_it = record.exception is not None and record.exception.phase == phase.name
    if phase.raised and not ended_it:
        return "raised", "was left by an exception"
    if phase.warnings:
        return "unconverged", "did not converge, as it said itself"
    if verdict is not None and verdict.label is Label.DIVERGED:
        return "diverged", f"diverged ({verdict.reason})"
    return None


def _called(phase: str, same: Repetition | None) -> str:
    number = None if same is None else same.number(phase)
    return phase if same is None or number is None else f"{same.word} {number}"


FEWEST = 3
"""So many trainings of one architecture from fresh weights are told as a series of them."""


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Trainings of the same architecture, each from fresh weights; each has the names of its fits or loops."""

    trainings: tuple[tuple[str, ...], ...]
    same_settings: bool
    """True where the optimizer had the same settings in all of them: the folds of a cross-validation, most likely."""

    @property
    def word(self) -> str:
        """What one of them is called."""
        return "fold" if self.same_settings else "fit"

    def number(self, phase: str) -> int | None:
        """The number of the training that a fit or loop belongs to, from 1; None where it belongs to none."""
        return next((number for number, names in enumerate(self.trainings, 1) if phase in names), None)


def repetition(record: Record) -> Repetition | None:
    """The longest series of trainings of one architecture from fresh weights; None where no three are there."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    for phase, fresh in _freshness(record):
        if phase.architecture is None:
            continue
        trainings = found.setdefault((process_of(phase.name), phase.architecture), [])
        if fresh or not trainings:
            trainings.append([phase.name])
        else:
            trainings[-1].append(phase.name)
    joined: dict[str, list[list[str]]] = {}
    for (_, architecture), trainings in found.items():
        joined.setdefault(architecture, []).extend(trainings)
    longest = max(joined.values(), key=len, default=[])
    phases = {phase.name: phase for phase in record.phases}
    if len(longest) < FEWEST or any(in_turn(phases[a[-1]], phases[b[0]]) for a, b in pairwise(longest)):
        return None
    settings = {record.configs.get(f"{names[0]}/optimizer") for names in longest} - {None}  # told where it is new
    return Repetition(trainings=tuple(map(tuple, longest)), same_settings=len(settings) < 2)


def _freshness(record: Record) -> Iterator[tuple[Phase, bool]]:
    """Each phase with True where it began with weights that nothing had trained before."""
    first: set[str] = set()
    trained: set[str] = set()
    models: set[tuple[str, int | None]] = set()
    for phase in record.phases:
        model, initial = (process_of(phase.name), phase.model_number), phase.initial_weights
        if model in models or phase.model_number is None:
            fresh = initial in first if phase.model_number is not None else initial is not None
            fresh = fresh and initial not in trained
        else:
            fresh = initial is None or initial not in trained
        yield phase, fresh
        models.add(model)
        if fresh and initial is not None:
            first.add(initial)
        if phase.final_weights is not None:
            trained.add(phase.final_weights)


def in_turn(one: Phase, other: Phase) -> bool:
    """True where two loops of one process went on at the same time, as those of a generator and its critic do."""
    kinds = {kind_of(phase.name) for phase in (one, other)}
    if kinds not in ({"batches"}, {"loop"}) or process_of(one.name) != process_of(other.name) or one.name == other.name:
        return False
    is_same = kinds == {"batches"} and one.model_number == other.model_number
    if None in (one.began_s, one.ended_s, other.began_s, other.ended_s) or is_same:
        return False
    return bool(one.began_s <= other.ended_s and other.began_s <= one.ended_s)  # type: ignore[operator]
