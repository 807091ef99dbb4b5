"""Cells that share an environment, and what is known of each while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING

from runner.environments.model import Environment
from runner.matrix.conditions import packages_of
from runner.outcomes import most_trials, seeds_wanted, verdict_of
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.engines.protocol import Image
    from runner.matrix.model import Cell, Matrix, Seeds
    from runner.outcomes import Verdict
    from runner.trials.record import Record
    from runner.trials.store import Store
    from runner.trials.trial import Setting


@dataclass(frozen=True, kw_only=True)
class Group:
    """The cells of one environment, in the matrix's order."""

    environment: Environment
    cells: tuple[Cell, ...]


def groups_of(matrix: Matrix, cells: Iterable[Cell]) -> tuple[Group, ...]:
    """The cells by environment, in the order in which their first cells come."""
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.pins, cell.python), []).append(cell)
    return tuple(
        Group(environment=environment_of(matrix, members[0]), cells=tuple(members)) for members in found.values()
    )


def environment_of(matrix: Matrix, cell: Cell) -> Environment:
    """What a cell needs installed."""
    return Environment(
        pins=cell.pins,
        packages=packages_of(matrix, cell),
        python=cell.python,
        flavour=matrix.flavour,
        as_of=matrix.as_of,
        dates=matrix.dates,
    )


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
    setting: Setting | None
    """None while the cell's environment is not known to be runnable."""
    trials: dict[int, tuple[Record, Verdict]] = field(default_factory=dict)
    under_way: int = 0

    def recall(self, store: Store, blocked_key: str, matrix: Matrix) -> None:
        """Take the stored trials of the lowest seeds, or the record that says why none can run."""
        keys: dict[str, int] = {}
        if self.setting:
            keys = {Trial(setting=self.setting, seed=seed).key: seed for seed in range(most_trials(matrix.seeds))}
        stored = store.get(keys) or store.get([blocked_key])
        for key in sorted(stored, key=lambda key: keys.get(key, 0)):
            if not seeds_wanted(self.finished, matrix.seeds):
                break  # more were run once, under another `seeds:`: a cell's outcome must not depend on that
            self.take(stored[key], keys.get(key, 0), matrix)

    def take(self, record: Record, seed: int, matrix: Matrix) -> Verdict:
        """Keep a finished trial and give its verdict."""
        verdict = verdict_of(record, matrix.criterion)
        self.trials[seed] = (record, verdict)
        return verdict

    @property
    def finished(self) -> Sequence[tuple[Record, Verdict]]:
        """The finished trials in the order of their seeds: verdicts must not depend on which ended first."""
        return [self.trials[seed] for seed in sorted(self.trials)]

    @property
    def ran(self) -> int:
        """How many trials ran: a record that says why none can is none."""
        return sum(record.ran for record, _ in self.trials.values())

    def wanted(self, seeds: Seeds) -> int:
        """How many more trials are needed at least; none while some are under way."""
        return 0 if self.under_way else seeds_wanted(self.finished, seeds)

    def begin(self, wanted: int, image: Image) -> list[Work]:
        """The next `wanted` trials, with the lowest seeds that are not there yet."""
        assert self.setting is not None  # noqa: S101 - trials begin after the environment was made
        fresh = islice((seed for seed in count() if seed not in self.trials), wanted)
        works = [Work(trial=Trial(setting=self.setting, seed=seed), image=image, progress=self) for seed in fresh]
        self.under_way += len(works)
        return works
