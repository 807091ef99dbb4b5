"""GPUs as real engines receive them: the create call of a trial and its refusal, a process that is told its device.

No GPU is needed. What one would show is asked by `benchmarks/gpu.py`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tiny_lock import containers_of, ended, job_of

import docker
from runner.engines.docker.container import LAYOUT, settings
from runner.engines.docker.daemon import engine_host
from runner.engines.docker.engine_machine import refusal
from runner.engines.gpu import Gpu
from runner.engines.processor import processor_model
from runner.engines.world import world_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine
    from runner.engines.protocol import Image
    from runner.engines.venv.venv_engine import VenvEngine

GPUS = (Gpu(id="GPU-4b2e", model="made up"), Gpu(id="GPU-77aa", model="made up"))


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(base_url=engine_host())
    yield made
    made.close()


@pytest.mark.docker
def test_an_engine_without_gpus_refuses_and_nothing_is_left(
    docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    why = refusal(client, GPUS, owner="test-gpus")
    has_driver = shutil.which("nvidia-container-runtime-hook") is not None  # where the engine looks for it, too
    assert ("could not select device driver" in why) is not has_driver, why
    assert client.images.list(filters={"reference": "*/empty:test-gpus"}) == []
    assert client.containers.list(all=True, filters={"label": "convergence-matrix.owner=test-gpus"}) == []
    assert docker_engine.kind.value == "docker"


@pytest.mark.docker
def test_the_engine_receives_the_request_of_a_trial(
    docker_image: Image, client: docker.DockerClient, tmp_path: Path
) -> None:
    job = replace(job_of("show_world.py", tmp_path), gpus=GPUS)
    given = settings(job, world_of(job, LAYOUT), user="65532:65532", owner="test-gpus", mounts=[])
    container = client.containers.create(docker_image.reference, **given)
    try:
        container.reload()
        host, config = container.attrs["HostConfig"], container.attrs["Config"]
    finally:
        container.remove(force=True)
    (request,) = host["DeviceRequests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (
        ["GPU-4b2e", "GPU-77aa"],
        [["gpu", "compute", "utility"]],
    )
    assert "CUDA_VISIBLE_DEVICES=0,1" in config["Env"]
    assert containers_of(job.key) == []


@pytest.mark.docker
def test_a_container_has_no_gpu_unasked_and_its_processor_is_noted(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path
) -> None:
    job = job_of("show_world.py", tmp_path)
    ending = docker_engine.run(docker_image, job)
    assert ended(ending) == (0, None, None)
    assert json.loads(job.folder.log.read_text())["env"]["CUDA_VISIBLE_DEVICES"] == ""
    assert ending.processor == processor_model() != ""


def test_a_process_is_told_its_device_and_its_processor_is_noted(
    venv_engine: Callable[[], VenvEngine], venv_image: Image, tmp_path: Path
) -> None:
    job = replace(job_of("show_world.py", tmp_path), gpus=GPUS[1:])
    ending = venv_engine().run(venv_image, job)
    assert ended(ending) == (0, None, None)
    assert json.loads(job.folder.log.read_text())["env"]["CUDA_VISIBLE_DEVICES"] == "GPU-77aa"
    assert ending.processor == processor_model() != ""
