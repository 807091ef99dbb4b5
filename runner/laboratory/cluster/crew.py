"""The crew: the workers of a cluster that were looked at and found fit, and the tasks that each has.

Who comes later is looked at before it gets work; who goes loses its tasks, which are told as lost at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from distributed.client import ClosedClientError, FuturesCancelledError

from runner.errors import CrowdedError, EngineLostError, MachineError, RunnerError, StoppedError
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.errand import Refusal
from runner.laboratory.cluster.line import ask, differing, refuse_others
from runner.laboratory.cluster.placement import station_of
from runner.laboratory.cluster.worker_slots import drop_unborn
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Client, Future

    from runner.laboratory.cluster.errand import Facts, Terms
    from runner.laboratory.cluster.placement import Station

_GIVEN_UP_S = 60.0
"""So long a scheduler may take to give up a worker that does not answer."""
_LOOK_EVERY_S = 0.25
_FACTS_S = 120.0
"""So long a worker may take to say what it has, before others are looked at."""
_AGAIN_S = 60.0
"""A worker that was not fit is looked at again so much later, or five times as long as the look took."""


class WorkerLostError(EngineLostError):
    """A worker went, and what it was asked for with it; `counts` where it did not announce that."""

    def __init__(self, worker: str, *, counts: bool) -> None:
        self.worker, self.counts = worker, counts
        super().__init__(f"Worker {worker} was lost.")


class LineLostError(MachineError):
    """The scheduler is gone, or took a task back: that is no worker's fault."""


