"""The bench of a run on a worker of a cluster, without a worker."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from distributed import Status
from distributed.threadpoolexecutor import ThreadPoolExecutor as TaskThreads
from waiting import PATIENCE_S, until

from runner.engines.protocol import EngineKind, Image
from runner.environments.lock import Ground
from runner.errors import MachineError
from runner.laboratory.bench import ImageOrder
from runner.laboratory.cluster import worker_bench, worker_slots
from runner.laboratory.cluster.errand import Terms
from runner.laboratory.cluster.worker_bench import WorkerBench
from runner.laboratory.cluster.worker_slots import drop_unborn, slot_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    """What of a worker its bench looks at; its tasks are none."""
    return SimpleNamespace(
        name="w", local_directory=str(tmp_path), status=Status.running, state=SimpleNamespace(tasks={}), executors={}
    )


@pytest.fixture
def bench(worker: Any) -> Iterator[WorkerBench]:
    made = WorkerBench(Terms(run="run", engine="venv", base="auto"), worker)
    yield made
    made.close()


def test_a_bench_stays_open_while_home_fetches_artifacts_however_long(bench: WorkerBench, worker: Any) -> None:
    worker.state.tasks["trial"] = SimpleNamespace(state="memory")
    bench.kept.add("trial")
    bench.last_asked -= 1000
    assert not bench.is_idle()
    del worker.state.tasks["trial"]  # home has them, or is gone
    assert bench.is_idle()


def test_a_bench_without_work_ends_when_home_lets_go_of_what_it_said_first(
    bench: WorkerBench, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker_bench._benches, "run", bench)
    monkeypatch.setattr(worker_bench, "_ended", set())
    worker.state.tasks["facts"] = SimpleNamespace(state="memory")
    bench.presence = "facts"
    assert not bench.is_idle()
    assert worker_bench.is_at_work("run")
    del worker.state.tasks["facts"]  # home is gone
    until(lambda: not worker_bench.is_at_work("run"), "the end of the bench")
    assert bench._closed.is_set()


def test_the_end_of_another_run_is_not_waited_for(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = WorkerBench(Terms(run="other", engine="venv", base="auto"), worker)
    monkeypatch.setitem(worker_bench._benches, "other", other)
    monkeypatch.setattr(worker_bench, "_ended", set())
    other.under_way.add("trial")
    worker_bench.forget_run("other")
    try:
        assert (worker_bench.is_at_work("other"), worker_bench.is_at_work("run")) == (True, False)
    finally:
        other.under_way.clear()
    until(lambda: not worker_bench.is_at_work("other"), "the end of the other run")


def test_two_tasks_that_come_first_together_have_one_engine(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def opened(*_: object, **__: object) -> tuple[object, str]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # as long as it takes to open one
        return SimpleNamespace(sweep=lambda: 0, stop_all=lambda: None, close=lambda: None), ""

    monkeypatch.setattr(worker_bench, "open_engine", opened)
    with ThreadPoolExecutor(2) as tasks:
        one, other = tasks.map(lambda _: bench._engine(), range(2))
    assert one is other


def test_workers_of_one_host_with_caches_of_their_own_give_no_processor_away_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(worker_slots, "available", lambda: [0, 1, 2])
    errand: Any = SimpleNamespace(processors=1, gpus=0, trials_per_gpu=1)

    def taken(cache: str, held: contextlib.ExitStack) -> tuple[int, ...]:
        monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / cache))
        return held.enter_context(slot_for(errand, ())).cpus

    with contextlib.ExitStack() as held:
        assert [taken(cache, held) for cache in ("one", "other", "one")] == [(0,), (1,), (2,)]
    (place,) = tmp_path.glob("convergence-matrix-slots-*")
    shutil.rmtree(place)
    place.symlink_to(tmp_path / "elsewhere")  # as another user might
    with contextlib.ExitStack() as held:
        assert [taken("one", held) for _ in range(2)] == [(0,), (1,)]


def test_a_worker_whose_threads_could_not_be_started_does_tasks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = TaskThreads(2)
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refused)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="can't start"):
                pool.submit(int)
        drop_unborn(SimpleNamespace(executors={"default": pool}))  # type: ignore[arg-type]
    late = pool.submit(int, 7)
    assert late.result(PATIENCE_S) == 7
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refused)
        with contextlib.suppress(RuntimeError):
            waits = TaskThreads(1)
            waits.submit(int)
    behind = waits.submit(int, 8)  # it starts no thread: one is counted as there
    assert not behind.done()
    drop_unborn(SimpleNamespace(executors={"default": waits}))  # type: ignore[arg-type]
    assert behind.result(PATIENCE_S) == 8
    for threads in (pool, waits):
        threads.shutdown(wait=False)


def test_trials_that_run_in_turn_have_the_same_processors_which_nobody_else_gets_in_between(
    bench: WorkerBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(worker_slots, "available", lambda: [0, 1, 2])

    def errand(pair: str) -> Any:
        return SimpleNamespace(trial=SimpleNamespace(pair=pair), processors=1, gpus=0, trials_per_gpu=1)

    with bench._slot(errand("")) as busy, bench._slot(errand("round-0")) as first:
        assert (busy.cpus, first.cpus) == ((0,), (1,))
    with bench._slot(errand("")) as one, bench._slot(errand("")) as other, bench._slot(errand("round-0")) as second:
        assert (one.cpus, other.cpus, second.cpus) == ((0,), (2,), (1,))
    monkeypatch.setattr(bench.equipment, "close", lambda: None)
    bench.close()
    with bench._slot(errand("")), bench._slot(errand("")) as last:
        assert last.cpus == (1,), "it is given back at the end"


IMAGE = Image(engine=EngineKind.DOCKER, reference="env:1", lock_digest="d", base_identity="b", python_full="3.11.7")
ENVIRONMENT = SimpleNamespace(name="six-1", own=None, pins=())
LOCK: Any = SimpleNamespace(
    digest="d", image_digest="d", python="3.11", ground=Ground("3.11"), environment=ENVIRONMENT, packages=()
)


class Registry:
    """An engine whose images another one pushed, or not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    def find(self, _: object) -> None:
        return None

    def use(self, _: object) -> bool:
        return True

    def known_identity(self, _: str, __: str) -> str:
        return "b"

    def toolchain(self, _: str, __: str) -> None:
        """Nothing is built."""

    def make(self, *_: object, **__: object) -> Image:
        self.asked.append("make")
        return IMAGE

    def base_identity(self, python: str, _: str) -> str:
        self.asked.append(f"base of {python}")
        return "b"

    def pull(self, _: object, address: str, __: object) -> Image:
        self.asked.append(address)
        return self.push(IMAGE, address)

    def push(self, image: Image, address: str) -> Image:
        if self.refuses:
            raise MachineError("The registry is gone.")
        return replace(image, address=address)


