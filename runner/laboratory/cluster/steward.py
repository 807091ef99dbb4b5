"""The steward: one thread that gives waiting trials to workers, hears who comes and goes, and sees trials home.

What ended is fetched by a few threads beside it, so that a home that is slow holds back the workers' results and not
their work; it is kept here before its future tells of it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed.client import ClosedClientError

from runner.errors import BuildFailedError, MachineError, RunnerError, StoppedError, UsageError
from runner.laboratory.bench import nothing
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.cargo import Cargo
from runner.laboratory.cluster.crew import Crew, LineLostError, WorkerLostError
from runner.laboratory.cluster.homecoming import HomeError, bring_home
from runner.laboratory.cluster.line import ask, workers_of
from runner.laboratory.cluster.ordered_trial import Ordered, packed_errand, taking_workers_down
from runner.laboratory.cluster.placement import LOSSES_ALONE
from runner.laboratory.cluster.worker_files import DataMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client, Future

    from runner.laboratory.cluster.cargo import Supply
    from runner.laboratory.cluster.errand import Finished, Terms
    from runner.laboratory.cluster.ordered_trial import TrialLot
    from runner.laboratory.cluster.placement import Station, Waits
    from runner.laboratory.request import Watcher
    from runner.trials.job_files import Workplace
    from runner.trials.record import Record

MOST_LOSSES = LOSSES_ALONE + 1
"""A trial that takes so many workers down with it has come to that."""
_ANSWERS, _HOMECOMINGS, _SENDINGS = 4, 4, 32
_MOST_COMING = 64
"""So many trials that ended may wait to be fetched before workers wait for home: what they keep lies on their disks."""
_LOOK_EVERY_S = 1.0
_SHUT_DOWN_S = 10.0
_LOOK_AROUND_S = 15.0
ALONE_S = 300.0
"""So long a cluster that lost all its workers may take to get some again."""


class Steward:
    """Gives trials to workers. All its state is changed by its own thread."""

    def __init__(
        self,
        client: Client,
        terms: Terms,
        *,
        crew: Crew,
        waits: Waits,
        supply: Supply,
        workplace: Workplace,
        observer: Watcher,
    ) -> None:
        """Begin to listen."""
        self._client, self._terms, self._crew, self._waits = client, terms, crew, waits
        self._observer, self.supply = observer, supply
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ordered: dict[str, Ordered] = {}
        self._stopping = crew.stopping
        self._bring_home = partial(bring_home, client=client, run=terms.run, workplace=workplace)
        self._broken: RunnerError | None = None
        self._alone_since = self._looked_at = time.monotonic()
        self._changed = threading.Condition()
        self._coming: set[str] = set()
        """The trials that ended on their workers and are fetched."""
        self._gate = ThreadPoolExecutor(1, "gate")
        self._answers = ThreadPoolExecutor(_ANSWERS, "answer")
        self._homecomings = ThreadPoolExecutor(_HOMECOMINGS, "homecoming")
        self._sendings = ThreadPoolExecutor(_SENDINGS, "sending")
        for threads in (self._gate, self._answers, self._homecomings, self._sendings):
            threads.submit(nothing)  # with one thread from now on, nothing waits for one that can't be started
        self._thread = threading.Thread(target=self._work, name="cluster steward", daemon=True)
        self._thread.start()
        client.subscribe_topic("all", self._heard_of_workers)
        client.subscribe_topic(worker_bench.topic_of(terms.run), self._heard_from_bench)

    def stations(self) -> list[Station]:
        """The workers that are there."""
        return list(self._crew.stations.values())

    def order(self, one: Ordered) -> None:
        """Take a trial."""
        with self._changed:
            one.lot.under_way += 1
        self._events.put(partial(self._take, one))

    def look(self) -> None:
        """Look whether something can begin: an environment is there, or a machine is done with one."""
        self._events.put(nothing)

    def settle(self, lot: TrialLot) -> None:
        """Wait until nothing of an executor is under way."""
        deadline: float | None = None
        with self._changed:
            while lot.under_way:
                if self._stopping.is_set() and deadline is None:
                    deadline = time.monotonic() + _SHUT_DOWN_S
                if deadline is not None and time.monotonic() > deadline:
                    break
                self._changed.wait(_LOOK_EVERY_S)

    def stop(self) -> None:
        """Begin nothing more, and wait for nobody."""
        self._crew.stop()
        self._events.put(self._drop_waiting)

    def close(self) -> None:
        """End the thread, and forget what was asked."""
        self._crew.stop()
        self._events.put(None)
        self._thread.join(_SHUT_DOWN_S)
        with contextlib.suppress(ClosedClientError):  # where the scheduler is gone there is nobody to tell
            for topic in ("all", worker_bench.topic_of(self._terms.run)):
                with contextlib.suppress(ValueError):
                    self._client.unsubscribe_topic(topic)
        for threads in (self._gate, self._answers, self._homecomings, self._sendings):
            threads.shutdown(wait=False, cancel_futures=True)

    # -- what is heard: in the client's own thread -------------------------------------------------------------------

    def _heard_of_workers(self, event: tuple[float, Any]) -> None:
        message = event[1]
        if isinstance(message, dict) and message.get("action") in {"add-worker", "remove-worker"}:
            counts = not message.get("expected", False)
            if message["action"] == "remove-worker":
                self._events.put(partial(self._left, message["worker"], counts=counts))
            else:
                self._beside(self._joined)

    def _heard_from_bench(self, event: tuple[float, Any]) -> None:
        message = event[1]
        if "environment" in message:
            self._observer.environment(str(message["environment"]), str(message["text"]))
        elif "note" in message:
            self._observer.note(str(message["note"]))

    # -- what is done: in the steward's thread -----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                event = self._check_line
            if event is None:
                return
            try:
                event()
                self._place()
                if self._has_anybody():
                    self._alone_since = time.monotonic()
                if time.monotonic() - self._looked_at > _LOOK_AROUND_S:
                    self._looked_at = time.monotonic()
                    self._beside(self._joined)  # for one that came unheard, or was not fit
            except RunnerError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                self._fail(MachineError(f"The cluster can't be used any more: {error!r}. What is finished is kept."))

    def _check_line(self) -> None:
        """Raise MachineError where the scheduler is gone, or for long all workers with room, and something waits."""
        if self._stopping.is_set() or not self._ordered:
            return
        if self._client.status not in {"running", "connecting"}:
            raise self._crew.line_loss()
        if not self._has_anybody() and time.monotonic() - self._alone_since > ALONE_S:
            what = "no worker with room for what waits" if self.stations() else "no workers"
            raise MachineError(
                f"The cluster has had {what} for {ALONE_S:.0f} s. What is finished is kept: start some, and the same"
                " command goes on from there."
            )

    def _has_anybody(self) -> bool:
        """True where somebody is there who could run what waits."""
        one = next(iter(self._ordered.values()), None)
        return any(one is None or station.capacity(one.needs) for station in self.stations())

    def _fail(self, error: RunnerError) -> None:
        """Let everything that waits or is under way end with an error."""
        self._broken = error
        for one in tuple(self._ordered.values()):
            self._end(one, error=error)

    def _take(self, one: Ordered) -> None:
        self._ordered[one.key] = one
        if self._broken or self._stopping.is_set():
            self._end(one, error=self._broken or StoppedError())
        else:
            self._waits.add(one.waiting())

    def _drop_waiting(self) -> None:
        self._waits.clear()
        placed = self._coming.union(*(station.running for station in self.stations()))
        for one in tuple(self._ordered.values()):
            if one.key not in placed:
                self._end(one, error=StoppedError())

    def _place(self) -> None:
        while not self._stopping.is_set() and not self._broken:
            running = sum(len(station.running) for station in self.stations())
            jobs = min((one.lot.jobs for one in self._ordered.values() if one.lot.jobs), default=None)
            found = self._waits.take(self.stations()) if jobs is None or running < jobs else None
            if found is None:
                return
            self._begin(self._ordered[found[0].key], found[1])

    def _begin(self, one: Ordered, station: Station) -> None:
        if not one.future.running() and not one.future.set_running_or_notify_cancel():
            self._end(one)
            return
        station.running[one.key] = one.needs
        station.taken_alone = one.counted >= LOSSES_ALONE
        one.first_s = one.first_s or time.time()
        one.sent_before = self.supply.sent(station.machine)
        address = self._waits.addresses.get(one.order.trial.setting.lock.image_digest, "")
        packed = packed_errand(one, station, address)  # here, where nobody changes it meanwhile
        one.begun(station.name)
        future = self._crew.submit(station.address, worker_bench.run_trial, self._terms, packed)
        future.add_done_callback(partial(self._done, one, station))

    def _done(self, one: Ordered, station: Station, future: Future) -> None:
        """Have the answer of a trial that ended taken. Runs in a thread of distributed's."""
        self._have(self._answers, partial(self._hear, one, station, future), one, station)

    def _have(self, threads: ThreadPoolExecutor, work: Callable[[], None], one: Ordered, station: Station) -> None:
        """Have something done for a trial beside; the error that it meets comes home in place of the trial."""

        def doing() -> None:
            try:
                work()
            except Exception as met:  # noqa: BLE001 - nobody else would hear of it
                kind = HomeError if isinstance(met, OSError) else MachineError  # what a worker meets comes as a value
                error = met if isinstance(met, RunnerError) else kind(f"For worker {station.name}: {met!r}")
                self._events.put(partial(self._came_home, one, station, None, error))

        with contextlib.suppress(RuntimeError):  # all is over
            threads.submit(doing)

    def _hear(self, one: Ordered, station: Station, future: Future) -> None:
        """Take an answer: the worker is free for others while what it keeps of the trial is fetched."""
        try:
            finished = self._crew.answer(station.address, future)
        except DataMissingError:
            self._have(self._sendings, partial(self._send_data, one, station), one, station)
        except MachineError as error:
            if isinstance(error, LineLostError | WorkerLostError):
                raise
            self._have(self._sendings, partial(self._send_files, one, station, error), one, station)
        else:
            self._events.put(partial(self._ended_there, one, station))
            self._have(self._homecomings, partial(self._fetch, one, station, finished), one, station)

    def _fetch(self, one: Ordered, station: Station, finished: Finished) -> None:
        """Have what a worker keeps of a trial here."""
        try:
            record = self._bring_home(finished, one.key, address=station.address, ends=self._crew.end_of(station))
        except HomeError:
            raise
        except RunnerError as error:
            raise self._crew.loss_behind(error, station) from error
        record = record.model_copy(update={"worker": station.name, "lost_workers": tuple(one.lost)})
        self._events.put(partial(self._came_home, one, station, record, None))

    def _send_files(self, one: Ordered, station: Station, error: MachineError) -> None:
        """Send the files for want of which a worker may have met an error, once, and let the trial wait again."""
        is_first = station not in one.supplied
        one.supplied.add(station)
        if not (is_first and self.supply.send(station, one.order.trial.setting.lock, one.sent_before)):
            raise self._crew.loss_behind(error, station) from error
        self._events.put(partial(self._came_home, one, station, None, None))

    def _send_data(self, one: Ordered, station: Station) -> None:
        """Send the data of a trial to its worker, and let the trial wait again."""
        ends = self._crew.end_of(station)
        cargo = Cargo(self._client, station.address, station.name, machine=station.machine, ends=ends)
        try:
            cargo.send_data(one.order.trial.setting)
        except MachineError as error:
            raise self._crew.loss_behind(error, station) from error
        self._events.put(partial(self._came_home, one, station, None, None))

    def _ended_there(self, one: Ordered, station: Station) -> None:
        """Take note that a trial ended, and is fetched; its worker takes another one, unless too many are."""
        self._coming.add(one.key)
        if len(self._coming) <= _MOST_COMING:
            self._leave_room(one, station)

    @staticmethod
    def _leave_room(one: Ordered, station: Station) -> None:
        if station.running.pop(one.key, None) is not None:
            station.taken_alone = False

    def _came_home(self, one: Ordered, station: Station, record: Record | None, failure: RunnerError | None) -> None:
        self._coming.discard(one.key)
        self._leave_room(one, station)
        if failure is not None and one.key in self._ordered and self._runs_elsewhere(one, station, failure):
            return
        if record is not None:
            lock = one.order.trial.setting.lock.image_digest
            self._waits.made.setdefault(lock, set()).add(station.machine)
            self._waits.trial_s[lock] = record.duration_s
        elif failure is None:
            self._waits.add(one.waiting())
            return
        self._end(one, record, StoppedError() if self._stopping.is_set() else failure)

    def _runs_elsewhere(self, one: Ordered, station: Station, failure: RunnerError) -> bool:
        """Let a trial wait again where it was its worker that failed; false where it was not, or nobody is left.

        A worker whose machine fails, by a full disk, whose configuration is wrong, or that can't make what another one
        made, gets no more work.
        """
        if self._stopping.is_set() or isinstance(failure, LineLostError | HomeError):
            return False
        if isinstance(failure, WorkerLostError):
            self._lost(one, failure)
            return True
        if isinstance(failure, MachineError | BuildFailedError | UsageError) and self._crew.exclude(
            station.address, failure
        ):
            self._waits.add(one.waiting())
            return True
        return False

    def _lost(self, one: Ordered, loss: WorkerLostError) -> None:
        """Let a trial run elsewhere, unless it has taken too many workers down with it."""
        one.lost.append(loss.worker)
        one.counted += loss.counts
        trial = one.order.trial
        if one.counted >= MOST_LOSSES:
            self._end(one, taking_workers_down(one))
            return
        self._observer.note(f"{loss} {trial.setting.cell.id.brief} seed {trial.seed} runs again on another one.")
        self._waits.add(one.waiting())

    def _end(self, one: Ordered, record: Record | None = None, error: RunnerError | None = None) -> None:
        if self._ordered.pop(one.key, None) is None:
            return  # it has ended before, with all that failed
        if not one.future.done() and not one.future.cancelled():
            with contextlib.suppress(Exception):  # cancelled between the two
                if not one.future.running():
                    one.future.set_running_or_notify_cancel()
                if record is not None:
                    one.future.set_result(record)
                else:
                    one.future.set_exception(error or StoppedError())
        with self._changed:
            one.lot.under_way -= 1
            self._changed.notify_all()

    # -- who comes and goes ------------------------------------------------------------------------------------------

    def _joined(self) -> None:
        if self._stopping.is_set():
            return
        found = workers_of(self._client)
        new = {address: one for address, one in found.items() if address not in self._crew.stations}
        if new:
            self._crew.take(new, strictly=False)
            self.look()
            joined = [self._crew.names[address] for address in new if address in self._crew.stations]
            if joined:
                self._observer.note(f"{', '.join(sorted(joined))} joined the cluster.")

    def _left(self, address: str, *, counts: bool) -> None:
        station = self._crew.stations.get(address)
        if self._crew.leave(address, counts=counts) and station is not None and not self._stopping.is_set():
            self._observer.note(f"{station.name} {'was lost' if counts else 'left the cluster'}.")
            same = [one.address for one in self.stations() if one.machine == station.machine]
            if same:
                self._beside(partial(ask, self._client, worker_bench.sweep_after, self._terms.run, workers=same[:1]))
        self._beside(self._joined)  # another one may have come to its address before it was known to be gone

    def _beside(self, work: Callable[[], object]) -> None:
        """Do something that takes its time, one after the other, while trials are placed."""

        def doing() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it is done again: nobody else would hear of it
                if not self._stopping.is_set():
                    self._observer.note(f"The workers of the cluster could not be looked at: {error!r}.")

        with contextlib.suppress(RuntimeError):  # all is over
            self._gate.submit(doing)
