"""The executor of trials: threads of this machine here, the workers of a cluster behind the same face.

An executor knows no engine. It takes a trial as one value and gives the future of its record; what it tells of
beginnings and ends is put into one queue by the laboratory, so that nobody hears of a thing before what came earlier.
"""

from __future__ import annotations

import os
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from runner.engines.protocol import Slot
from runner.errors import MachineError
from runner.matrix.model import Resources
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Image
    from runner.trials.record import Record
    from runner.trials.trial import Trial

Turn = tuple[float, ...]
"""The place of a trial among those that wait; of equal ones the first that came runs first."""


@dataclass(frozen=True, kw_only=True)
class TrialOrder:
    """A trial that is to be run, and its environment made runnable."""

    trial: Trial
    image: Image


@dataclass(frozen=True, kw_only=True, order=True)
class HeldTrial:
    """A trial that waits before an executor has it; `place` tells apart those with the same turn."""

    turn: Turn
    place: int
    now: Callable[[], Turn] = field(compare=False)
    """The turn by what is known by now, which is never an earlier one."""
    start: Callable[[], None] = field(compare=False)


class Executor(Protocol):
    """Runs trials side by side; a future that was not begun can be cancelled."""

    @property
    def side_by_side(self) -> int:
        """The number of trials that run at once."""

    def execute(self, order: TrialOrder, begun: Callable[[str], None], turn: Turn = ()) -> Future[Record]:
        """Run a trial on processors of its own when some are free: of those that wait the one with the lowest turn.

        `begun` is called just before, with the name of the worker that runs it; it is empty on this machine. Log and
        artifacts lie in the workplace when the record comes.
        """

    def shut_down(self) -> None:
        """Wait for what was begun, and let go of everything."""


class Threads:
    """An executor on this machine: a thread for each slot of processors."""

    def __init__(
        self,
        run: Callable[[TrialOrder, Slot], Record],
        resources: Resources | None = None,
        jobs: int | None = None,
        gpus: Sequence[Gpu] = (),
    ) -> None:
        """Have room for `jobs` trials at once; None: as many as fit with their processors and `gpus` each.

        Raises MachineError where a trial needs more GPUs than there are.
        """
        slots = slots_of(resources or Resources(), jobs, gpus)
        self._run = run
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self.side_by_side = len(slots)
        self._trials = ThreadPoolExecutor(len(slots), "trials")
        self._waiting: queue.PriorityQueue[tuple[Turn, int, Future[Any], Callable[[], Any]]] = queue.PriorityQueue()
        self._came = count()

    def execute(self, order: TrialOrder, begun: Callable[[str], None], turn: Turn = ()) -> Future[Record]:
        """Run a trial in the next free slot when its turn comes."""
        future: Future[Record] = Future()
        self._waiting.put((turn, next(self._came), future, partial(self._in_slot, order, begun)))
        self._trials.submit(self._next)
        return future

    def shut_down(self) -> None:
        """Wait for what was begun."""
        self._trials.shutdown(cancel_futures=True)
        while not self._waiting.empty():
            self._waiting.get()[2].cancel()

    def _next(self) -> None:
        """Run what waits with the lowest turn."""
        _, _, future, task = self._waiting.get()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = task()
        except BaseException as error:  # noqa: BLE001 - whoever asked gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    def _in_slot(self, order: TrialOrder, begun: Callable[[str], None]) -> Record:
        slot = self._free.get()
        try:
            begun("")
            return self._run(order, slot)
        finally:
            self._free.put(slot)


def slots_of(resources: Resources, jobs: int | None, gpus: Sequence[Gpu] = ()) -> list[Slot]:
    """The slots of a machine: as many as fit, or `jobs`; more than fit share processors.

    GPUs are shared by no more trials than `resources` says, whatever `jobs` is. Raises MachineError where a trial needs
    more than there are.
    """
    available = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    )
    cpus = min(resources.cpus, len(available))
    number = jobs or max(1, len(available) // cpus)
    devices = _devices(resources, gpus)
    if devices:
        number = min(number, len(devices))
    return [
        Slot(
            cpus=tuple(available[(slot * cpus + offset) % len(available)] for offset in range(cpus)),
            gpus=devices[slot] if devices else (),
        )
        for slot in range(number)
    ]


def _devices(resources: Resources, gpus: Sequence[Gpu]) -> list[tuple[Gpu, ...]]:
    """The GPUs of each slot: all groups of them once before any is shared."""
    if not resources.gpus:
        return []
    groups = [
        tuple(gpus[first : first + resources.gpus])
        for first in range(0, len(gpus) - resources.gpus + 1, resources.gpus)
    ]
    if not groups:
        raise MachineError(
            f"A trial needs {counted(resources.gpus, 'GPU')} (`resources: gpus`), and {len(gpus)} can be used here."
        )
    return groups * resources.trials_per_gpu