class Crew:
    """The workers of one run. Called from several threads."""

    def __init__(self, client: Client, terms: Terms, say: Callable[[str], None]) -> None:
        """Nobody is looked at yet."""
        self._client, self._terms, self._say = client, terms, say
        self.stopping = threading.Event()
        """Set when all ends: nobody is asked or waited for."""
        self._guard = threading.RLock()
        self._asked = 0
        self._tasks: dict[str, set[Future]] = {}
        self._presence: dict[str, Future] = {}
        """What each worker said first, held as long as it is ours: where that is let go, it sees that home is gone."""
        self._gone: dict[str, bool] = {}
        """The workers that went, by address, and whether that was unannounced."""
        self._losses: dict[Station, WorkerLostError] = {}
        self._taken_back: dict[Future, WorkerLostError] = {}
        """The tasks that were lost with their workers: by now there may be another one at the same address."""
        self._settled: dict[str, str] = {}
        """What a lock does not pin, by CPython, as this run's trials have it: it stays, whoever comes and goes."""
        self._excluded: dict[str, Station | None] = {}
        """The workers that get no work, by address."""
        self._again_at: dict[str, float] = {}
        """When those of them are looked at again whose fault may pass."""
        self._said_of: dict[str, str] = {}
        self._slow: dict[str, Future] = {}
        """What workers that took long were asked first: they may answer yet."""
        self.names: dict[str, str] = {}
        self.facts: dict[str, Facts] = {}
        self._any_facts: Facts | None = None
        self.stations: dict[str, Station] = {}

    def take(self, found: Mapping[str, Mapping[str, Any]], *, strictly: bool) -> None:
        """Look at workers, and have those that are fit.

        Raises RunnerError for one that has another version or is not like the others, `strictly`; else each is looked
        at by itself, and one that is not fit is told of, once, and looked at again later: that may pass. Whose own
        engine or configuration fails is told of, and others go on without it.
        """
        if not strictly and len(found) > 1:
            for address, one in found.items():
                self.take({address: one}, strictly=False)
            return
        new = {one: told for one, told in found.items() if not (one in self.stations or self._is_excluded(one))}
        if not new:
            return
        names = _names(new)
        begun = time.monotonic()
        with self._guard:
            self.names |= names
            for address in new:
                self._gone.pop(address, None)
        try:
            refuse_others(self._client, names, self.stopping)
            facts = self._looked_at(names)
            self._refuse_differences({**self.facts, **facts})
        except RunnerError as error:
            if strictly:
                raise
            for address in new:
                self._leave_out(address, error, begun)
            return
        with self._guard:
            for address, said in facts.items():
                if address not in self._gone and address not in self.stations:  # looked at twice, it has trials already
                    self.facts[address] = self._any_facts = said
                    before = self._excluded.pop(address, None)  # its trials may still be there
                    self.stations[address] = before or station_of(address, names[address], said, new[address])
                    self._again_at.pop(address, None)
                    self._said_of.pop(address, None)

    def _looked_at(self, names: Mapping[str, str]) -> dict[str, Facts]:
        """What workers are and have, those that can say it. Raises the RunnerError of one where none can."""
        facts: dict[str, Facts] = {}
        errors: dict[str, RunnerError] = {}
        begun = time.monotonic()
        ask(self._client, drop_unborn, workers=list(names), ends=self.stopping.is_set)
        futures = {
            address: self._slow.pop(address, None) or self.submit(address, worker_bench.facts, self._terms)
            for address in names
        }
        for address, future in futures.items():
            try:
                facts[address] = self.answer(address, future, within_s=_FACTS_S)
                self._presence[address] = future
            except RunnerError as met:
                errors[address] = met
        if not facts and not self.stations:
            raise next(iter(errors.values()))
        for address, error in errors.items():
            self._leave_out(address, error, begun)
        return facts

    def _leave_out(self, address: str, error: RunnerError, begun: float) -> None:
        """Give a worker that was looked at no work, and say so, once; it is looked at again later."""
        with self._guard:
            if address in self._gone:
                return
            self._excluded.setdefault(address)
            now = time.monotonic()
            self._again_at[address] = now + max(_AGAIN_S, 5 * (now - begun))
            is_known = self._said_of.get(address) == str(error)
            self._said_of[address] = str(error)
        if not is_known:
            self._say(f"{self.names[address]} gets no work: {error}")

    @property
    def unfit(self) -> dict[str, str]:
        """What keeps workers from work that were looked at, by name."""
        with self._guard:
            return {self.names[address]: said for address, said in self._said_of.items()}

    def _is_excluded(self, address: str) -> bool:
        """True for a worker that gets no work, now."""
        return address in self._excluded and time.monotonic() < self._again_at.get(address, math.inf)

    def leave(self, address: str, *, counts: bool) -> bool:
        """Take note that a worker went; true where it had work of ours or could have."""
        with self._guard:
            self._gone[address] = counts
            idle = self._excluded.pop(address, None)  # who comes under its address is another one
            known = self.stations.pop(address, None)
            self.facts.pop(address, None)
            for known_of in (self._presence, self._again_at, self._said_of, self._slow):
                known_of.pop(address, None)
            tasks = self._tasks.pop(address, set())
            loss = WorkerLostError(self.names.get(address, address), counts=counts)
            self._taken_back |= dict.fromkeys(tasks, loss)
            self._losses |= dict.fromkeys(filter(None, (known, idle)), loss)
        for future in tasks:
            future.cancel(reason="worker lost")
        return known is not None

    def submit(self, address: str, function: Callable[..., Any], *values: object) -> Future:
        """Have a worker do something, which nobody else does in its place.

        Raises MachineError without a scheduler, StoppedError in a run that stops.
        """
        with self._guard:
            if self.stopping.is_set():
                raise StoppedError
            self._asked += 1
            key = f"{function.__name__}-{self._terms.run}-{self._asked}"
            try:
                future = self._client.submit(
                    function, *values, key=key, workers=[address], allow_other_workers=False, pure=False
                )
            except ClosedClientError as error:
                raise self.line_loss() from error
            if went := address in self._gone:
                self._taken_back[future] = WorkerLostError(self.names[address], counts=self._gone[address])
            else:
                self._tasks.setdefault(address, set()).add(future)
        if went:
            future.cancel(reason="worker lost")
        return future

    def answer(self, address: str, future: Future, *, within_s: float | None = None) -> Any:
        """What a task came to. Raises the RunnerError that it met, WorkerLostError where its worker went meanwhile.

        One that stops by itself is about to leave. One that takes longer than it may is kept, to be asked for later.
        """
        is_slow = False
        try:
            result = future.result(within_s)
        except (CancelledError, FuturesCancelledError) as error:
            raise self._why_taken_back(future) from error
        except RunnerError:
            raise
        except Exception as error:
            is_slow = within_s is not None and not future.done()
            if is_slow:
                self._slow[address] = future
                raise MachineError(f"Worker {self.names[address]} did not answer within {within_s:.0f} s.") from error
            failed = MachineError(f"Worker {self.names[address]} failed: {error!r}. Its own log says more.")
            raise CrowdedError.behind(error) or failed from error
        finally:
            if not is_slow:
                with self._guard:
                    self._tasks.get(address, set()).discard(future)
                    self._taken_back.pop(future, None)
        if not isinstance(result, Refusal):
            return result
        met = result.error(self.names[address])
        if isinstance(met, StoppedError) and not self.stopping.is_set():
            met = WorkerLostError(self.names[address], counts=False)
            self.exclude(address, met)
        raise met

    def exclude(self, address: str, error: RunnerError) -> bool:
        """Give a worker no more work, for an error that it met; false where that ends the run: no other one is left.

        One whose machine is crowded is looked at again later.
        """
        for_now = isinstance(error, CrowdedError)
        with self._guard:
            station = self.stations.pop(address, None)
            self.facts.pop(address, None)
            self._excluded[address] = station or self._excluded.get(address)
            self._again_at[address] = time.monotonic() + _AGAIN_S if for_now else math.inf
            goes_on = for_now or bool(self.stations)
        if station is not None and goes_on:
            self._say(f"{station.name} gets no {'work for now' if for_now else 'more work'}: {error}")
        return goes_on

    def stop(self) -> None:
        """Take back all that was asked: whoever waits for an answer hears at once, and each worker sees it too."""
        self.stopping.set()
        with self._guard, contextlib.suppress(ClosedClientError):  # where the scheduler is gone nobody is to be told
            for own in self._tasks.values():
                for future in own:
                    future.cancel(reason="the run is over")

    def _why_taken_back(self, future: Future) -> RunnerError:
        """The error for a task that was taken back: the run stops, its worker went, or the scheduler did."""
        if self.stopping.is_set():
            return StoppedError()
        with self._guard:
            return self._taken_back.get(future) or self.line_loss()

    def end_of(self, station: Station) -> Callable[[], bool]:
        """Tells whether a worker is not to be waited for any more: it went, or all ends."""
        return lambda: self.stopping.is_set() or station in self._losses

    def loss_behind(self, error: RunnerError, station: Station) -> RunnerError:
        """The loss of a worker where an error came of that; the error itself where the worker answers.

        One that does not is waited for, till its scheduler has given it up.
        """
        deadline = time.monotonic() + _GIVEN_UP_S
        if station not in self._losses:
            answers = ask(self._client, os.getpid, workers=[station.address], ends=self.end_of(station))
            if isinstance(answers.get(station.address), int):
                return error
        while station not in self._losses and time.monotonic() < deadline:
            if self.stopping.wait(_LOOK_EVERY_S):
                return StoppedError()
        return self._losses.get(station, error)

    @staticmethod
    def line_loss() -> LineLostError:
        """The error for a scheduler that does not answer any more."""
        return LineLostError(
            "The scheduler of the cluster is gone, or took a task back. What is finished is kept: start it, and the"
            " same command goes on from there."
        )

    def went(self, address: str) -> bool:
        """True where a worker is not there any more."""
        return address in self._gone

    def of_machines(self) -> list[str]:
        """The address of one worker of each machine."""
        return list({station.machine: address for address, station in tuple(self.stations.items())}.values())

    def ask_machines(self, function: Callable[..., Any], *values: object) -> dict[str, Any]:
        """What a function gives on one worker of each machine, by address; one that goes meanwhile gives nothing.

        One that fails gets no more work. Raises the RunnerError of the last one.
        """
        answers = {}
        futures = {address: self.submit(address, function, self._terms, *values) for address in self.of_machines()}
        for address, future in futures.items():
            try:
                answers[address] = self.answer(address, future)
            except WorkerLostError:
                continue
            except RunnerError as error:
                if self.stopping.is_set() or isinstance(error, LineLostError) or not self.exclude(address, error):
                    raise
        return answers

    def any_facts(self) -> Facts:
        """What some worker is and has, whether or not it is still there; in what all must share they are alike."""
        found = next(iter(tuple(self.facts.values())), self._any_facts)
        if found is None:
            raise MachineError("No worker of the cluster was fit for work.")
        return found

    def describe(self) -> str:
        """The workers in one line."""
        facts, stations = tuple(self.facts.values()), tuple(self.stations.values())
        machines = Counter(one.host for one in facts)
        slots = sum(station.processors for station in stations)
        kinds = {one.described for one in facts}
        if len(kinds) > 1:  # each has its own folders
            kinds = {f"{one.engine} {one.base}".strip() for one in facts}
        return (
            f"{counted(len(stations), 'worker')} on {counted(len(machines), 'host')} with"
            f" {counted(slots, 'processor')}: {', '.join(sorted(kinds))}"
        )

    def identity(self, ground: str) -> str | None:
        """What a lock does not pin, of what it stands on; None where not every worker knows it.

        Raises MachineError, with which worker has which, where they differ.
        """
        with self._guard:
            if ground in self._settled:
                return self._settled[ground]
            known = {self.names[address]: one.identities.get(ground) for address, one in self.facts.items()}
        told = {name: identity for name, identity in known.items() if identity is not None}
        if len(set(told.values())) > 1:
            raise differing(
                f"builds of CPython {ground}",
                told,
                "Trials would not be comparable: give all the same base images (or interpreters), or name the workers"
                " that are alike.",
            )
        if not told or len(told) < len(known):
            return None
        return self._settled.setdefault(ground, next(iter(told.values())))

    def learn(self, ground: str, identities: Mapping[str, str]) -> None:
        """Keep what workers of some machines said, for all workers of these machines."""
        with self._guard:
            by_machine = {self.stations[one].machine: text for one, text in identities.items() if one in self.stations}
            for one in self.facts.values():
                if one.machine in by_machine:
                    object.__setattr__(one, "identities", {**one.identities, ground: by_machine[one.machine]})

    def _refuse_differences(self, facts: Mapping[str, Facts]) -> None:
        kinds = {self.names[address]: f"{one.engine} {one.base}".strip() for address, one in facts.items()}
        for address, one in facts.items():
            for ground, identity in self._settled.items():
                if one.identities.get(ground, identity) != identity:
                    builds = {self.names[address]: one.identities[ground], "this run": identity}
                    raise differing(f"builds of CPython {ground}", builds, "It would not be comparable.")
        if len(set(kinds.values())) > 1:
            raise differing("engines", kinds, "Name one that all have: --engine venv, --engine docker --base registry.")
        platforms = {self.names[address]: one.platform for address, one in facts.items()}
        if len(set(platforms.values())) > 1:
            raise differing("platforms", platforms, "Name one (`platform: linux/amd64`): docker emulates it elsewhere.")


def _names(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The name of each worker as people know it: its own, and its host where that is only an address or number."""
    names = {}
    for address, one in workers.items():
        name = str(one.get("name") or address)
        names[address] = address.partition("://")[2] if name == address else name
        if name.isdigit():
            names[address] = f"{one.get('host', address)}#{name}"
    return names
