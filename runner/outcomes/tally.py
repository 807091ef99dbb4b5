"""The sum of a cell's trials, and the number of further ones that are wanted.

The sequential rule of docs/verdicts.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from runner.outcomes.observation import fault, observed
from runner.outcomes.verdict import BY_CHANCE, Basis, Label, Standing, runs_alike, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from runner.matrix.model import Seeds
    from runner.outcomes.observation import AnyTrial, Observation
    from runner.outcomes.verdict import Verdict

    Trial = tuple[Observation, Verdict]
    Keep = Callable[[Sequence[Trial]], Sequence[Trial]]
    """Takes trials, and gives what reads them again."""

ENOUGH_RUNS = 4
"""Fewer agreeing trials than these carry the flag `few-seeds`."""
SEED_INSENSITIVE = "seed-insensitive"
"""The flag of a cell that was decided by copies of one trial."""
LEFT_OUT = "left-out"
"""The flag of a cell that was not among the few that were chosen to run."""
NOT_NOW = "not-now"
"""The flag of a cell of which no trial could run, for a reason that may be over at the next run."""
RETRIES = 2
"""The number of trials that are replaced because they do not count."""


_SUCCESS, _FAILURE, _NOT_COUNTED, _BLOCKED, _COPY = b"s", b"f", b"n", b"b", b"c"
"""The part of its cell's sum that a trial is in, a letter each.

A failure trained and failed, or broke; a copy succeeded or failed, and is one of an earlier trial.
"""
_PARTS = {
    label: {
        Standing.SUCCESS: _SUCCESS,
        Standing.FAILURE: _FAILURE,
        Standing.BREAK: _FAILURE,
        Standing.NOT_COUNTED: _NOT_COUNTED,
        Standing.BLOCKED: _BLOCKED,
    }[standing(label)]
    for label in Label
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The trials of a cell, each where it counts. All sequences are in the order of the seeds."""

    kept: Sequence[Trial] = field(repr=False)
    """Every trial; of a large matrix they lie in a file, and are read when they are asked for."""
    parts: bytes
    """The part that each trial is in, a letter each."""
    ran: int
    """The number of trials that ran: a record that says why none can is none."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial with its verdict."""
        return tuple(self.kept)

    @property
    def successes(self) -> tuple[Trial, ...]:
        """Distinct observations that succeeded: of identical trials the first."""
        return self._at(_SUCCESS)

    @property
    def all_succeeded(self) -> bool:
        """True where nothing but successes is there: no trial need be read to know that."""
        return self.parts.count(_SUCCESS) == len(self.parts)

    @property
    def failures(self) -> tuple[Trial, ...]:
        """Those that trained and failed, and those that broke."""
        return self._at(_FAILURE)

    @property
    def not_counted(self) -> tuple[Trial, ...]:
        """Those that say nothing of the cell."""
        return self._at(_NOT_COUNTED)

    @property
    def blocked(self) -> tuple[Trial, ...]:
        """Those that never put the script to the test."""
        return self._at(_BLOCKED)

    @property
    def copies(self) -> frozenset[tuple[int, str]]:
        """Seed and key of the trials that succeeded or failed and are copies of an earlier one."""
        return frozenset((one.seed, one.key) for one, _ in self._at(_COPY))

    def _at(self, part: bytes) -> tuple[Trial, ...]:
        if part not in self.parts:
            return ()
        return tuple([trial for trial, own in zip(self.kept, self.parts, strict=True) if own == part[0]])

    def put_away(self, keep: Keep) -> Tally:
        """The same sum, of trials that are kept elsewhere."""
        return replace(self, kept=keep(self.kept))

    @property
    def counted_trials(self) -> int:
        """The number of trials that succeeded or failed, copies included."""
        return self.n + self.parts.count(_COPY)

    @property
    def c(self) -> int:
        """The number of distinct observations that succeeded."""
        return self.parts.count(_SUCCESS)

    @property
    def n(self) -> int:
        """The number of distinct observations."""
        return self.c + self.parts.count(_FAILURE)

    @property
    def lead(self) -> int:
        """By how many observations one side leads."""
        return abs(2 * self.c - self.n)

    @property
    def seed_insensitive(self) -> bool:
        """True where all counted trials, at least two, are copies of one."""
        return self.n == 1 < self.counted_trials

    def blocking(self, seeds: Seeds) -> tuple[Trial, ...]:
        """The trials that together block the cell: enough that ended alike, and none that counts."""
        if _BLOCKED not in self.parts:
            return ()
        largest = max(_alike(self.blocked).values(), key=len, default=())
        return largest if not self.counted_trials and _enough(largest, seeds) else ()

    def breaking(self, seeds: Seeds) -> tuple[Trial, ...]:
        """The trials that together break the cell: enough that ended alike, and none that counts and ended otherwise.

        Copies are among them: that the training was the same makes the crash no less sure.
        """
        if self.c or not self.n or standing(self.failures[0][1].label) is not Standing.BREAK:
            return ()
        groups = _alike(trial for trial in self.trials if standing(trial[1].label).counts)
        broke = next(iter(groups.values()))
        if len(groups) != 1:
            return ()
        return broke if _enough(broke, seeds) else ()


