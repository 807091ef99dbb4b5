"""What is done to a trial from outside, by a hand on the engine or by the engine's own end, is not the script's."""

from __future__ import annotations

import gc
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from small_engine import SmallEngine, copy_image, small_engine, why_none
from tiny_lock import LIMITS, containers_of, ended, job_of
from waiting import PATIENCE_S, until

import docker
from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.protocol import Cut
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from docker.models.containers import Container

    from runner.engines.protocol import Ending, Image, Job

pytestmark = pytest.mark.docker

HANDS: dict[str, Callable[[Container], object]] = {
    "kill": lambda container: container.kill(),
    "kill --signal TERM": lambda container: container.kill("SIGTERM"),
    "stop": lambda container: container.stop(timeout=1),
    "rm --force": lambda container: container.remove(force=True),
    "restart": lambda container: container.restart(timeout=1),
    "pause": lambda container: container.pause(),
    "update --cpu-shares": lambda container: [container.update(cpu_shares=2), container.kill()],
}


@pytest.mark.parametrize("hand", HANDS)
def test_what_somebody_does_to_a_container_is_not_the_script_s(
    docker_engine: DockerEngine, docker_image: Image, hand: str, tmp_path: Path
) -> None:
    job = job_of("sleep_long.py", tmp_path, limits=replace(LIMITS, timeout_s=20, grace_s=0.2))
    client = docker.from_env()
    with ThreadPoolExecutor() as pool:
        running = begun(pool, docker_engine, docker_image, job)
        HANDS[hand](client.containers.get(containers_of(job.key)[0]))
        with pytest.raises(EngineLostError, match="Somebody outside of this run"):
            running.result(PATIENCE_S)
    client.close()
    assert containers_of(job.key) == []


def test_what_a_script_does_to_itself_and_its_memory_is_its_own(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    small = replace(LIMITS, memory_bytes=64 * 1024**2)
    (tmp_path / "other").mkdir()
    assert ended(docker_engine.run(docker_image, job_of("kill_itself.py", tmp_path))) == (None, signal.SIGKILL, None)
    job = job_of("eat_memory.py", tmp_path / "other", limits=small)
    assert ended(docker_engine.run(docker_image, job)) == (None, signal.SIGKILL, Cut.MEMORY)


def test_much_output_takes_no_trial_its_time(docker_engine: DockerEngine, docker_image: Image, tmp_path: Path) -> None:
    job = job_of("print_much.py", tmp_path, limits=replace(LIMITS, timeout_s=40, log_bytes=1024**2))
    ending = docker_engine.run(docker_image, job)  # 256 MiB; at 4 MiB a second they took 64 s
    assert (ended(ending), ending.log_truncated) == ((0, None, None), True)
    assert job.folder.log.read_text().endswith("the last line\n")


def test_an_image_that_is_removed_under_a_trial_ends_that_one_as_ever_and_the_next_with_a_message(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    client = docker.from_env()
    other = f"{docker_image.reference}-other"
    client.images.get(docker_image.reference).tag(*other.rsplit(":", 1))
    image = replace(docker_image, reference=other)
    first, second = (
        job_of(script, tmp_path / script, limits=replace(LIMITS, timeout_s=8, grace_s=0.2))
        for script in ("sleep_long.py", "exit_with_3.py")
    )
    with ThreadPoolExecutor() as pool:
        running = begun(pool, docker_engine, image, first)
        client.images.remove(other, force=True)
        assert running.result(PATIENCE_S).cut is Cut.TIMEOUT
    client.close()
    with pytest.raises(MachineError, match=r"was removed meanwhile\. Run again"):
        docker_engine.run(image, second)


@pytest.fixture
def engine(not_run: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallEngine]:
    if reason := why_none():
        not_run(reason)
    with small_engine(starts=False) as made:
        monkeypatch.setenv("DOCKER_HOST", made.host)
        yield made


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_an_engine_that_is_restarted_is_waited_for_and_one_that_is_gone_is_said(
    engine: SmallEngine, docker_image: Image, tmp_path: Path
) -> None:
    restarted_and_stopped(engine, docker_image, tmp_path)
    gc.collect()  # the SDK drops the sockets of calls that were refused


def restarted_and_stopped(engine: SmallEngine, docker_image: Image, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    job, again, last = (
        job_of(script, folder)
        for script, folder in (("sleep_long.py", first), ("exit_with_3.py", second), ("sleep_long.py", third))
    )
    with ThreadPoolExecutor() as pool:
        with engine.running():
            copy_image(docker_image, engine)
            own = DockerEngine.connect("offline", patience_s=PATIENCE_S)
            running = begun(pool, own, docker_image, job)
        with engine.running():
            with pytest.raises(EngineLostError):
                running.result(PATIENCE_S)
            assert containers_of(job.key) == []
            assert ended(own.run(docker_image, again)) == (3, None, None)
            own.close()
            own = DockerEngine.connect("offline", patience_s=1)
            running = begun(pool, own, docker_image, last)
        with pytest.raises(MachineError, match="The Docker engine stopped, and has not answered for 1 s") as said:
            running.result(PATIENCE_S)
        assert not isinstance(said.value, EngineLostError)  # which would be tried again
        own.close()


def begun(pool: ThreadPoolExecutor, engine: DockerEngine, image: Image, job: Job) -> Future[Ending]:
    """A job that runs; its first line was seen."""
    running = pool.submit(engine.run, image, job)
    until(lambda: job.folder.log.exists() and job.folder.log.read_text() == "started\n", "its first line")
    return running
