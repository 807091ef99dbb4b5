"""The bench of a run on a worker of a cluster, without a worker."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from distributed import Status

from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.errand import Terms
from runner.laboratory.cluster.worker_bench import WorkerBench, slot_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    """What of a worker its bench looks at; its tasks are none."""
    return SimpleNamespace(
        name="w", local_directory=str(tmp_path), status=Status.running, state=SimpleNamespace(tasks={})
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
    monkeypatch.setattr(worker_bench, "available", lambda: [0, 1, 2])
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
