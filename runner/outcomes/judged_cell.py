"""One cell judged by its trials: its outcome with the counts, the uncertainty and the reason (docs/verdicts.md).

For notebooks it draws its curves: the judged metric of every seed, with the epochs where it broke.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.matrix.model import Seeds
from runner.outcomes.machine_kind import Machines, paired_time
from runner.outcomes.observation import fault
from runner.outcomes.outcome import NOT_RUN, UNDECIDED, Leaning, Outcome, OutcomeKind
from runner.outcomes.reported_metric import reported
from runner.outcomes.significance import clopper_pearson
from runner.outcomes.tally import (
    ENOUGH_RUNS,
    LEFT_OUT,
    NOT_NOW,
    NOTHING_RAN,
    SEED_INSENSITIVE,
    Tally,
    tally,
    wanted_beyond,
)
from runner.outcomes.verdict import Label, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import altair as alt

    from runner.matrix.cell_id import CellId
    from runner.outcomes.fingerprint import Fingerprint
    from runner.outcomes.observation import AnyTrial
    from runner.outcomes.tally import Trial
    from runner.trials.record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a matrix asks of each cell round by round, so that none of the cell's trials is read again for it."""

    settles: bool
    """True where a success was judged by no target and no level: it waits for the baseline's."""
    rank: float
    """The median final value of its successes, negated where the metric is maximised: the least is the best."""
    start: float | None
    """The size of the median first value of a cell that settles."""
    machines: Machines
    digest: bytes
    """A hash of the trials with their verdicts, as far as comparisons follow from them."""

    @classmethod
    def of(cls, counts: Tally) -> Figures:
        """Those of trials that are in memory."""
        successes = counts.successes
        finals = [verdict.final for _, verdict in successes if verdict.final is not None]
        rank = math.inf  # where none succeeded, or all are good by what they cost alone
        if finals:
            rank = median(finals) if successes[0][1].mode == "min" else -median(finals)
        return cls(
            settles=_settles(successes),
            rank=rank,
            start=_start(counts),
            machines=Machines.of([one for one, _ in counts.trials]),
            digest=_digest(counts.trials),
        )


def _digest(trials: Iterable[Trial]) -> bytes:
    parts = [(one.key, verdict.label, repr(verdict.final), *paired_time(one)) for one, verdict in trials]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


def _settles(successes: Iterable[Trial]) -> bool:
    return any(verdict.label is Label.SETTLED for _, verdict in successes)


def _start(counts: Tally) -> float | None:
    """None of a cell whose successes met a target, and of one without any."""
    successes = counts.successes
    if not _settles(successes):
        return None
    counted = (*successes, *counts.failures)
    return abs(median(verdict.y0 for _, verdict in counted if verdict.y0 is not None))


@dataclass(frozen=True, kw_only=True)
class JudgedCell:
    """A cell with its outcome, with the trials that it rests on."""

    id: CellId
    outcome: Outcome
    reason: str
    """A sentence to check the outcome by."""
    converged: int
    """The number of counted observations that succeeded."""
    counted: int
    flags: tuple[str, ...]
    counts: Tally
    """Its trials, each where it counts."""
    lacking: int
    """The number of further trials that the sequential rule asks for at the least."""
    example_at: int | None
    """The place of its example among its trials."""
    figures: Figures

    @property
    def example(self) -> Trial | None:
        """The first trial of the failure that names the outcome.

        None for good outcomes and for undecided ones without any trouble.
        """
        return None if self.example_at is None else self.counts.kept[self.example_at]

    @property
    def kind(self) -> OutcomeKind:
        """The kind of its outcome."""
        return self.outcome.kind

    @property
    def label(self) -> str:
        """The outcome as text, such as `fails (nan)`."""
        return str(self.outcome)

    @property
    def told(self) -> str:
        """The outcome as people read it, with counts where it wavers."""
        return self.outcome.told(self.converged, self.counted)

    @property
    def short(self) -> str:
        """The part of the outcome that a symbol leaves open."""
        example = self.example
        raised = example[0].raised if example else ""
        return self.outcome.short(self.converged, self.counted, raised)

    @property
    def copies(self) -> bool:
        """True where it was decided by trials that are copies of one: the seed changes nothing."""
        return SEED_INSENSITIVE in self.flags

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Clopper-Pearson interval of the success rate; None where nothing counts or all trials are copies."""
        insensitive = self.counts.seed_insensitive
        return clopper_pearson(self.converged, self.counted) if self.counts.n and not insensitive else None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial with its verdict, in the order of the seeds."""
        return self.counts.trials

    @property
    def n_trials(self) -> int:
        """The number of trials that ran, counted or not."""
        return self.counts.ran

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of all trials by their seeds, each read again. Raises UsageError where one is no more."""
        return tuple(one.record for one, _ in self.trials)

    @property
    def is_left_out(self) -> bool:
        """True where it was not among the few that were chosen to run."""
        return LEFT_OUT in self.flags

    @property
    def is_unknown(self) -> bool:
        """True where it was to run and nothing tells yet what it comes to: nothing ran, or nothing could for now."""
        return not self.is_left_out and (NOT_NOW in self.flags or not self.counts.parts)

    @property
    def known_kind(self) -> OutcomeKind:
        """The kind, undecided while it is unknown: what can't run for now is no cell that can't run."""
        return OutcomeKind.UNDECIDED if self.is_unknown else self.kind

    @property
    def labels(self) -> tuple[tuple[Label, int], ...]:
        """The labels of all trials with how often each was seen, the most frequent first."""
        return _by_frequency(self.trials)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the failure that names the outcome, where it left one."""
        example = self.example
        return fault(example) if example is not None else None

    def plot(self) -> alt.LayerChart:
        """The judged metric of every seed as an Altair chart.

        Raises UsageError where altair is not installed, and where no trial reported the metric.
        """
        name = ", ".join(f"{axis} {value}" for axis, value in self.id)
        return _chart(name, self.outcome, self.trials)


