"""The bench of one run on one worker: opened with the first errand, closed when home is done with it, or gone.

Everything here runs in a worker's process. Home is known to be there by its tasks: the scheduler takes them back when
their client is gone, whether that was interrupted, killed or cut off. So a task that is not wanted any more ends all.
"""

from __future__ import annotations

import contextlib
import pickle
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from distributed import Status, get_worker

from runner.cache import cache_folder, locked
from runner.engines.choice import open_engine
from runner.errors import CrowdedError, MachineError, RunnerError, StoppedError
from runner.laboratory.bench import Bench, ImageOrder
from runner.laboratory.cluster.errand import Facts, Finished, Made, Refusal
from runner.laboratory.cluster.worker_files import local_mounts, sweep_coming, sweep_folders
from runner.laboratory.cluster.worker_slots import available, drop_unborn, slot_for, step_aside
from runner.laboratory.equipment import Equipment, open_catalog
from runner.laboratory.executor import TrialOrder
from runner.laboratory.request import Silence
from runner.own_folder import remove
from runner.runner_mark import this_boot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from distributed import Worker

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Engine, Image, Slot
    from runner.laboratory.cluster.errand import Errand, Terms

Answer = TypeVar("Answer")
_LOOK_EVERY_S = 0.5
_IDLE_S = 120.0
"""A bench that nobody asked for so long is closed; the next errand opens it again."""
_WANTED = frozenset({"executing", "long-running"})
_SERVING = frozenset({Status.init, Status.running, Status.paused})
_benches: dict[str, WorkerBench] = {}
_ended: set[str] = set()
"""The runs that were stopped: what comes late is refused."""
_guard = threading.Lock()


class Echo(Silence):
    """Sends home what is said of environments."""

    def __init__(self, worker: Worker, run: str) -> None:
        """Send to the topic of a run."""
        self._worker, self._run = worker, run

    def note(self, text: str) -> None:
        """Send a line about the whole run."""
        self._worker.log_event(topic_of(self._run), {"note": text})

    def environment(self, name: str, text: str) -> None:
        """Send a step in the making of an environment."""
        self._worker.log_event(topic_of(self._run), {"environment": name, "text": text})


def topic_of(run: str) -> str:
    """The topic of a run's events."""
    return f"convergence-matrix-{run}"


