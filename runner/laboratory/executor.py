"""The executor of a laboratory's work: threads of this machine here, workers of a cluster behind the same face later.

An executor knows neither cells nor engines. It takes functions and gives futures; what it tells of beginnings and
ends is put into one queue by the laboratory, so that nobody hears of a thing before what happened earlier.
"""

from __future__ import annotations

import os
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
Processors = tuple[int, ...]
Turn = tuple[int, ...]
"""The place of a trial among those that wait; of equal ones the first that came runs first."""

ENVIRONMENTS_AT_ONCE = 3
"""One is installed at a time; the files of the next two are fetched meanwhile."""


class Executor(Protocol):
    """Runs tasks side by side; a future that was not begun can be cancelled."""

    @property
    def side_by_side(self) -> int:
        """The number of trials that run at once."""

    def make(self, task: Callable[[], Result]) -> Future[Result]:
        """Make an environment: beside trials, and few at a time."""

    def execute(
        self, task: Callable[[Processors], Result], begun: Callable[[], None], turn: Turn = ()
    ) -> Future[Result]:
        """Run a trial on processors of its own when some are free: of those that wait the one with the lowest turn.

        `begun` is called just before.
        """

    def shut_down(self) -> None:
        """Wait for what was begun, and let go of everything."""


class Threads:
    """An executor on this machine: a thread for each slot of processors, and a few that make environments."""

    def __init__(self, cpus: int, jobs: int | None = None) -> None:
        """Have room for `jobs` trials at once; None: as many as fit with so many processors each."""
        slots = slots_of(cpus, jobs)
        self._free: queue.SimpleQueue[Processors] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self.side_by_side = len(slots)
        self._makers = ThreadPoolExecutor(ENVIRONMENTS_AT_ONCE, "environments")
        self._trials = ThreadPoolExecutor(len(slots), "trials")
        self._waiting: queue.PriorityQueue[tuple[Turn, int, Future[Any], Callable[[], Any]]] = queue.PriorityQueue()
        self._came = count()

    def make(self, task: Callable[[], Result]) -> Future[Result]:
        """Make an environment."""
        return self._makers.submit(task)

    def execute(
        self, task: Callable[[Processors], Result], begun: Callable[[], None], turn: Turn = ()
    ) -> Future[Result]:
        """Run a trial in the next free slot when its turn comes."""
        future: Future[Result] = Future()
        self._waiting.put((turn, next(self._came), future, partial(self._in_slot, task, begun)))
        self._trials.submit(self._next)
        return future

    def shut_down(self) -> None:
        """Wait for what was begun."""
        self._makers.shutdown(cancel_futures=True)
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

    def _in_slot(self, task: Callable[[Processors], Result], begun: Callable[[], None]) -> Result:
        slot = self._free.get()
        try:
            begun()
            return task(slot)
        finally:
            self._free.put(slot)


def slots_of(cpus: int, jobs: int | None) -> list[Processors]:
    """The processors of each slot: as many slots as fit, or `jobs`; more than fit share processors."""
    available = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    )
    cpus = min(cpus, len(available))
    number = jobs or max(1, len(available) // cpus)
    return [
        tuple(available[(slot * cpus + offset) % len(available)] for offset in range(cpus)) for slot in range(number)
    ]