def judge_cell(cell: CellId, trials: Iterable[AnyTrial], seeds: Seeds) -> JudgedCell:
    """Add the trials of a cell up to its outcome; their order does not matter.

    Unanimous cells are decided by `seeds.lead` counted observations. So a fixed number of seeds (`--seeds 1`) decides
    by the seeds that were asked for: docs/verdicts.md would call fewer than 4 undecided, but whoever asks for one seed
    wants to see what it did. The flag `few-seeds` marks every cell decided by fewer than 4; not one that breaks, as a
    crash is no sample. Trials that are copies of each other decide with one observation, without an interval, under the
    flag `seed-insensitive`.
    """
    return judge_counts(cell, tally(trials), seeds)


def left_out(cell: CellId) -> JudgedCell:
    """A cell that was not among the few that were chosen to run."""
    reason = "it is not among the cells that were chosen to run"
    nothing = judge_counts(cell, NOTHING_RAN, Seeds())
    return replace(nothing, reason=reason, flags=(LEFT_OUT,), lacking=0)


def judge_counts(cell: CellId, counts: Tally, seeds: Seeds) -> JudgedCell:
    """The same of trials that are added up already."""
    kept, counts = counts, counts.put_away(tuple)  # read once, wherever they are kept
    outcome, reason, example = _decision(counts, seeds)
    trials = counts.trials
    flags = [flag for _, verdict in trials for flag in verdict.flags]
    decided = outcome.kind in {OutcomeKind.GOOD, OutcomeKind.BAD}
    if decided and counts.seed_insensitive:
        flags.insert(0, SEED_INSENSITIVE)
    elif decided and counts.n < ENOUGH_RUNS and not counts.breaking(seeds):
        flags.insert(0, "few-seeds")
    return JudgedCell(
        id=cell,
        outcome=outcome,
        reason=reason,
        converged=counts.c,
        counted=counts.n,
        flags=tuple(dict.fromkeys(flags)),
        counts=kept,
        lacking=wanted_beyond(counts, seeds),
        example_at=None if example is None else trials.index(example),
        figures=Figures.of(counts),
    )


def _decision(counts: Tally, seeds: Seeds) -> tuple[Outcome, str, Trial | None]:
    if alike := counts.blocking(seeds) or counts.breaking(seeds):
        _, verdict = alike[0]
        return Outcome.of_label(verdict.label), verdict.reason, alike[0]
    seen = f"{counts.c} of {counts.n} counted trials succeeded"
    if counts.seed_insensitive:
        seen = f"{counts.counted_trials} identical trials count as one"
    listed = f"{seen}: {_listed(counts)}"
    if 0 < counts.c < counts.n:
        return Outcome(OutcomeKind.UNDECIDED, _leaning(counts, seeds)), listed, _example(counts.failures)
    if counts.n >= seeds.lead or counts.seed_insensitive:
        if counts.c:
            return Outcome(OutcomeKind.GOOD, _success(counts)), "; ".join((listed, *_troubles(counts))), None
        example = _example(counts.failures)
        return Outcome(OutcomeKind.BAD, example[1].label), f"{listed}; {example[1].reason}", example
    return _undecided(counts, f"{counts.n} of the {seeds.lead} needed trials count")


def _undecided(counts: Tally, missing: str) -> tuple[Outcome, str, Trial | None]:
    if not counts.parts:
        return NOT_RUN, f"{missing}: none ran", None
    trouble = counts.failures or counts.blocked or counts.not_counted
    if not trouble:
        return UNDECIDED, f"{missing}: {_listed(counts)}", None
    example = _example(trouble)
    return UNDECIDED, f"{missing}: {_listed(counts)}; {example[1].reason}", example


def _troubles(counts: Tally) -> tuple[str, ...]:
    """The reason of the first success beside which something went wrong; nothing where all went well."""
    troubled = (verdict.reason for _, verdict in counts.successes if any(map(_is_trouble, verdict.flags)))
    return tuple(itertools.islice(troubled, 1))


def _is_trouble(flag: str) -> bool:
    return flag in {"child-raised", "children-at-once", "crashed-after-training"} or flag.startswith(
        ("earlier-fit-", "later-fit-", "other-model-", "other-rank-")
    )


