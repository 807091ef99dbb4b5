"""The outcome of one cell over its trials, with its uncertainty (VERDICTS.md, 3)."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.outcomes.fingerprint import Fingerprint, fingerprint
from runner.outcomes.interval import clopper_pearson
from runner.outcomes.labels import Label
from runner.outcomes.tally import Tally, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import altair as alt

    from runner.matrix.model import Seeds
    from runner.outcomes.tally import Trial
    from runner.trials.record import Record

ENOUGH_RUNS = 4
"""Fewer agreeing trials than these carry the flag `few-seeds`."""


class OutcomeKind(enum.StrEnum):
    """All that searches and comparisons see of an outcome."""

    GOOD = "good"
    BAD = "bad"
    UNDECIDED = "undecided"
    UNTESTABLE = "untestable"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a cell came to. `cell` is its axis values."""

    cell: Mapping[str, str]
    kind: OutcomeKind
    label: str
    """`converges`, `settles`, `fails (nan)`, `flaky (mostly converges)`, `blocked (crashed-import)`, `undecided`, …"""
    reason: str
    converged: int
    """How many of the counted observations succeeded."""
    counted: int
    interval: tuple[float, float] | None
    """The 95 % Clopper-Pearson interval of the success rate; None where nothing counts or all trials are copies."""
    flags: tuple[str, ...]
    trials: tuple[Trial, ...]
    """Every trial with its verdict, in the order of the seeds."""
    example: Trial | None
    """The first trial of the failure that names the outcome; of good outcomes and of undecided ones without any
    trouble None."""

    @property
    def n_trials(self) -> int:
        """How many trials ran, counted or not."""
        return sum(record.ran for record, _ in self.trials)

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of all trials, in the order of the seeds."""
        return tuple(record for record, _ in self.trials)

    @property
    def labels(self) -> tuple[tuple[Label, int], ...]:
        """The labels of all trials with how often each was seen, the most frequent first."""
        return _by_frequency(self.trials)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the failure that names the outcome, where it left one."""
        return fingerprint(self.example[0]) if self.example is not None else None

    def plot(self) -> alt.LayerChart:
        """The judged metric of every seed as an Altair chart.

        Raises UsageError where altair is not installed, and where no trial reported the metric.
        """
        from runner.outcomes.plot import plot  # noqa: PLC0415 - for notebooks only

        return plot(self)


def outcome_of(cell: Mapping[str, str], trials: Iterable[Trial], seeds: Seeds) -> Outcome:
    """Add the trials of a cell up to its outcome; their order does not matter.

    Unanimous cells are decided by `seeds.lead` counted observations. So a fixed number of seeds (`--seeds 1`) decides
    by the seeds that were asked for: VERDICTS.md would call fewer than 4 undecided, but whoever asks for one seed wants
    to see what it did. The flag `few-seeds` marks every cell decided by fewer than 4. Trials that are copies of each
    other decide with one observation, without an interval, under the flag `seed-insensitive`.
    """
    counts = tally(trials)
    kind, label, reason, example = _decision(counts, seeds)
    flags = [flag for _, verdict in counts.trials for flag in verdict.flags]
    decided = kind in {OutcomeKind.GOOD, OutcomeKind.BAD}
    if decided and counts.n < ENOUGH_RUNS:
        flags.insert(0, "seed-insensitive" if counts.seed_insensitive else "few-seeds")
    return Outcome(
        cell=dict(cell),
        kind=kind,
        label=label,
        reason=reason,
        converged=counts.c,
        counted=counts.n,
        interval=clopper_pearson(counts.c, counts.n) if counts.n and not counts.seed_insensitive else None,
        flags=tuple(dict.fromkeys(flags)),
        trials=counts.trials,
        example=example,
    )


def matches_expectation(outcome: Outcome, expected: str) -> bool:
    """Whether an outcome is what a matrix expects: the whole label, or its first words (`fails` means every failure).

    `unresolvable` is short for `blocked (unresolvable)`.
    """
    wanted = " ".join(expected.split())
    if wanted == Label.UNRESOLVABLE:
        wanted = f"blocked ({wanted})"
    return outcome.label == wanted or outcome.label.startswith(f"{wanted} (")


def _decision(counts: Tally, seeds: Seeds) -> tuple[OutcomeKind, str, str, Trial | None]:
    if blocking := counts.blocking(seeds):
        _, verdict = blocking[0]
        return OutcomeKind.UNTESTABLE, f"blocked ({verdict.label})", verdict.reason, blocking[0]
    verb = "settles" if any(verdict.label is Label.SETTLED for _, verdict in counts.successes) else "converges"
    seen = f"{counts.c} of {counts.n} counted trials succeeded"
    if counts.seed_insensitive:
        seen = f"{counts.counted_trials} identical trials count as one"
    listed = f"{seen}: {_listed(counts)}"
    if counts.successes and counts.failures:
        return OutcomeKind.UNDECIDED, f"flaky ({_leaning(counts, seeds, verb)})", listed, _example(counts.failures)
    if counts.n >= seeds.lead or counts.seed_insensitive:
        if counts.successes:
            return OutcomeKind.GOOD, verb, listed, None
        example = _example(counts.failures)
        return OutcomeKind.BAD, f"fails ({example[1].label})", f"{listed}; {example[1].reason}", example
    missing = f"{counts.n} of the {seeds.lead} needed trials count"
    trouble = counts.failures or counts.blocked or counts.not_counted
    reason = f"{missing}: {_listed(counts)}" if counts.trials else f"{missing}: none ran"
    return OutcomeKind.UNDECIDED, "undecided", reason, _example(trouble) if trouble else None


def _leaning(counts: Tally, seeds: Seeds, verb: str) -> str:
    lead = ENOUGH_RUNS if seeds.fixed else seeds.lead
    if counts.lead < lead:
        return "coin flip"
    return f"mostly {verb}" if len(counts.successes) > len(counts.failures) else "mostly fails"


def _example(trials: tuple[Trial, ...]) -> Trial:
    """The first trial that has the most frequent label and, of those, the most frequent fingerprint."""
    label = _by_frequency(trials)[0][0]
    alike = [(fingerprint(record), (record, verdict)) for record, verdict in trials if verdict.label is label]
    frequent = Counter(found for found, _ in alike).most_common(1)[0][0]
    return next(trial for found, trial in alike if found == frequent)


def _by_frequency(trials: tuple[Trial, ...]) -> tuple[tuple[Label, int], ...]:
    numbers = Counter(verdict.label for _, verdict in trials)
    return tuple(
        (label, numbers[label]) for label in sorted(numbers, key=lambda one: (-numbers[one], list(Label).index(one)))
    )


def _listed(counts: Tally) -> str:
    return ", ".join(f"{number} {label}" for label, number in _by_frequency(counts.trials))