class WorkerBench:
    """A bench, and what is under way on it."""

    def __init__(self, terms: Terms, worker: Worker) -> None:
        """Open no engine yet; look from now on whether what is under way is still wanted."""
        self._worker, self._terms = worker, terms
        self._opening = threading.Lock()
        self._opened: Engine | None = None
        self._folder = Path(worker.local_directory) / f"convergence-matrix-{terms.run}"
        self.equipment = Equipment(
            self._folder,
            engine=self._engine,
            catalog=lambda: open_catalog(terms.undated, terms.indexes),
            observer=Echo(worker, terms.run),
        )
        self.bench = Bench(self.equipment)
        self.under_way: set[str] = set()
        self.kept: set[str] = set()
        """The tasks that ended, and whose artifacts home has not dropped: while it holds one, it is fetching them."""
        self.presence = ""
        """The task that told home what is here: home holds its answer as long as it is there."""
        self.last_asked = time.monotonic()
        self._closed = threading.Event()
        self._images: dict[str, Image] = {}
        self._held = contextlib.ExitStack()
        self._same: Slot | None = None
        """The slot of all trials that run in turn, which is held till this is closed."""
        threading.Thread(target=self._watch, name="convergence-matrix watch", daemon=True).start()

    def _engine(self) -> Engine:
        """The engine, opened once, however many tasks come first together: what one has begun, `stop` must end."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open_engine()
            return self._opened

    def _open_engine(self) -> Engine:
        engine, note = open_engine(
            self._terms.engine, base=self._terms.base, runtime=self._terms.runtime, platform=self._terms.platform
        )
        for line in note.splitlines():
            self.equipment.observer.note(f"{self._worker.name}: {line}")
        engine.sweep()  # what a killed worker of this machine left
        sweep_folders(Path(self._worker.local_directory))
        sweep_coming()
        return engine

    @contextlib.contextmanager
    def at_work(self, key: str) -> Iterator[None]:
        """Take note that a task is under way."""
        self.under_way.add(key)
        try:
            yield
        finally:
            self.under_way.discard(key)
            self.last_asked = time.monotonic()

    def image(self, order: ImageOrder) -> Image:
        """A lock made runnable here, once a machine."""
        digest = order.lock.image_digest
        if digest not in self._images or order.again:
            folder = cache_folder() / "making"
            folder.mkdir(exist_ok=True)
            with locked(folder / digest[:32], stopping=self.equipment.stopping):
                self._images[digest] = self.bench.image(order)
        return self._images[digest]

    def pushed(self, image: Image) -> Image:
        """The image where other workers can pull it, if there is such a place."""
        if self._terms.registry:
            try:
                return self.equipment.engine.push(image, self._terms.registry)
            except MachineError as error:
                self.equipment.observer.note(f"{self._worker.name}: {error} Other workers make it themselves.")
        return image

    def run(self, errand: Errand) -> Finished:
        """Run a trial; its artifacts stay here until home has them."""
        setting = errand.trial.setting
        image = self.image(ImageOrder(lock=setting.lock, address=errand.address))
        if (image.engine, image.base_identity) != (setting.engine, setting.base_identity):
            raise MachineError(
                f"it has {image.engine.value} with {image.base_identity}, and the trial is to run under"
                f" {setting.engine.value} with {setting.base_identity}."
            )
        trial = replace(errand.trial, setting=replace(setting, mounts=local_mounts(setting, self._terms.run)))
        with self._slot(errand) as slot:
            record = self.bench.run(TrialOrder(trial=trial, image=image), slot)
        place = self.equipment.workplace
        log, kept = place.log(record.key).read_bytes(), place.artifacts(record.key)
        artifacts = tuple((name, (kept / name).stat().st_size) for name in record.artifacts)
        if not artifacts:
            place.forget(record.key)
        return Finished(record=record, log=log, artifacts=artifacts)

    def _slot(self, errand: Errand) -> AbstractContextManager[Slot]:
        """The processors and GPUs of a trial; of those that run in turn the same, and nobody else's in between."""
        gpus = self.equipment.engine.gpus() if errand.gpus else ()
        if not errand.trial.pair:
            return slot_for(errand, gpus)
        if self._same is None:
            self._same = self._held.enter_context(slot_for(errand, gpus))
        return contextlib.nullcontext(self._same)

    def sweep(self) -> None:
        """Remove what a lost worker of this machine left on the engine."""
        if "engine" in self.equipment.__dict__:
            with contextlib.suppress(RunnerError):
                self.equipment.engine.sweep()

    def stop(self) -> None:
        """End everything that is under way here."""
        self.equipment.stopping.set()
        self.equipment.processes.stop()
        if "engine" in self.equipment.__dict__:
            self.equipment.engine.stop_all()

    def close(self) -> None:
        """Let go of the engine, and remove what is left of trials."""
        if not self._closed.is_set():
            self._closed.set()
            self._held.close()
            self.equipment.close()
            remove(self._folder)

    def _watch(self) -> None:
        """Stop when a task is not wanted any more, close when nobody asks for long."""
        while not self._closed.wait(_LOOK_EVERY_S):
            drop_unborn(self._worker)
            states = {key: state_of(self._worker, key) for key in tuple(self.under_way)}
            is_there = not self.presence or self.presence in self._worker.state.tasks
            leaves = self._worker.status not in _SERVING or not is_there
            if leaves or any(state not in _WANTED for key, state in states.items() if key in self.under_way):
                with contextlib.suppress(RuntimeError):  # no thread can be started: it is tried again
                    forget_run(self._terms.run)
                    return
            with _guard:
                if self.is_idle():
                    _benches.pop(self._terms.run, None)
                    self.close()

    def is_idle(self) -> bool:
        """True where nobody asked for long, and home wants nothing that lies here."""
        tasks = self._worker.state.tasks
        self.kept.difference_update([key for key in tuple(self.kept) if key not in tasks])
        return not (self.under_way or self.kept) and time.monotonic() - self.last_asked > _IDLE_S


def state_of(worker: Worker, key: str) -> str:
    """The state of a task on its worker."""
    return getattr(worker.state.tasks.get(key), "state", "forgotten")


def bench_of(terms: Terms) -> WorkerBench:
    """The bench of a run on this worker. Raises StoppedError where the run is over."""
    with _guard:
        if terms.run in _ended:
            raise StoppedError
        if terms.run not in _benches:
            _benches[terms.run] = WorkerBench(terms, get_worker())
        bench = _benches[terms.run]
        bench.last_asked = time.monotonic()
        return bench


