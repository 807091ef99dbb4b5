"""The line to a cluster: a client of its scheduler, the workers that it has, and questions to all of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import platform
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed import Client, Security
from distributed.comm import connect, normalize_address

from runner.errors import MachineError, NoEngineError, UsageError
from runner.trials.trial import probe_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONNECT_S = 10.0
WORKERS_S = 60.0
"""So long workers are waited for where a scheduler has none."""
ANSWER_S = 10.0
_LOOK_EVERY_S = 0.25


def connected(where: str | Client) -> Client:
    """A client of a scheduler, for this run alone; TLS as distributed's own configuration says.

    A client that was handed in says where its scheduler is and how it is spoken to: what is heard on it, and what its
    owner asks of it, stays the owner's, who may hand it to several runs at once.

    Raises NoEngineError where no scheduler answers.
    """
    if isinstance(where, str):
        address, security = where, Security()
    elif where.scheduler is None:
        raise NoEngineError("The client that was handed in is closed. Hand in one that is connected.")
    else:
        address, security = str(where.scheduler.address), where.security
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it met is told once, by us
    try:
        if not address.startswith("inproc:"):  # that is this process
            with ThreadPoolExecutor(1, "knock") as beside:  # whoever calls may have a loop of his own
                beside.submit(asyncio.run, _knock(address, security)).result()
        return Client(address, security=security, timeout=CONNECT_S, set_as_default=False, name="convergence-matrix")
    except (OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:  # SSH's first words are a huge size
        remedy = (
            "Is it started with TLS, and does distributed's configuration here name its certificates"
            " (`DASK_DISTRIBUTED__COMM__TLS__CA_FILE`, `…__CLIENT__CERT`, `…__CLIENT__KEY`)?"
            if address.startswith("tls:")
            else "Is it started (`dask scheduler`), and does `--cluster` name its address, such as tcp://10.0.0.1:8786?"
        )
        met = str(error).strip().rstrip(".") or type(error).__name__
        raise NoEngineError(f"No scheduler answers at {address}: {met}. {remedy}") from error


async def _knock(address: str, security: Security) -> None:
    """Connect once, since a client that could not tells of it with a traceback when it is forgotten."""
    how = security.get_connection_args("client")
    comm = await connect(normalize_address(address), timeout=CONNECT_S, **how)
    await comm.close()


def workers_of(client: Client) -> dict[str, dict[str, Any]]:
    """The workers that the scheduler has now, by address."""
    return dict(client.scheduler_info(n_workers=-1)["workers"])


def awaited_workers(client: Client, where: str, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The workers of a scheduler, waited for where it has none yet. Raises NoEngineError where none comes."""
    deadline = time.monotonic() + WORKERS_S
    is_told = False
    while not (found := workers_of(client)):
        if time.monotonic() > deadline:
            raise NoEngineError(
                f"The scheduler at {where} has no workers, {WORKERS_S:.0f} s on. Start some: `dask worker {where}` on"
                " every machine, in an environment with this tool."
            )
        if not is_told:
            say(f"The scheduler at {where} has no workers yet; waiting {WORKERS_S:.0f} s for the first.")
            is_told = True
        time.sleep(_LOOK_EVERY_S)
    return found


def ask(
    client: Client,
    function: Callable[..., Any],
    *values: object,
    workers: Sequence[str],
    answer_s: float = ANSWER_S,
    ends: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """What a quick function gives on some workers, by address; of one that is gone or does not answer, nothing.

    It runs in the thread in which a worker answers everybody. What it raises there is given as a value. Each is asked
    by itself, so that one that is cut off keeps no other one's answer; once `ends` says so none is waited for.
    """
    came: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()

    def asking(worker: str) -> None:
        try:
            came.put((worker, client.run(function, *values, workers=[worker], on_error="return")))
        except Exception as error:  # noqa: BLE001 - whoever asks finds no answer
            came.put((worker, {worker: error}))

    for worker in workers:
        threading.Thread(target=asking, args=(worker,), name="question to a worker", daemon=True).start()
    answers: dict[str, Any] = {}
    asked = set(workers)
    deadline = time.monotonic() + answer_s
    while asked and (left_s := deadline - time.monotonic()) > 0 and not ends():
        with contextlib.suppress(queue.Empty):
            worker, said = came.get(timeout=min(left_s, _LOOK_EVERY_S))
            asked.discard(worker)
            answers.update(said)
    return answers


def refuse_others(client: Client, names: Mapping[str, str], stopping: threading.Event) -> None:
    """Raise UsageError where a worker lacks this tool, or has another version of it or of CPython.

    What is asked travels by its name: code of this CPython could end another one. What this tool has is asked where
    it is.
    """
    asked = partial(ask, client, answer_s=WORKERS_S, ends=stopping.is_set)
    pythons = asked(platform.python_version, workers=list(names))
    mine = platform.python_version()
    others = [
        f"worker {names[address]} has {theirs}"
        for address, theirs in pythons.items()
        if isinstance(theirs, str) and _minor(theirs) != _minor(mine)
    ]
    if others:
        raise UsageError(
            f"This machine has CPython {mine}, and {'; '.join(sorted(others))}. Give all the same minor release: values"
            " travel between equal ones only."
        )
    answering = [address for address in names if address in pythons]
    versions = asked(importlib.metadata.version, "convergence-matrix", workers=answering)
    having = [address for address, theirs in versions.items() if isinstance(theirs, str)]
    probes = asked(probe_version, workers=having) if having else {}
    ours = importlib.metadata.version("convergence-matrix"), probe_version()
    wrong = []
    silent = {address for address in names if not isinstance(probes.get(address), str)}
    gone = silent - set(workers_of(client)) if silent else silent
    for address, name in names.items():
        if address in gone:
            continue
        theirs: tuple[object, object] = versions.get(address), probes.get(address)
        failed = next((one for one in theirs if isinstance(one, BaseException)), None)
        if isinstance(failed, ImportError):  # a package that is not there is one
            wrong.append(f"worker {name} has no convergence-matrix in its environment ({failed})")
        elif failed is not None:
            wrong.append(f"worker {name} could not say its version ({failed!r})")
        elif None in theirs:
            wrong.append(f"worker {name} did not say its version within {WORKERS_S:.0f} s")
        elif theirs != ours:
            wrong.append(f"worker {name} has {_told(theirs)}")
    if wrong:
        raise UsageError(
            f"This machine has convergence-matrix {_told(ours)}, and {'; '.join(sorted(wrong))}. Install the same"
            " version everywhere: trials are told apart by it."
        )


def _minor(python: str) -> str:
    return python.rpartition(".")[0]


def _told(version: tuple[object, object]) -> str:
    return f"{version[0]} (probe {version[1]})"


def differing(what: str, by_worker: Mapping[str, str], remedy: str) -> MachineError:
    """The error for workers that differ in what they must not: which has which."""
    groups: dict[str, list[str]] = {}
    for worker, value in sorted(by_worker.items()):
        groups.setdefault(value, []).append(worker)
    told = "; ".join(f"{value} on {', '.join(workers)}" for value, workers in groups.items())
    return MachineError(f"The workers of the cluster have different {what}: {told}. {remedy}")
