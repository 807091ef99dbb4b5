"""A trial that a cluster was asked for: its turn, its needs, and the workers that went while they ran it."""

from __future__ import annotations

import pickle
import signal
import time
from concurrent.futures import Future as LocalFuture
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.laboratory.cluster.errand import Errand, bundled
from runner.laboratory.cluster.placement import Waiting
from runner.trials.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.laboratory.cluster.placement import Needs, Station
    from runner.laboratory.executor import TrialOrder, Turn


@dataclass(kw_only=True, eq=False)
class TrialLot:
    """The trials of one executor: how many at once, and how many are under way or wait."""

    jobs: int | None
    """None: as many as fit on the workers."""
    under_way: int = 0


@dataclass(kw_only=True, eq=False)
class Ordered:
    """A trial that was ordered, and the workers that it lost."""

    order: TrialOrder
    turn: Turn
    needs: Needs
    begun: Callable[[str], None]
    lot: TrialLot
    future: LocalFuture[Record] = field(default_factory=LocalFuture)
    lost: list[str] = field(default_factory=list)
    """The names of all workers that went while they ran it."""
    counted: int = 0
    """Those of them that did not announce it."""
    supplied: set[Station] = field(default_factory=set)
    """The workers that were sent files after they had failed."""
    sent_before: int = 0
    """The number of files that its worker's machine had been sent when it was given the trial."""
    first_s: float = 0.0

    @property
    def key(self) -> str:
        """The trial's."""
        return self.order.trial.key

    def waiting(self) -> Waiting:
        """It, for placement."""
        lock = self.order.trial.setting.lock.image_digest
        return Waiting(turn=self.turn, key=self.key, lock=lock, needs=self.needs, losses=self.counted)


def taking_workers_down(one: Ordered) -> Record:
    """The record of a trial that took every worker down that ran it, as of one that SIGKILL ended."""
    trial = one.order.trial
    setting = trial.setting
    return Record(
        key=trial.key,
        cell=dict(setting.cell.id.values),
        seed=trial.seed,
        engine=setting.engine.value,
        base_identity=setting.base_identity,
        lock=setting.lock.environment.name,
        lock_digest=setting.lock.digest,
        started_at=datetime.fromtimestamp(one.first_s, UTC).isoformat(timespec="seconds"),
        duration_s=round(time.time() - one.first_s, 3),
        stage="training",
        signal=signal.SIGKILL,
        probe_started=True,
        message=f"It took {len(one.lost)} workers down with it: {', '.join(one.lost)}",
        lost_workers=tuple(one.lost),
    )


def packed_errand(one: Ordered, station: Station, address: str) -> bytes:
    """A trial with all that it needs on a worker, as it travels; `address` is where its image was pushed."""
    trial = one.order.trial
    setting = replace(trial.setting, script=bundled(trial.setting.script))
    errand = Errand(
        trial=replace(trial, setting=setting),
        processors=min(one.needs.processors, station.processors),
        gpus=one.needs.gpus,
        trials_per_gpu=one.needs.trials_per_gpu,
        address=address,
    )
    return pickle.dumps(errand)
