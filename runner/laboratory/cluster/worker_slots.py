"""What a worker has to give: processors and GPUs, which it shares with the other workers of its host, and threads."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import secede
from distributed.threadpoolexecutor import ThreadPoolExecutor, threads_lock

from runner.cache import cache_folder, locked
from runner.engines.protocol import Slot
from runner.errors import MachineError
from runner.plurals import counted
from runner.runner_mark import this_boot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from distributed import Worker

    from runner.engines.gpu import Gpu
    from runner.laboratory.cluster.errand import Errand

Thing = TypeVar("Thing")


def available() -> list[int]:
    """The processors that this worker may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def slot_for(errand: Errand, gpus: Sequence[Gpu]) -> Iterator[Slot]:
    """The processors and GPUs of a trial: those that no other worker of this host has given away, while there are.

    Raises MachineError where no GPU is free: home asks for no more than there are.
    """
    folder = _given_away() / this_boot()
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as held:
        every = available()
        mine = _free(held, folder, {str(one): one for one in every}, errand.processors)
        cpus = tuple([*mine, *(one for one in every if one not in mine)][: errand.processors])
        shares = {f"gpu-{gpu.id}-{share}": gpu for share in range(errand.trials_per_gpu) for gpu in gpus}
        devices = _free(held, folder, shares, errand.gpus)
        if len(devices) < errand.gpus:
            raise MachineError(f"{counted(errand.gpus, 'GPU')} of {len(gpus)} are not free for a trial.")
        yield Slot(cpus=cpus, gpus=tuple(devices))


def _given_away() -> Path:
    """Where this user's workers of a host, whatever their caches, lock what they have given away.

    The cache is, where that place is another user's.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    shared = Path(tempfile.gettempdir(), f"convergence-matrix-slots-{user}")
    with contextlib.suppress(OSError):
        shared.mkdir(mode=0o700, exist_ok=True)
        found = shared.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user:
            return shared
    own = cache_folder() / "slots"
    own.mkdir(exist_ok=True)
    return own


def _free(held: contextlib.ExitStack, folder: Path, every: Mapping[str, Thing], number: int) -> list[Thing]:
    """The first so many that nobody holds, held from now on; each once."""
    mine: list[Thing] = []
    for name, one in every.items():
        if len(mine) < number and one not in mine and held.enter_context(locked(folder / name)):
            mine.append(one)
    return mine


def step_aside(worker: Worker) -> None:
    """Have this task's thread counted no more, and another one take its place among those of a worker.

    Raises RuntimeError where none can be started for now.
    """
    try:
        secede()
    except RuntimeError:
        drop_unborn(worker)
        raise


def drop_unborn(dask_worker: Worker | None = None) -> None:
    """Forget the threads of a worker that could not be started, and start others for what waits for one.

    Dask counts them as there, so that a worker of two threads on a crowded machine had none any more after two tasks,
    and began no other one for ever, while it answered all questions. Asked by home, it runs in the thread that answers.
    """
    executors: Mapping[str, Any] = dask_worker.executors if dask_worker else {}
    for executor in executors.values():
        if not isinstance(executor, ThreadPoolExecutor):
            continue
        threads, waits = executor._threads, executor._work_queue  # noqa: SLF001 - Dask itself never looks again
        with threads_lock:
            threads.difference_update([one for one in tuple(threads) if one.ident is None])
            for _ in range(0 if any(one.is_alive() for one in threads) else waits.qsize()):
                try:
                    executor._adjust_thread_count()  # noqa: SLF001
                except RuntimeError:
                    threads.difference_update([one for one in tuple(threads) if one.ident is None])
                    break