@pytest.fixture
def registry(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch) -> Registry:
    engine = Registry()
    monkeypatch.setitem(bench.equipment.__dict__, "engine", engine)
    monkeypatch.setitem(bench.equipment.__dict__, "catalog", None)
    monkeypatch.setattr(bench, "close", lambda: None)
    return engine


def test_an_image_that_was_pushed_is_pulled_onto_the_same_base_and_made_here_where_that_fails(
    bench: WorkerBench, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(bench._folder))
    bench._folder.mkdir()
    said: list[str] = []
    monkeypatch.setattr(bench.equipment, "say", lambda _, text: said.append(text))
    assert bench.image(ImageOrder(lock=LOCK, address="here/env@1")).address == "here/env@1"
    assert registry.asked == ["base of 3.11", "here/env@1"]
    bench._images.clear()
    registry.refuses = True
    assert bench.image(ImageOrder(lock=LOCK, address="here/env@1")) == IMAGE
    assert "make" in registry.asked
    assert said[0] == "made here: The registry is gone."


def test_an_image_is_pushed_where_home_names_a_registry_and_kept_where_that_takes_none(
    bench: WorkerBench, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.pushed(IMAGE) is IMAGE
    bench._terms = replace(bench._terms, registry="here:1/cm")
    assert bench.pushed(IMAGE).address == "here:1/cm"
    registry.refuses = True
    told: list[str] = []
    monkeypatch.setattr(bench.equipment.observer, "note", told.append)
    assert bench.pushed(IMAGE) is IMAGE
    assert told == ["w: The registry is gone. Other workers make it themselves."]
