"""What home sends to a worker beside an errand: data, and the wheels of an environment that the worker can't fetch."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from runner.environments.file_store import obtain, stored
from runner.environments.own_project import own_file
from runner.environments.wheelhouse import best_file
from runner.errors import MachineError, RunnerError
from runner.laboratory.cluster import worker_files
from runner.laboratory.cluster.line import ANSWER_S, ask
from runner.trials.trial import files_below

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distributed import Client

    from runner.environments.index.catalog import Catalog
    from runner.environments.lock import Lock, LockedPackage
    from runner.laboratory.cluster.crew import Crew
    from runner.laboratory.cluster.placement import Station
    from runner.laboratory.request import Watcher
    from runner.trials.trial import Setting

PIECE_BYTES = 4 * 1024**2
_READ_A_SECOND = 20 * 1000**2
"""So many bytes a worker reads at least, to see that they arrived as they are."""
_at_work: dict[tuple[str, str], threading.Lock] = {}
"""Held while data is sent, by machine and digest: who comes next finds it there."""


class Cargo:
    """The way of files from home to one worker."""

    def __init__(
        self,
        client: Client,
        address: str,
        name: str,
        *,
        ends: Callable[[], bool],
        machine: str = "",
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """Send nothing yet; `name` is the worker's, and what is sent once a machine needs to know that.

        When `ends` says so, no answer is waited for any more.
        """
        self._client, self._address, self._name, self._piece_bytes = client, address, name, piece_bytes
        self._machine, self._ends = machine or address, ends

    def send_data(self, setting: Setting) -> None:
        """Send all data of a trial, once a machine. Raises MachineError where it does not arrive as it is."""
        digest = setting.data_digest
        with _at_work.setdefault((self._machine, digest), threading.Lock()):
            if self._asked(worker_files.has_data, digest) is not True:
                self._send_data(setting)

    def _send_data(self, setting: Setting) -> None:
        token = secrets.token_hex(8)
        sent = 0
        for number, mount in enumerate(setting.mounts):
            for file in files_below(mount.source):
                below = "" if file == mount.source else f"/{file.relative_to(mount.source).as_posix()}"
                sent += self._send(file, f"{token}/{number}{below}")
        asked = setting.mounts, setting.data_digest, token
        if self._asked(worker_files.keep_data, *asked, for_bytes=sent) is not True:
            raise MachineError(f"The data did not arrive on worker {self._name} as it is here.")

    def send_files(self, lock: Lock, catalog: Catalog, say: Callable[[str], None]) -> int:
        """Send the files of a lock that a worker lacks, fetched here where need be; how many.

        Raises MachineError where they can't be had here either.
        """
        lacking = set(self._asked(worker_files.lacking, worker_files.files_of(lock)))
        for package in lock.packages:
            if package.name in lacking:
                self._send_file(_file(package, lock, catalog, say), say)
        if (own := lock.environment.own) and own.name in lacking:
            self._send_file(own_file(own), say)
        return len(lacking)

    def _send_file(self, file: Path, say: Callable[[str], None]) -> None:
        path = f"{secrets.token_hex(8)}/{file.name}"
        say(f"sending {file.name} to worker {self._name}")
        sent = self._send(file, path)
        if self._asked(worker_files.keep_file, path, file.parent.name, for_bytes=sent) is not True:
            raise MachineError(f"{file.name} did not arrive on worker {self._name} as it is here.")

    def _send(self, file: Path, path: str) -> int:
        """Send a file; its bytes."""
        offset = 0
        with file.open("rb") as stream:
            while (piece := stream.read(self._piece_bytes)) or not offset:
                self._asked(worker_files.take_piece, path, offset, piece)
                offset += len(piece)
                if not piece:
                    break
        return offset

    def _asked(self, function: Callable[..., Any], *values: object, for_bytes: int = 0) -> Any:
        patience = ANSWER_S + for_bytes / _READ_A_SECOND
        place = [self._address]
        answers = ask(self._client, function, *values, workers=place, answer_s=patience, ends=self._ends)
        if self._address not in answers:
            raise MachineError(f"Worker {self._name} does not answer, and takes no files.")
        answer = answers[self._address]
        if isinstance(answer, BaseException):
            raise MachineError(f"Worker {self._name} does not take files: {answer!r}.")
        return answer


class Supply:
    """Sends the workers of a run the files of locks that they can't fetch: to each machine for one lock at a time."""

    def __init__(self, client: Client, crew: Crew, catalog: Callable[[], Catalog], observer: Watcher) -> None:
        """Send nothing yet."""
        self._client, self._crew, self._catalog, self._observer = client, crew, catalog, observer
        self._sent: Counter[str] = Counter()
        self._sending: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def sent(self, machine: str) -> int:
        """The number of files that a machine was sent till now."""
        return self._sent[machine]

    def send(self, station: Station, lock: Lock, since: int) -> bool:
        """Send the files of a lock that a worker lacks, whose index may not have them.

        True where its machine was sent some after the first `since`, by this call or for another trial: what failed
        for want of them may not fail again. False where it lacks none, does not take them, or they can't be had here.
        """
        if self._crew.stations.get(station.address) is not station:
            return False
        cargo = Cargo(self._client, station.address, station.name, ends=self._crew.end_of(station))
        say = partial(self._observer.environment, lock.environment.name)
        with self._sending[station.machine]:
            try:
                self._sent[station.machine] += cargo.send_files(lock, self._catalog(), say)
            except RunnerError as error:
                if not self._crew.end_of(station)():
                    self._observer.note(str(error))
                return False
            return self._sent[station.machine] > since


def _file(package: LockedPackage, lock: Lock, catalog: Catalog, say: Callable[[str], None]) -> Path:
    here = [path for text in package.hashes if (path := stored(text.removeprefix("sha256:")))]
    return here[0] if here else obtain(best_file(package, lock, catalog), catalog.connection, say)
