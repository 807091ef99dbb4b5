"""A client of a Dask scheduler in which each worker answers at once what a test says, and the crew that it has."""

from __future__ import annotations

import importlib.metadata
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from distributed.client import ClosedClientError
from waiting import PATIENCE_S

from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.crew import Crew
from runner.laboratory.cluster.errand import Facts, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TERMS = Terms(run="run", engine="venv", base="auto")
VERSION = importlib.metadata.version("convergence-matrix")


class Answered(Future[Any]):
    """A task that ended; `afterwards` happens as its answer is taken."""

    afterwards: Callable[[], None]

    def cancel(self, reason: str = "") -> bool:
        return super().cancel()

    def result(self, timeout: float | None = None) -> Any:
        self.afterwards()
        return super().result(PATIENCE_S)


class AnsweringClient:
    """A client whose workers answer at once, by address."""

    status = "running"

    def __init__(self, versions: Mapping[str, str] | None = None) -> None:
        self.versions = versions or {}
        self.is_closed = False
        self.names = ["one"]
        self.heard: dict[str, Callable[[object], None]] = {}
        self.afterwards: Callable[[], None] = lambda: None
        self.answers: Callable[[str, str], Any] = lambda _, address: facts(address)

    def close(self, timeout: float) -> None:
        self.is_closed = True

    def run(self, function: Any, *_: object, workers: list[str], on_error: str) -> dict[str, object]:
        if function.__name__ != "version":
            return {one: function() for one in workers}
        return {one: self.versions.get(one, VERSION) for one in workers}

    def scheduler_info(self, n_workers: int = 5) -> dict[str, Any]:
        return {"address": "tcp://scheduler", "workers": workers(*self.names)}

    def subscribe_topic(self, topic: str, handler: Callable[[object], None]) -> None:
        self.heard[topic] = handler

    def unsubscribe_topic(self, topic: str) -> None:
        del self.heard[topic]

    def submit(self, function: Any, *asked: Any, workers: list[str], **__: object) -> Future[Any]:
        if self.is_closed:
            raise ClosedClientError("Client is closed.")
        future = Answered()
        future.afterwards = self.afterwards
        future.set_result(
            self.answers(asked[1] if function is worker_bench.of_engine else function.__name__, workers[0])
        )
        return future


def facts(machine: str, **identities: str) -> Facts:
    return Facts(
        host="host",
        machine=machine,
        engine="venv",
        base="",
        described="venv",
        platform="linux/amd64",
        emulated="",
        pythons=("3.11",),
        identities=identities,
        processors=1,
        memory_bytes=1,
        free_bytes=1,
    )


def crew_of(client: AnsweringClient, told: list[str] | None = None) -> Crew:
    return Crew(client, TERMS, (told if told is not None else []).append)  # type: ignore[arg-type]


def workers(*names: str) -> dict[str, dict[str, Any]]:
    return {f"tcp://{name}": {"name": name, "nthreads": 1} for name in names}