NOTHING_RAN = Tally(kept=(), parts=b"", ran=0)
"""The sum of no trials."""


def _alike(trials: Iterable[Trial]) -> Mapping[Hashable, tuple[Trial, ...]]:
    """The trials that ended alike: with the same label, and the same type and message of what ended them."""
    alike: dict[Hashable, tuple[Trial, ...]] = {}
    for trial in trials:
        found = fault(trial)
        key = (trial[1].label, found and found.cause)
        alike[key] = (*alike.get(key, ()), trial)
    return alike


def _enough(alike: Sequence[Trial], seeds: Seeds) -> bool:
    return bool(alike) and len(alike) >= min(runs_alike(alike[0][1].label), seeds.lead)


def in_order(trial: Trial) -> tuple[int, str, str]:
    """What the trials of a cell are sorted by."""
    return trial[0].seed, trial[0].key, trial[0].started_at


def tally(trials: Iterable[AnyTrial]) -> Tally:
    """Sort the trials of one cell by how they count; their order does not matter.

    Those of which only the cost is in question are no copies, whatever their weights are.
    """
    ordered = tuple(sorted(map(observed, trials), key=in_order))
    known: set[Hashable] = set()
    parts = []
    for one, verdict in ordered:
        part = _PARTS[verdict.label]
        if part in {_SUCCESS, _FAILURE}:
            identity = (verdict.label, one.identity)
            if identity[1] is not None and identity in known and verdict.basis is not Basis.COST:
                part = _COPY
            known.add(identity)
        parts.append(part)
    return Tally(kept=ordered, parts=_shared(b"".join(parts)), ran=sum([one.ran for one, _ in ordered]))


@lru_cache(maxsize=1024)
def _shared(parts: bytes) -> bytes:
    """Equal bytes, of which cells keep the same ones."""
    return parts


def seeds_wanted(trials: Iterable[AnyTrial], seeds: Seeds) -> int:
    """The number of further trials the cell needs at the least; they may run side by side.

    One more while fewer than `cap` count and neither side leads by `lead`. Over with two trials that broke or were
    blocked alike (one where the script was never reached) and with two identical trials. Trials that do not count are
    replaced, at most `RETRIES` of them; of a fixed number of seeds only `unknown` ones are, and where nothing counts
    the same label twice is enough.
    """
    return wanted_beyond(tally(trials), seeds)


def wanted_beyond(counts: Tally, seeds: Seeds) -> int:
    """The same for trials that are added up already."""
    if not counts.parts:
        return min(2, seeds.cap)
    broke = counts.breaking(seeds)
    in_doubt = bool(broke) and seeds.asked and broke[0][1].label in BY_CHANCE
    if (
        (counts.seed_insensitive and not seeds.paired)
        or counts.blocking(seeds)
        or (broke and not in_doubt)
        or _given_up(counts, seeds)
    ):
        return 0
    left = seeds.cap - counts.counted_trials
    if seeds.fixed:
        left = seeds.cap - (len(counts.parts) - _unknown(counts))
    if counts.counted_trials < 2:
        return min(1, left)
    return max(0, min(seeds.lead - counts.lead, left))


def most_trials(seeds: Seeds) -> int:
    """The number of trials a cell can come to."""
    return seeds.cap + RETRIES


def _unknown(counts: Tally) -> int:
    return sum(verdict.label is Label.UNKNOWN for _, verdict in counts.not_counted)


def _given_up(counts: Tally, seeds: Seeds) -> bool:
    """True where too many trials did not count for another one to be worth its time."""
    if seeds.fixed:
        return _unknown(counts) > RETRIES
    if counts.parts.count(_NOT_COUNTED) + counts.parts.count(_BLOCKED) > RETRIES:
        return True
    labels = Counter(verdict.label for _, verdict in counts.not_counted if verdict.label is not Label.UNKNOWN)
    return not counts.counted_trials and any(number > 1 for number in labels.values())
