"""A real registry on this machine, and images that are put into it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from waiting import until

from runner.engines.docker.base_images import RegistryImages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient

CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "localhost:{port}"}}
"""


def images_of(client: DockerClient, folder: Path, **settings: float) -> RegistryImages:
    """The base images of a folder's `base-images.toml` and `.lock`."""
    return RegistryImages(client, tags=folder / "base-images.toml", lock=folder / "base-images.lock", **settings)


@contextlib.contextmanager
def registry_here(folder: Path, not_run: Callable[[str], None]) -> Iterator[int]:
    """The port of an empty registry."""
    program = shutil.which("docker-registry")
    if program is None:
        not_run("Debian's docker-registry is not installed")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    (folder / "registry.yml").write_text(CONFIG.format(folder=folder / "registry", port=port))
    with _serving([str(program), "serve", str(folder / "registry.yml")]):
        until(lambda: _answers(port), "an answer of the registry")
        yield port


@contextlib.contextmanager
def registry_beside(folder: Path, engine: int) -> Iterator[None]:
    """The registry of a folder under its port in the network of an engine, too, which reaches no other one."""
    inside = f"ip link set lo up && exec docker-registry serve {folder}/registry.yml"
    with _serving(["nsenter", "--net", "--target", str(engine), "sh", "-c", inside]):
        yield


@contextlib.contextmanager
def _serving(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def push(client: DockerClient, tag: str, content: bytes, folder: Path) -> None:
    """Put an image with one file into the registry, and take it out of the engine."""
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    (folder / "file").write_bytes(content)
    image, _ = client.images.build(path=str(folder), tag=tag)
    assert "error" not in client.images.push(tag)
    client.images.remove(str(image.id), force=True)


def pushed(client: DockerClient, tag: str, folder: Path) -> str:
    """Push an image of a megabyte that no one has seen; its digest."""
    inside = folder / "image"
    inside.mkdir()
    (inside / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    (inside / "file").write_bytes(os.urandom(1024**2))
    image, _ = client.images.build(path=str(inside), tag=tag)
    assert "error" not in client.images.push(tag)
    image.reload()
    digest = str(image.attrs["RepoDigests"][0]).rpartition("@")[2]
    client.images.remove(str(image.id), force=True)
    return digest
