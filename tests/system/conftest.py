"""An engine with a base image, and an image with one tiny package, for the tests in containers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tiny_lock import tiny_lock, tiny_wheelhouse

from runner.engines.docker import DockerEngine
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.engines.protocol import Image

CONTAINER_PYTHON = "3.7"


@pytest.fixture(scope="session")
def docker_engine(not_run: Callable[[str], None]) -> Iterator[DockerEngine]:
    """The engine, with base images made on this machine unless RUNNER_BASE says otherwise."""
    engine = DockerEngine.connect(os.environ.get("RUNNER_BASE", "offline"))
    try:
        engine.base_identity(CONTAINER_PYTHON)
    except RunnerError as error:
        not_run(" ".join(str(error).split()))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def docker_image(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image of the tiny lock; removed in the end, with what it alone stands on."""
    wheelhouse = tiny_wheelhouse(tmp_path_factory.mktemp("wheels"))
    image = docker_engine.make(tiny_lock(wheelhouse, CONTAINER_PYTHON), wheelhouse, lambda _: None, labels={})
    yield image
    docker_engine.remove_image(image.reference)


@pytest.fixture(scope="session")
def cpython_3_7(cpython: Callable[[str], None]) -> None:
    """What the founding pair needs, from this machine or as the source of an offline base image."""
    cpython("3.7")
