"""The workshop of a cluster: environments are made and trials run by its workers, and all that counts comes home.

Dask brings the workers, carries values and notices who goes. Which worker does what is decided here, so that a trial's
turn counts and it goes where its environment is.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.engines.protocol import EngineKind
from runner.environments.lock import Ground
from runner.errors import MachineError, RunnerError, StoppedError, UsageError
from runner.laboratory.bench import nothing
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.cargo import Supply
from runner.laboratory.cluster.crew import Crew, LineLostError, WorkerLostError
from runner.laboratory.cluster.errand import Terms
from runner.laboratory.cluster.line import ask, awaited_workers, connected, workers_of
from runner.laboratory.cluster.ordered_trial import Ordered, TrialLot
from runner.laboratory.cluster.placement import Needs, Waits, refuse_without_room
from runner.laboratory.cluster.steward import ALONE_S, Steward

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future as LocalFuture
    from typing import Any

    from distributed import Client

    from runner.engines.protocol import Image
    from runner.environments.index.catalog import Catalog
    from runner.environments.lock import Lock
    from runner.laboratory.bench import ImageOrder
    from runner.laboratory.cluster.errand import Facts, Made
    from runner.laboratory.cluster.placement import Station
    from runner.laboratory.executor import Executor, TrialOrder, Turn
    from runner.laboratory.request import Watcher
    from runner.matrix.model import Resources
    from runner.trials.job_files import Workplace
    from runner.trials.record import Record

_ATTEMPTS = 3
_ENVIRONMENTS_AT_ONCE = 3
"""On each machine: one is installed at a time, the files of the next two are fetched meanwhile."""
_MOST_MAKERS = 64
_LOOK_EVERY_S = 0.25
_NOBODY = "The cluster has lost all its workers. What is finished is kept; start some again."
_STOP_S, _QUIET_S, _LET_GO_S = 3.0, 6.0, 5.0
"""So long workers may take to hear that all ends, and to end it; and the scheduler to say goodbye."""


class ClusterExecutor:
    """The executor of one round of trials with the same needs."""

    def __init__(self, steward: Steward, needs: Needs, jobs: int | None) -> None:
        """Have `jobs` trials at once; None: as many as fit on the workers."""
        self._steward, self._needs, self._lot = steward, needs, TrialLot(jobs=jobs)

    @property
    def side_by_side(self) -> int:
        """The number of trials that run at once, on the workers that are there now."""
        slots = sum(station.capacity(self._needs) for station in self._steward.stations())
        return max(1, slots if self._lot.jobs is None else min(slots, self._lot.jobs))

    def execute(self, order: TrialOrder, begun: Callable[[str], None], turn: Turn = ()) -> LocalFuture[Record]:
        """Run a trial on a worker when its turn comes."""
        one = Ordered(order=order, turn=turn, needs=self._needs, begun=begun, lot=self._lot)
        self._steward.order(one)
        return one.future

    def shut_down(self) -> None:
        """Wait for what was begun; of a run that was stopped for some seconds."""
        self._steward.settle(self._lot)


class Cluster:
    """The workers of a scheduler (a `Workshop`); it is connected to when something is asked of it."""

    def __init__(
        self,
        where: str | Client,
        *,
        engine: str,
        base: str,
        runtime: str,
        platform: str = "",
        workplace: Workplace,
        observer: Watcher,
        catalog: Callable[[], Catalog],
        undated: Callable[[str], bool] | None = None,
        indexes: tuple[str, ...] = (),
        registry: str = "",
        pair: bool = False,
    ) -> None:
        """Connect to nothing yet; `where` is the address of a scheduler, or a client of one.

        With `pair` all trials run on one worker, as long as that is there.
        """
        self._where, self._workplace, self._observer, self._catalog = where, workplace, observer, catalog
        self._terms = Terms(
            run=secrets.token_hex(8),
            engine=engine,
            base=base,
            runtime=runtime,
            platform=platform,
            undated=undated,
            indexes=indexes,
            registry=registry,
        )
        self._waits, self._pair = Waits(), pair
        self._pythons: tuple[str, ...] = ()
        self._found: dict[str, Image | None] = {}
        self._looked_for: set[Ground] = set()
        self._guard = threading.RLock()
        self._having: dict[str, threading.Lock] = {}  # by base: held while workers may make it, for minutes
        self._stopping = threading.Event()
        self._opened: tuple[Client, Crew, Steward] | None = None
        self._ending: list[str] | None = None
        """The workers that were told to stop, and heard it."""

    # -- the workshop ------------------------------------------------------------------------------------------------

    @property
    def environments_at_once(self) -> int:
        """Some on every machine."""
        return min(_MOST_MAKERS, _ENVIRONMENTS_AT_ONCE * max(1, len(self._crew.of_machines())))

    def executor(self, resources: Resources, jobs: int | None) -> Executor:
        """What runs trials of these needs on the workers. Raises RunnerError where none of them has room for one."""
        needs = Needs(
            processors=resources.cpus,
            memory_bytes=resources.memory_bytes,
            gpus=resources.gpus,
            trials_per_gpu=resources.trials_per_gpu,
        )
        refuse_without_room(needs, self._crew.stations.values())
        self._waits.together = needs if self._pair else None
        return ClusterExecutor(self._steward, needs, jobs)

    def image(self, order: ImageOrder, installing: Callable[[], None] = nothing) -> Image:  # noqa: ARG002
        """A lock made runnable on one machine: on one that has it, else on the one with the least to make.

        Raises MachineError, before anything is made, where workers differ in what the lock does not pin.
        """
        self._await_anybody()
        self.base_identity(order.lock.ground)
        digest = order.lock.image_digest
        supplied: set[Station] = set()
        losses = 0
        while losses < _ATTEMPTS:
            self._await_anybody()
            station = self._place(digest)
            order = replace(order, address=self._waits.addresses.get(digest, ""))
            address, machine, since = station.address, station.machine, self._steward.supply.sent(station.machine)
            with self._guard:
                self._waits.making[machine] = self._waits.making.get(machine, 0) + 1
            try:
                made: Made = self._crew.answer(
                    address, self._crew.submit(address, worker_bench.make_image, self._terms, order)
                )
            except RunnerError as error:
                if not (self._is_of_machine(error) and self._supplied(order.lock, station, since, supplied)):
                    losses += self._outlived(error, station, order.lock)
                continue
            finally:
                with self._guard:
                    self._waits.making[machine] -= 1
                self._steward.look()
            with self._guard:
                self._learn_address(digest, made.image)
                self._waits.made.setdefault(digest, set()).add(machine)
                self._waits.make_s[digest] = max(made.took_s, self._waits.make_s.get(digest, 0.0))
            return made.image
        raise MachineError(
            f"{_ATTEMPTS} workers were lost while they made {order.lock.environment.name}. What is finished is kept."
        )

    def _is_of_machine(self, error: RunnerError) -> bool:
        """True for an error that a worker may have met for want of files."""
        lost = isinstance(error, LineLostError | WorkerLostError)
        return isinstance(error, MachineError) and not lost and not self._stopping.is_set()

    def _supplied(self, lock: Lock, station: Station, since: int, supplied: set[Station]) -> bool:
        """True where a worker that failed has files now that it lacked; once for each."""
        if station in supplied:
            return False
        supplied.add(station)
        return self._steward.supply.send(station, lock, since)

    def _outlived(self, error: RunnerError, station: Station, lock: Lock) -> int:
        """The number of workers lost by an error after which another try makes sense. Raises it where none does.

        A worker whose machine or configuration fails gets no more work.
        """
        if self._is_of_machine(error):
            error = self._crew.loss_behind(error, station)
        if self._stopping.is_set() or isinstance(error, LineLostError):
            raise error
        if isinstance(error, WorkerLostError):
            self._observer.note(f"{error} {lock.environment.name} is made on another one.")
            return int(error.counts)
        if not isinstance(error, MachineError | UsageError) or not self._crew.exclude(station.address, error):
            raise error
        return 0

    def _await_anybody(self) -> None:
        """Wait as long for a worker, where all are gone, as trials do."""
        client, crew, _ = self._line()
        deadline = time.monotonic() + ALONE_S
        while not crew.stations and client.status == "running" and time.monotonic() < deadline:
            if self._stopping.wait(_LOOK_EVERY_S):
                raise StoppedError

    def _place(self, digest: str) -> Station:
        with self._guard:
            stations = self._waits.eligible(self._crew.stations.values())
            if not stations:
                raise MachineError(_NOBODY)
            having = self._waits.made.get(digest, set())
            return min(
                stations,
                key=lambda one: (
                    one.machine not in having,
                    self._waits.making.get(one.machine, 0),
                    len(one.running),
                    one.name,
                ),
            )

    # -- what it is and has ------------------------------------------------------------------------------------------

    def way(self) -> tuple[EngineKind, str]:
        """The engine that every worker has, and where its base images come from."""
        one = self.any_facts()
        return EngineKind(one.engine), one.base

    def any_facts(self) -> Facts:
        """What some worker is and has: in much they are all alike. Raises MachineError where none has ever been fit."""
        return self._crew.any_facts()

    def facts(self) -> dict[str, Facts]:
        """What each worker is and has, by its name."""
        crew = self._crew
        return {crew.names[address]: one for address, one in tuple(crew.facts.items())}  # who goes, goes at any time

    def unfit(self) -> dict[str, str]:
        """What keeps workers from work, by their name."""
        return self._crew.unfit

    def describe(self) -> str:
        """The workers in one line."""
        client, crew, _ = self._line()
        address = client.scheduler.address if client.scheduler else self._where
        return f"cluster {address}: {crew.describe()}"

    def pythons(self, image: str = "") -> tuple[str, ...]:
        """The CPython minor releases that every worker can provide, newest first; on a named image the one it has.

        Raises MachineError where workers have another image of this name.
        """
        if image:
            self.base_identity(Ground("", image))
            said = self._crew.ask_machines(worker_bench.of_engine, "pythons", image)
            return tuple(next(iter(said.values()), ()))
        with self._guard:
            every = [one.pythons for one in tuple(self._crew.facts.values())]
            if not self._pythons and every:
                self._pythons = tuple(python for python in every[0] if all(python in others for others in every))
            return self._pythons

    def known_identity(self, ground: Ground) -> str | None:
        """What a lock does not pin, where every worker knows it. Raises MachineError where they differ."""
        with self._guard:
            if ground.image and ground not in self._looked_for:  # at the start they did not know of it
                self._looked_for.add(ground)
                said = self._crew.ask_machines(worker_bench.of_engine, "known_identity", *ground)
                self._crew.learn(str(ground), {one: identity for one, identity in said.items() if identity})
        return self._crew.identity(str(ground))

    def base_identity(self, ground: Ground) -> str:
        """What a lock does not pin, had where it is not there yet. Raises MachineError where workers differ."""
        name = str(ground)
        with self._having.setdefault(name, threading.Lock()):
            while (known := self._crew.identity(name)) is None:  # again where a machine joins, or who was asked goes
                self._await_anybody()
                if not self._crew.stations:
                    raise MachineError(f"{_NOBODY} None could say which CPython {ground} it has.")
                self._crew.learn(name, self._crew.ask_machines(worker_bench.of_engine, "base_identity", *ground))
            return known

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where a machine has it; asked once."""
        with self._guard:
            digest = lock.image_digest
            if digest not in self._found:
                found = {
                    address: image
                    for address, image in self._crew.ask_machines(worker_bench.of_engine, "find", lock).items()
                    if image is not None
                }
                machines = {one.machine for address in found if (one := self._crew.stations.get(address))}
                self._waits.made.setdefault(digest, set()).update(machines)
                self._found[digest] = next(iter(found.values()), None)
                for image in found.values():
                    self._learn_address(digest, image)
            return self._found[digest]

    def _learn_address(self, digest: str, image: Image) -> None:
        if self._terms.registry and image.address.startswith(f"{self._terms.registry}/"):
            self._waits.addresses[digest] = image.address

    # -- beginning and end -------------------------------------------------------------------------------------------

    @property
    def _crew(self) -> Crew:
        return self._line()[1]

    @property
    def _steward(self) -> Steward:
        return self._line()[2]

    def _line(self) -> tuple[Client, Crew, Steward]:
        with self._guard:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Client, Crew, Steward]:
        client = connected(self._where)
        steward: Steward | None = None
        try:
            awaited_workers(client, str(client.scheduler_info()["address"]), self._observer.note)
            crew = Crew(client, self._terms, self._observer.note)
            steward = Steward(
                client,
                self._terms,
                crew=crew,
                waits=self._waits,
                supply=Supply(client, crew, self._catalog, self._observer),
                workplace=self._workplace,
                observer=self._observer,
            )
            if self._stopping.is_set():
                crew.stop()
            crew.take(workers_of(client), strictly=True)  # now who goes is heard of, and not waited for
        except BaseException:
            if steward:
                steward.close()
            client.close(timeout=_LET_GO_S)
            raise
        self._observer.note(f"On a cluster: {crew.describe()}.")
        return client, crew, steward

    def stop(self) -> None:
        """End everything of this run on every worker."""
        self._stopping.set()
        if self._opened:
            client, crew, steward = self._opened
            steward.stop()
            self._ending = self._forgotten(client, list(crew.stations))

    def close(self) -> None:
        """Have the workers clean up, and let go of the cluster; a client that was handed in stays open."""
        if self._opened:
            client, crew, steward = self._opened
            self._opened = None
            steward.close()
            ending = self._ending if self._ending is not None else self._forgotten(client, list(crew.stations))
            self._await_quiet(client, ending)
            client.close(timeout=_LET_GO_S)

    def _forgotten(self, client: Client, workers: list[str]) -> list[str]:
        """Have workers end all of this run; those that answer, for one that is cut off finds its tasks taken back."""
        answers = ask(client, worker_bench.forget_run, self._terms.run, workers=workers, answer_s=_STOP_S)
        return [one for one, answer in answers.items() if not isinstance(answer, BaseException)]

    def _await_quiet(self, client: Client, workers: list[str]) -> None:
        """Wait until nothing of this run is under way on workers, for some seconds."""
        deadline = time.monotonic() + _QUIET_S
        while workers and (left_s := deadline - time.monotonic()) > 0:
            answers: dict[str, Any] = ask(
                client, worker_bench.is_at_work, self._terms.run, workers=workers, answer_s=left_s
            )
            workers = [one for one in workers if answers.get(one) is True]
            if workers:
                time.sleep(0.1)