def _success(counts: Tally) -> Label:
    """`settled` where a success was judged by no target and no level."""
    return Label.SETTLED if _settles(counts.successes) else Label.CONVERGED


def _leaning(counts: Tally, seeds: Seeds) -> Leaning:
    if counts.n < ENOUGH_RUNS:
        return Leaning.TOO_FEW
    lead = ENOUGH_RUNS if seeds.fixed else seeds.lead
    if counts.lead < lead:
        return Leaning.NEITHER
    if 2 * counts.c < counts.n:
        return Leaning.FAILS
    return Leaning.SETTLES if _success(counts) is Label.SETTLED else Leaning.CONVERGES


def _example(trials: tuple[Trial, ...]) -> Trial:
    """The first trial that has the most frequent label and, of those, the most frequent fingerprint."""
    label = _by_frequency(trials)[0][0]
    alike = [(fault(trial), trial) for trial in trials if trial[1].label is label]
    frequent = Counter(found for found, _ in alike).most_common(1)[0][0]
    return next(trial for found, trial in alike if found == frequent)


_PLACES = {label: place for place, label in enumerate(Label)}


def _by_frequency(trials: tuple[Trial, ...]) -> tuple[tuple[Label, int], ...]:
    numbers = Counter(verdict.label for _, verdict in trials)
    return tuple((label, numbers[label]) for label in sorted(numbers, key=lambda one: (-numbers[one], _PLACES[one])))


def _listed(counts: Tally) -> str:
    trials = counts.trials
    called = {verdict.label: verdict.called for _, verdict in trials}
    return ", ".join(f"{number} {called[label]}" for label, number in _by_frequency(trials))


_MOST_POINTS = 300
"""Of a longer series so many are drawn: altair refuses more than 5,000 in all."""
_MOST_SEEDS = 12
_WIDE = 100.0
"""From which ratio on positive values are drawn in powers of ten."""
_LOOKS: dict[str, tuple[str, list[int]]] = {
    Standing.SUCCESS.value: ("#0072b2", [1, 0]),
    Standing.FAILURE.value: ("#d55e00", [6, 3]),
    Standing.BREAK.value: ("#d55e00", [6, 2, 1, 2]),
    Standing.NOT_COUNTED.value: ("#767676", [2, 2]),
    Standing.BLOCKED.value: ("#767676", [1, 4]),
}
"""Colours that colour-blind readers tell apart; the dashes say the same."""


def _chart(name: str, outcome: Outcome, trials: Sequence[Trial]) -> alt.LayerChart:
    """The chart of a cell under a name; a cross marks the last finite value before NaN or infinity.

    Raises UsageError where altair is not installed, and where no trial reported the metric.
    """
    try:
        import altair as alt  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "Charts are drawn by altair, which is not installed: pip install 'convergence-matrix[notebook]'"
        ) from error
    points = [point for trial in trials[:_MOST_SEEDS] for point in _points(trial)]
    if not points:
        raise UsageError(f"There is nothing to draw: {outcome}, and no trial reported its metric.")
    metric = next(verdict.metric for _, verdict in trials)
    values = [point["value"] for point in points]
    scale = alt.Scale(type="log") if min(values) > 0 and max(values) >= _WIDE * min(values) else alt.Scale(zero=False)
    kinds = [kind for kind in _LOOKS if any(point["trial"] == kind for point in points)]
    chart = alt.Chart(alt.InlineData(values=points))
    line = chart.mark_line().encode(
        x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("value:Q", title=metric, scale=scale),
        detail="seed:N",
        color=alt.Color("trial:N", scale=alt.Scale(domain=kinds, range=[_LOOKS[kind][0] for kind in kinds])),
        strokeDash=alt.StrokeDash("trial:N", scale=alt.Scale(domain=kinds, range=[_LOOKS[kind][1] for kind in kinds])),
        tooltip=["seed:N", "epoch:Q", "value:Q", "label:N"],
    )
    broken = chart.transform_filter("datum.broken").mark_point(shape="cross", angle=45, size=80, filled=True)
    broken = broken.encode(x="epoch:Q", y="value:Q", color="trial:N", tooltip=["seed:N", "epoch:Q", "broken:N"])
    both = alt.LayerChart(layer=[line, broken])
    return both.properties(title=f"{name}: {outcome}", width=480, height=260)


def _points(trial: Trial) -> Iterator[dict[str, Any]]:
    """The finite values of a trial's series, thinned, each with what comes after it."""
    one, verdict = trial
    series = reported(one.record, verdict.metric).values
    finite = [at for at, value in enumerate(series) if value is not None and math.isfinite(value)]
    step = max(1, math.ceil(len(finite) / _MOST_POINTS))
    kept = {*finite[::step], *finite[-1:]}
    for at in finite:
        after = series[at + 1] if at + 1 < len(series) else None
        breaks = after is not None and not math.isfinite(after)
        if at in kept or breaks:
            yield {
                "seed": one.seed,
                "epoch": at + 1,
                "value": series[at],
                "label": verdict.label.value,
                "trial": standing(verdict.label).value,
                "broken": f"{after} in epoch {at + 2}" if breaks else "",
            }
