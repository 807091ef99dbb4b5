"""What is known of one cell while a run goes on: what is stored, what of it counts so far, what is under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING

from runner.outcomes.judging import verdict_of
from runner.outcomes.tally import seeds_wanted
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.engines.protocol import Image
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record
    from runner.trials.trial import Setting


@dataclass(frozen=True, kw_only=True)
class Work:
    """A trial with the image that it runs in."""

    trial: Trial
    image: Image
    progress: Progress


@dataclass(kw_only=True)
class Progress:
    """What is known of one cell so far: finished trials by seed, and how many are under way."""

    cell: Cell
    matrix: Matrix
    setting: Setting | None
    """None while the cell's environment is not known to be runnable."""
    stored: Mapping[int, Record] = field(default_factory=dict)
    """The finished trials by seed; under seed 0 also the record that says why none can run."""
    first_seed: int = 0
    trials: dict[int, tuple[Record, Verdict]] = field(default_factory=dict)
    """Those that the outcome rests on: more may be stored, which were run once under another `seeds:`."""
    under_way: int = 0

    def recall(self, wanted: int) -> bool:
        """Take the next `wanted` trials as far as they are stored; whether any is."""
        found = [seed for seed in self._next(wanted) if seed in self.stored]
        for seed in found:
            self.take(self.stored[seed], seed)
        return bool(found)

    def recall_all(self) -> None:
        """Take what is stored, as long as the sequential rule asks for more."""
        while self.recall(self.wanted):
            pass

    def take(self, record: Record, seed: int) -> Verdict:
        """Keep a finished trial and give its verdict, not yet held against a baseline."""
        verdict = verdict_of(record, self.matrix.criterion, judging=self.matrix.judging)
        self.trials[seed] = (record, verdict)
        return verdict

    @property
    def finished(self) -> Sequence[tuple[Record, Verdict]]:
        """The finished trials in the order of their seeds: verdicts must not depend on which ended first."""
        return [self.trials[seed] for seed in sorted(self.trials)]

    @property
    def is_copy(self) -> bool:
        """Whether this is the baseline a second time."""
        return self.first_seed > 0

    @property
    def ran(self) -> int:
        """How many trials ran: a record that says why none can is none."""
        return sum(record.ran for record, _ in self.trials.values())

    @property
    def wanted(self) -> int:
        """How many more trials the sequential rule needs at least; none while some are under way."""
        return 0 if self.under_way else seeds_wanted(self.finished, self.matrix.seeds)

    def begin(self, wanted: int, image: Image) -> list[Work]:
        """The next `wanted` trials, with the lowest seeds that are not there yet."""
        assert self.setting is not None  # noqa: S101 - trials begin after the environment was made
        works = [
            Work(trial=Trial(setting=self.setting, seed=seed), image=image, progress=self)
            for seed in self._next(wanted)
        ]
        self.under_way += len(works)
        return works

    def _next(self, wanted: int) -> list[int]:
        return list(islice((seed for seed in count(self.first_seed) if seed not in self.trials), wanted))