def forget_run(run: str) -> None:
    """Stop a run here and clean up, beside what the worker does."""
    with _guard:
        _ended.add(run)
        bench = _benches.get(run)
    if bench:
        bench.stop()
        with _guard:
            if run in _benches:
                threading.Thread(target=_clear, args=(bench,), name=_name_of_end(run)).start()
                del _benches[run]


def _name_of_end(run: str) -> str:
    return f"convergence-matrix end {run}"


def _clear(bench: WorkerBench) -> None:
    """Close a bench when its tasks have ended."""
    deadline = time.monotonic() + _IDLE_S
    while bench.under_way and time.monotonic() < deadline:
        time.sleep(0.05)
    bench.sweep()  # once more: just after its loss a worker may not have been quite dead
    bench.close()


def sweep_after(run: str) -> None:
    """Remove what a lost worker of this machine left on the engine, beside what the worker does."""
    if bench := _benches.get(run):
        threading.Thread(target=bench.sweep, name="convergence-matrix sweep", daemon=True).start()


def is_at_work(run: str) -> bool:
    """True while something of a run is under way or lies on this worker."""
    return any(thread.name == _name_of_end(run) for thread in threading.enumerate()) or run in _benches


def errand(terms: Terms, doing: Callable[[WorkerBench], Answer]) -> Answer | Refusal:
    """Do something at the bench of a run, in a thread that the worker does not count: home counts."""
    worker = get_worker()
    key = str(worker.get_current_task())
    try:
        step_aside(worker)
        if state_of(worker, key) not in _WANTED:  # home heard that it failed, for no thread could be started for it
            raise StoppedError
        bench = bench_of(terms)
        with bench.at_work(key):
            done = doing(bench)
            if isinstance(done, Finished) and done.artifacts:
                bench.kept.add(key)
            return done
    except RunnerError as error:
        return Refusal.of(error)
    except (OSError, RuntimeError) as error:
        if crowded := CrowdedError.behind(error):
            return Refusal.of(crowded)
        raise


def run_trial(terms: Terms, packed: bytes) -> Finished | Refusal:
    """Run the trial of an errand."""
    return errand(terms, lambda bench: bench.run(pickle.loads(packed)))  # noqa: S301 - home may run any code here


def make_image(terms: Terms, order: ImageOrder) -> Made | Refusal:
    """Make an environment."""

    def made(bench: WorkerBench) -> Made:
        begun = time.monotonic()
        return Made(image=bench.pushed(bench.image(order)), took_s=time.monotonic() - begun)

    return errand(terms, made)


def of_engine(
    terms: Terms, question: Literal["find", "known_identity", "base_identity", "pythons"], *values: object
) -> Any:
    """What the engine here answers to one of its questions."""
    return errand(terms, lambda bench: getattr(bench.equipment.engine, question)(*values))


def facts(terms: Terms) -> Facts | Refusal:
    """What this worker is and has."""

    def found(bench: WorkerBench) -> Facts:
        said = _facts(bench.equipment.engine)
        bench.presence = str(get_worker().get_current_task())
        return said

    return errand(terms, found)


def _facts(engine: Engine) -> Facts:
    import psutil  # noqa: PLC0415 - only where somebody asks

    pythons = engine.pythons()
    known = {python: identity for python in pythons if (identity := engine.known_identity(python))}
    return Facts(
        host=socket.gethostname(),
        machine=f"{this_boot()} {cache_folder()}",
        engine=engine.kind.value,
        base=engine.base,
        platform=engine.platform,
        emulated=engine.emulated,
        described=engine.describe(),
        pythons=pythons,
        identities=known,
        processors=len(available()),
        memory_bytes=psutil.virtual_memory().total,
        free_bytes=shutil.disk_usage(cache_folder()).free,
        gpus=_gpus(engine),
    )


def _gpus(engine: Engine) -> tuple[Gpu, ...]:
    try:
        return engine.gpus()
    except MachineError:
        return ()


def read_piece(run: str, key: str, name: str, offset: int, most: int) -> bytes:
    """A piece of an artifact that waits here."""
    with (_benches[run].equipment.workplace.artifacts(key) / name).open("rb") as stream:
        stream.seek(offset)
        return stream.read(most)


def drop_trial(run: str, key: str) -> None:
    """Remove what waits of a trial: home has it."""
    if bench := _benches.get(run):
        bench.equipment.workplace.forget(key)
