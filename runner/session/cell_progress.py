"""One cell of a matrix in the course of a run: its finished trials, those under way, and how many more it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING

from runner.outcomes.judged_cell import judge_counts
from runner.outcomes.judging import verdict_of
from runner.outcomes.observation import Observation
from runner.outcomes.tally import NOTHING_RAN, in_order, tally, wanted_beyond

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.laboratory.request import Known
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.observation import Read
    from runner.outcomes.tally import Keep, Tally, Trial
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record
    from runner.trials.trial import Setting


@dataclass(kw_only=True, slots=True)
class Progress:
    """One cell so far: finished trials by seed, and how many are under way.

    While none is under way its trials are put away: those of all cells would fill the memory.
    """

    cell: Cell
    matrix: Matrix
    setting: Setting | None = None
    """None while the cell's environment is not known to be runnable."""
    read: Read | None = None
    """Reads a record again; None: all are kept."""
    keep: Keep = tuple
    """Keeps the trials that are put away."""
    put_off: bool = False
    """True where the last run could not make the environment, for a reason that may be over by now."""
    first_seed: int = 0
    under_way: int = 0
    left: tuple[int, ...] = ()
    """The seeds of the trials that are stored and do not count; 0 also for the record that says why none can run."""
    left_trials: Sequence[Trial] = field(default=(), repr=False)
    _seeds: tuple[int, ...] = field(default=(), init=False, repr=False)
    """The seeds of the trials that the outcome rests on, in the order of `counts`.

    More may be stored, which were run once under another `seeds:`.
    """
    counts: Tally = field(default=NOTHING_RAN, init=False)
    """The sum of these trials."""
    _further: int = field(default=0, init=False, repr=False)
    """The number of further trials that this sum asks for."""
    _outcome: JudgedCell | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._further = wanted_beyond(self.counts, self.matrix.seeds)

    @classmethod
    def of(cls, known: Known, matrix: Matrix, read: Read | None = None, keep: Keep = tuple) -> Progress:
        """The progress of a cell of which nothing counts yet."""
        made = cls(cell=known.cell, matrix=matrix, setting=known.setting, read=read, keep=keep, put_off=known.put_off)
        return made.with_stored(known.records) if known.records else made

    def with_stored(self, records: Mapping[int, Record], first_seed: int = 0) -> Progress:
        """The same cell with these finished trials, of which none counts yet."""
        stored = tuple(map(self._judged, records.values()))
        return replace(self, left=tuple(records), left_trials=stored, first_seed=first_seed, under_way=0)

    def recall_all(self) -> None:
        """Take what is stored, as long as the sequential rule asks for more."""
        if not self._stored(self.wanted):
            return
        left = dict(zip(self.left, self.left_trials, strict=True))
        while self._recall(left, self.wanted):
            pass
        self._put_away(left)

    def recall(self, wanted: int) -> bool:
        """Take the next `wanted` trials as far as they are stored; whether any is."""
        if not self._stored(wanted):
            return False
        left = dict(zip(self.left, self.left_trials, strict=True))
        self._recall(left, wanted)
        self._put_away(left)
        return True

    def _stored(self, wanted: int) -> bool:
        """True where one of the next `wanted` trials is stored and does not count yet."""
        return bool(self.left) and any(seed in self.left for seed in self._next(wanted))

    def _recall(self, left: dict[int, Trial], wanted: int) -> bool:
        found = [seed for seed in self._next(wanted) if seed in left]
        if found:
            self._take({seed: left.pop(seed) for seed in found})
        return bool(found)

    def take(self, record: Record, seed: int) -> Verdict:
        """Keep a finished trial and give its verdict, not yet held against a baseline."""
        trial = self._judged(record)
        self._take({seed: trial})
        return trial[1]

    def _judged(self, record: Record) -> Trial:
        """A record with its verdict, as it is kept; one that says why none can run may not be in the store."""
        verdict = verdict_of(record, self.matrix.criterion, judging=self.matrix.judging)
        return Observation.of(record, self.read if record.ran else None), verdict

    def _take(self, new: Mapping[int, Trial]) -> None:
        both = {**dict(zip(self._seeds, self.counts.trials, strict=True)), **new}
        self._seeds = _shared(tuple(sorted(both, key=lambda seed: in_order(both[seed]))))
        self.counts = tally(both.values())
        self._further = wanted_beyond(self.counts, self.matrix.seeds)

    def _put_away(self, left: Mapping[int, Trial] | None = None) -> None:
        """Let go of trials until someone asks for them, also of those that are left."""
        self.counts = self.counts.put_away(self.keep)
        self._judge()
        if left is not None:
            self.left, self.left_trials = _shared(tuple(left)), self.keep(tuple(left.values()))

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The finished trials in the order of their seeds: verdicts must not depend on which ended first."""
        return self.counts.trials

    @property
    def outcome(self) -> JudgedCell:
        """What these trials come to by themselves."""
        known = self._outcome
        return known if known is not None and known.counts is self.counts else self._judge()

    def _judge(self) -> JudgedCell:
        """Judge the trials, best while they are in memory."""
        self._outcome = judge_counts(self.cell.id, self.counts, self.matrix.seeds)
        return self._outcome

    @property
    def taken(self) -> int:
        """The number of finished trials that the outcome rests on."""
        return len(self._seeds)

    @property
    def is_copy(self) -> bool:
        """True where this is the baseline a second time."""
        return self.first_seed > 0

    @property
    def ran(self) -> int:
        """The number of trials that ran: a record that says why none can is none."""
        return self.counts.ran

    @property
    def wanted(self) -> int:
        """The number of further trials the sequential rule needs at least; none while some are under way."""
        return 0 if self.under_way else self._further

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all that is known of it, counted or not."""
        return tuple(one.key for one, _ in (*self.counts.trials, *self.left_trials))

    def begin(self, wanted: int) -> tuple[int, ...]:
        """The next `wanted` seeds that are not there yet, the lowest first; they are under way from now on."""
        seeds = tuple(self._next(wanted))
        self.under_way += len(seeds)
        return seeds

    def begin_again(self) -> tuple[int, ...]:
        """The seeds of the finished trials, which count no more and are under way anew; what is stored stays there."""
        seeds = tuple(sorted(self._seeds))
        self._seeds, self.left, self.left_trials, self.counts = (), (), (), NOTHING_RAN
        self._further = wanted_beyond(self.counts, self.matrix.seeds)
        self.under_way = len(seeds)
        return seeds

    def answer(self, record: Record, seed: int) -> Verdict:
        """Take a trial that was under way; where none can run, none is under way any more."""
        self.under_way = self.under_way - 1 if record.ran else 0
        verdict = self.take(record, seed)
        if not self.under_way:
            self._put_away()
        return verdict

    def _next(self, wanted: int) -> list[int]:
        return list(islice((seed for seed in count(self.first_seed) if seed not in self._seeds), wanted))


@lru_cache(maxsize=1024)
def _shared(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Equal seeds, of which cells keep the same ones."""
    return seeds
