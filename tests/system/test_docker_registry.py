"""Base images out of a real registry on this machine: pulled by tag once, pinned by digest from then on."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from conftest import CONTAINER_PYTHON
from registries import images_of, push, registry_here
from tiny_lock import tiny_lock, tiny_wheelhouse

import docker
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient
    from runner.engines.docker.docker_engine import DockerEngine

pytestmark = [pytest.mark.slow, pytest.mark.docker]


@pytest.fixture
def registry(tmp_path: Path, not_run: Callable[[str], None]) -> Iterator[str]:
    """The address of an empty registry."""
    with registry_here(tmp_path, not_run) as port:
        yield f"localhost:{port}"


@pytest.fixture
def client() -> Iterator[DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture
def recipe(tmp_path: Path, registry: str) -> Path:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "base-images.toml").write_text(f'[images]\n"3.7" = "{registry}/python:3.7-slim"\n')
    (folder / "base-images.lock").write_text("# nothing yet\n")
    return folder


def test_a_tag_is_pulled_once_and_its_digest_counts_from_then_on(
    client: DockerClient, registry: str, recipe: Path, tmp_path: Path
) -> None:
    tag = f"{registry}/python:3.7-slim"
    push(client, tag, b"first", tmp_path)
    said: list[str] = []
    first = images_of(client, recipe).provide("3.7", said.append)
    locked = tomllib.loads((recipe / "base-images.lock").read_text())["images"]["3.7"]
    assert (locked["image"], locked["digest"]) == (tag, first.identity)
    assert said == [f"pulling {tag}"]

    push(client, tag, b"second: somebody moved the tag", tmp_path)
    client.images.remove(str(client.images.get(first.tag).id), force=True)
    again = images_of(client, recipe).provide("3.7", said.append)
    assert (again.identity, again.tag) == (first.identity, first.tag)
    assert said[1:] == [f"pulling {registry}/python@{first.identity}"]
    assert client.images.get(again.tag).attrs["RepoDigests"] == [f"{registry}/python@{first.identity}"]

    (recipe / "base-images.lock").write_text("# asked for anew\n")
    assert images_of(client, recipe).provide("3.7", said.append).identity != first.identity


def test_a_tag_that_does_not_exist_is_named_and_the_offline_way_offered(client: DockerClient, recipe: Path) -> None:
    with pytest.raises(MachineError, match=r"python:3\.7-slim cannot be pulled(.|\n)*`--base offline`"):
        images_of(client, recipe).provide("3.7", lambda _: None)
    assert (recipe / "base-images.lock").read_text() == "# nothing yet\n"


def test_an_image_is_pushed_once_and_pulled_by_its_digest_for_its_own_lock_and_base_alone(
    docker_engine: DockerEngine, registry: str, tmp_path: Path
) -> None:
    wheelhouse = tiny_wheelhouse(tmp_path)
    lock = tiny_lock(wheelhouse, CONTAINER_PYTHON)
    image = docker_engine.make(lock, wheelhouse, lambda _: None, labels={})
    try:
        pushed = docker_engine.push(image, f"{registry}/cm")
        assert re.fullmatch(rf"{registry}/cm/env@sha256:[0-9a-f]{{64}}", pushed.address)
        assert docker_engine.find(lock) == pushed == docker_engine.push(pushed, f"{registry}/cm")
        names = docker.from_env().images.get(image.reference).tags
        assert names == [image.reference]  # none that `clean` would leave

        other = replace(lock, packages=())
        with pytest.raises(MachineError, match="is of another lock or base image than"):
            docker_engine.pull(other, pushed.address, lambda _: None)
        assert docker_engine.remove_image(image.reference)
        assert docker_engine.find(lock) is None
        said: list[str] = []
        assert docker_engine.pull(lock, pushed.address, said.append) == docker_engine.find(lock) == pushed
        assert said == [f"pulling {pushed.address}"]
        assert docker.from_env().images.get(image.reference).tags == [image.reference]
        with pytest.raises(MachineError, match=r"while pulling localhost:.*env@sha256:0{64}"):
            docker_engine.pull(lock, f"{registry}/cm/env@sha256:{'0' * 64}", said.append)
        with pytest.raises(MachineError, match="cannot be pushed to localhost:1/cm"):
            docker_engine.push(image, "localhost:1/cm")
    finally:
        docker_engine.remove_image(image.reference)
