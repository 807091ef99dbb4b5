"""The placement of trials on workers: pure, a waiting trial and the worker that it goes to.

A trial goes where its environment is made. It goes elsewhere, where the environment is made again, once a machine has
nothing to do and waiting would take longer than making. Trials that run in turn stay together on one worker.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from runner.errors import MachineError, UsageError
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any

    from runner.laboratory.cluster.errand import Facts
    from runner.laboratory.executor import Turn

LOSSES_ALONE = 2
"""A trial that lost so many workers runs alone on its next one: what ends that is the trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """The resources of one trial."""

    processors: int = 1
    memory_bytes: int = 0
    gpus: int = 0
    trials_per_gpu: int = 1


@dataclass(kw_only=True, eq=False)
class Station:
    """A worker as placement sees it."""

    address: str
    name: str
    machine: str
    """What workers share that share a cache: there an environment is made once."""
    processors: int
    memory_bytes: int | None = None
    """What its resources declare; None: they say nothing, and memory is not counted."""
    gpus: frozenset[str] = frozenset()
    """The ids of those that it may use, in the whole world: workers of one host may share them."""
    running: dict[str, Needs] = field(default_factory=dict)
    """The trials that it has, by key."""
    taken_alone: bool = False
    """True while a trial runs on it that must have it alone."""

    def capacity(self, needs: Needs) -> int:
        """The number of such trials that it can run at once."""
        fit = self.processors // min(needs.processors, max(1, self.processors))
        if self.memory_bytes is not None and needs.memory_bytes:
            fit = min(fit, self.memory_bytes // needs.memory_bytes)
        if needs.gpus:
            fit = min(fit, len(self.gpus) // needs.gpus * needs.trials_per_gpu)
        return fit

    def room(self, needs: Needs) -> int:
        """The number of such trials that it could begin now."""
        return 0 if self.taken_alone else self.capacity(needs) - len(self.running)


def refuse_without_room(needs: Needs, stations: Collection[Station]) -> None:
    """Raise where none of the workers that there are could ever run such a trial."""
    if not stations or any(station.capacity(needs) for station in stations):
        return
    if needs.gpus and not any(len(station.gpus) >= needs.gpus for station in stations):
        raise MachineError(
            f"A trial needs {counted(needs.gpus, 'GPU')}, and no worker has so many (`doctor --cluster` says what each"
            " has). Start one that has, or leave `gpus` out: then trials run on processors."
        )
    most = max(station.memory_bytes or 0 for station in stations)
    raise UsageError(
        f"No worker has room for a trial: it may take {needs.memory_bytes / 1e9:.1f} GB (`resources: memory`), and the"
        f" largest worker declares {most / 1e9:.1f} GB. Start one that declares more (`dask worker --resources"
        ' "memory=…"`), or let a trial take less.'
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A trial that waits for a worker."""

    turn: Turn
    key: str
    lock: str
    """Its environment, by the digest of the lock's image."""
    needs: Needs
    losses: int = 0
    """The number of workers that were lost while they ran it."""


@dataclass(kw_only=True)
class Waits:
    """The trials that wait, by environment, each heap by turn; and what is known of environments."""

    made: dict[str, set[str]] = field(default_factory=dict)
    """The machines that have an environment, by the digest of its lock's image."""
    addresses: dict[str, str] = field(default_factory=dict)
    """The address in a registry of an environment's image, by the same."""
    making: dict[str, int] = field(default_factory=dict)
    """The number of environments that a machine makes now."""
    make_s: dict[str, float] = field(default_factory=dict)
    """The seconds that the making of an environment took."""
    trial_s: dict[str, float] = field(default_factory=dict)
    """The seconds that a trial in an environment took last."""
    together: Needs | None = None
    """The needs of trials that all go to one worker, the same as long as it is there; None: each goes anywhere."""
    _mate: Station | None = None
    """That worker."""
    _heaps: dict[str, list[tuple[Turn, int, Waiting]]] = field(default_factory=dict)
    _came: Iterator[int] = field(default_factory=count)

    def __len__(self) -> int:
        return sum(map(len, self._heaps.values()))

    def add(self, one: Waiting) -> None:
        """Let a trial wait."""
        heapq.heappush(self._heaps.setdefault(one.lock, []), (one.turn, next(self._came), one))

    def clear(self) -> None:
        """Forget all trials."""
        self._heaps.clear()

    def take(self, stations: Iterable[Station]) -> tuple[Waiting, Station] | None:
        """The trial with the lowest turn that can begin now, which waits no longer, and its worker."""
        here = self.eligible(stations)
        for _, _, first in sorted(heap[0] for heap in self._heaps.values() if heap):
            station = self._station(first, here)
            if station is not None:
                heapq.heappop(self._heaps[first.lock])
                return first, station
        return None

    def eligible(self, stations: Iterable[Station]) -> list[Station]:
        """The workers that trials may go to, and their environments: all, or the one that has those that run in turn.

        That is one with room for them, of those the one that has most of the environments.
        """
        here, needs = list(stations), self.together
        if needs is None:
            return here
        if self._mate not in here:
            made = tuple(self.made.values())
            self._mate = max(
                (one for one in here if one.capacity(needs)),
                key=lambda one: (sum(one.machine in having for having in made), one.capacity(needs), one.name),
                default=None,
            )
        return [self._mate] if self._mate else here

    def _station(self, one: Waiting, stations: list[Station]) -> Station | None:
        roomy = [station for station in stations if station.room(one.needs) > 0]
        free = [station for station in roomy if _has_gpus(station, one.needs, stations)]
        if one.losses >= LOSSES_ALONE:
            free = [station for station in free if not station.running]
        having = self.made.get(one.lock, set())
        at_home = [station for station in free if station.machine in having]
        if not at_home and not (having and self._is_waiting_shorter(one, stations, having)):
            at_home = [station for station in free if not self.making.get(station.machine)]
        return max(at_home, key=lambda station: (station.room(one.needs), station.name), default=None)

    def _is_waiting_shorter(self, one: Waiting, stations: list[Station], having: set[str]) -> bool:
        """True where the last of an environment's trials begins sooner on the machines that have it than elsewhere."""
        slots = sum(station.capacity(one.needs) for station in stations if station.machine in having)
        make_s, trial_s = self.make_s.get(one.lock), self.trial_s.get(one.lock)
        if not slots or make_s is None or trial_s is None:
            return False
        return len(self._heaps[one.lock]) * trial_s / slots < make_s


def _has_gpus(station: Station, needs: Needs, stations: Iterable[Station]) -> bool:
    """True where the workers that share a worker's GPUs have left some for one more trial."""
    if not needs.gpus:
        return True
    beside = [one for one in stations if one.gpus & station.gpus]
    devices = frozenset[str]().union(*(one.gpus for one in beside))
    return sum(len(one.running) for one in beside) < len(devices) // needs.gpus * needs.trials_per_gpu


def station_of(address: str, name: str, facts: Facts, told: Mapping[str, Any]) -> Station:
    """A worker for placement: its threads are its processors, unless its resources say otherwise."""
    resources = told.get("resources") or {}
    memory = resources.get("memory")
    return Station(
        address=address,
        name=name,
        machine=facts.machine,
        processors=int(resources.get("processors", told.get("nthreads", 1))),
        memory_bytes=int(memory) if memory else None,
        gpus=frozenset(gpu.id for gpu in facts.gpus),
    )
