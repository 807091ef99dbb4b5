"""Cold build and disk of 3 TensorFlow x 3 Keras against a plain `pip install` Dockerfile for each: prints both sides.

Both sides start from the same base image, with all wheels on disk and nothing of the nine built; both make one image at
a time, each with all processors. The rival gets the very wheels of our locks, so that pip needs no further pins, from
one folder that is sent to the engine once. It installs `tensorflow`, or with `--slim-rival` the smaller
`tensorflow-cpu` that our locks take. A rival's image is removed once it was measured, ours in the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tenacity
from figures import tell

import docker
from runner.engines.docker.base_images import FROM
from runner.engines.docker.buildkit import NO_PROXIES, Builder, build_client, forget_contexts
from runner.engines.docker.docker_engine import DockerEngine
from runner.environments import file_store, wheelhouse
from runner.environments.cpython_choice import resolve
from runner.environments.file_store import obtain
from runner.environments.index.catalog import Catalog
from runner.environments.lock import Environment, Layer, Lock
from runner.environments.target import installable, machine_of
from runner.environments.wheelhouse import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docker import DockerClient
    from runner.environments.wheelhouse import Wheelhouse


TENSORFLOW = ("2.16.1", "2.17.0", "2.18.0")
KERAS = ("3.5.0", "3.6.0", "3.7.0")
MARK = "convergence-matrix-rival"
"""What the rival's images and build steps are known by."""
WITH_PIP = """\
ARG FROM
FROM ${FROM}
ARG PIP
RUN --mount=type=bind,target=/mnt python3 /mnt/${PIP}/pip install --no-index --ignore-installed /mnt/${PIP}
"""
PLAIN = f"""\
ARG FROM
FROM ${{FROM}}
ARG WANTED
RUN --mount=type=bind,target=/mnt : {MARK} \\
 && python3 -m pip install --no-index --no-cache-dir --find-links /mnt ${{WANTED}}
"""


@dataclass
class Side:
    """What one side took for each image, in the order of the pairs."""

    name: str
    took_s: list[float] = field(default_factory=list)
    new_bytes: list[int] = field(default_factory=list)

    def add(self, pair: str, took_s: float, new_bytes: int) -> None:
        self.took_s.append(took_s)
        self.new_bytes.append(new_bytes)
        print(f"{self.name:6} {pair:45} {took_s:6.1f} s {new_bytes / 1e6:7.0f} MB of its own", flush=True)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A pair locked, its wheels on disk."""

    lock: Lock
    wheelhouse: Wheelhouse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=os.environ.get("RUNNER_BASE", "registry"), help="registry or offline")
    parser.add_argument("--tensorflow", nargs="+", default=TENSORFLOW, metavar="VERSION")
    parser.add_argument("--keras", nargs="+", default=KERAS, metavar="VERSION")
    parser.add_argument("--slim-rival", action="store_true", help="The rival installs tensorflow-cpu.")
    chosen = parser.parse_args()
    pairs = [(one, other) for one in chosen.tensorflow for other in chosen.keras]
    engine, client, catalog = DockerEngine.connect(chosen.base), docker.from_env(timeout=600), Catalog()
    try:
        mine = [prepare(pair, "auto", catalog, engine) for pair in pairs]
        theirs = mine if chosen.slim_rival else [prepare(pair, "full", catalog, engine) for pair in pairs]
        ours = build_ours(mine, catalog, engine, client)
        forget_contexts(client)  # the rival shall find nothing that was sent for us
        plain = build_plain(theirs, catalog, engine, client)
    finally:
        catalog.connection.close()
        client.close()
        engine.close()
    tell("nine-images-time", sum(ours.took_s), sum(plain.took_s))
    tell("nine-images-disk", sum(ours.new_bytes) / 1e9, sum(plain.new_bytes) / 1e9, "GB")
    print(f"cold build: plain {sum(plain.took_s):.0f} s, ours {sum(ours.took_s):.0f} s,", end=" ")
    print(f"{sum(plain.took_s) / sum(ours.took_s):.1f} times faster")
    print(f"disk: plain {sum(plain.new_bytes) / 1e9:.2f} GB, ours {sum(ours.new_bytes) / 1e9:.2f} GB,", end=" ")
    print(f"{sum(ours.new_bytes) / sum(plain.new_bytes):.2f} of it")


def prepare(pair: tuple[str, str], flavour: str, catalog: Catalog, engine: DockerEngine) -> Prepared:
    environment = Environment(pins=tuple(zip(("tensorflow", "keras"), pair, strict=True)), flavour=flavour)
    lock = resolve(environment, catalog=catalog, pythons=engine.pythons(), toolchain=engine.toolchain)
    assert isinstance(lock, Lock), lock
    return Prepared(lock=lock, wheelhouse=fetched(lock, catalog, engine))


def fetched(lock: Lock, catalog: Catalog, engine: DockerEngine) -> Wheelhouse:
    return fetch(lock, catalog=catalog, toolchain=lambda: engine.toolchain(lock.python), say=lambda _: None)


def build_ours(prepared: Sequence[Prepared], catalog: Catalog, engine: DockerEngine, client: DockerClient) -> Side:
    """Each image as `build` makes it: its files checked (each once, as in a process of its own), then its layers."""
    side, lines = Side("ours"), list[str]()
    counted = {base_of(one.lock.python, engine) for one in prepared}
    assert not any(engine.find(one.lock) for one in prepared), "some of these images are there already: `clean`"
    for checked in (file_store._read_sha256, wheelhouse._record):  # noqa: SLF001 - nothing else forgets them
        checked.cache_clear()  # a `build` finds wheels on disk that its own process has not checked yet
    with ExitStack() as made:
        for one in prepared:
            begun = time.perf_counter()
            image = engine.make(one.lock, fetched(one.lock, catalog, engine), lines.append, labels={})
            took_s = time.perf_counter() - begun
            made.callback(engine.remove_image, image.reference)
            side.add(one.lock.environment.name, took_s, new_bytes(client, image.reference, counted))
            check_import(client, image.reference, "/env/bin/python")
        bases = {one.lock.layer_digest(Layer.BASE) for one in prepared}
        assert sum("packages of the base" in line for line in lines) == len(bases), "a base was there already: `clean`"
    return side


def new_bytes(client: DockerClient, tag: str, counted: set[str]) -> int:
    """The bytes of an image and of those below it that no image before it has; `counted` grows by them."""
    if tag in counted:
        return 0
    counted.add(tag)
    image = client.images.get(tag)
    below = image.labels[FROM]
    own: int = image.attrs["Size"] - client.images.get(below).attrs["Size"]
    return own + new_bytes(client, below, counted)


def build_plain(prepared: Sequence[Prepared], catalog: Catalog, engine: DockerEngine, client: DockerClient) -> Side:
    """Each pair by pip, in an image of its own on a base image with pip; the base and pip are not measured."""
    side = Side("plain")
    with ExitStack() as made:
        bases = {python: with_pip(python, catalog, engine) for python in {one.lock.python for one in prepared}}
        made.callback(forget, client, list(bases.values()))
        wheels = made.enter_context(Builder(build_client).context())
        for path in {wheel.path for one in prepared for wheel in one.wheelhouse.wheels}:
            os.link(path, wheels / path.name)
        for one in prepared:
            base, tag = bases[one.lock.python], f"{MARK}:{len(side.took_s)}"
            wanted = " ".join(f"{name}=={version}" for name, version in installed_pins(one.lock))
            begun = time.perf_counter()
            build(PLAIN, wheels, tag, FROM=base, WANTED=wanted)
            took_s = time.perf_counter() - begun
            size = client.images.get(tag).attrs["Size"] - client.images.get(base).attrs["Size"]
            side.add(wanted, took_s, size)
            check_import(client, tag, "python3")
            forget(client, [tag])
    forget_contexts(client)
    return side


def installed_pins(lock: Lock) -> list[tuple[str, str]]:
    """The pins by the names that are installed: tensorflow, or tensorflow-cpu in its place."""
    versions = {package.name: package.version for package in lock.packages}
    tensorflow = "tensorflow-cpu" if "tensorflow-cpu" in versions else "tensorflow"
    return [(name, versions[name]) for name in (tensorflow, "keras")]


def base_of(python: str, engine: DockerEngine) -> str:
    """The base image that our images of a CPython stand on; made where it is missing."""
    toolchain = engine.toolchain(python)
    return str(toolchain.image.base_tag)  # type: ignore[attr-defined]


def with_pip(python: str, catalog: Catalog, engine: DockerEngine) -> str:
    """The same base image with the newest pip that its CPython takes."""
    project = catalog.project("pip")
    assert project is not None
    releases = (one for one in reversed(project.releases) if not one.version.is_prerelease and not one.yanked)
    file = next(
        files[0] for one in releases if (files := installable(one.files, python, machine_of(""))) and files[0].is_wheel
    )
    path, tag = obtain(file, catalog.connection, lambda _: None), f"{MARK}:base-{python}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, path.name).write_bytes(path.read_bytes())
        build(WITH_PIP, Path(folder), tag, FROM=base_of(python, engine), PIP=path.name)
    return tag


def build(dockerfile: str, context: Path, tag: str, **arguments: str) -> None:
    """One build as a user would start it, without a network and with nothing of an earlier run."""
    client = build_client()
    with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
        file.write(dockerfile)
        file.flush()
        options = ["--no-cache", "--network", "none", "--file", file.name, "--tag", tag]
        for name, text in {**NO_PROXIES, **arguments}.items():
            options += ["--build-arg", f"{name}={text}"]
        done = subprocess.run(
            client.command(*options, str(context)),
            env=client.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]


def check_import(client: DockerClient, tag: str, python: str) -> None:
    code = "import tensorflow, keras; print(tensorflow.__version__, keras.__version__)"
    client.containers.run(tag, [python, "-c", code], remove=True, network_mode="none")


def forget(client: DockerClient, tags: Sequence[str]) -> None:
    """Remove images, and what the build cache keeps of the rival's steps."""
    for tag in tags:
        client.images.remove(tag, force=True)
    for each in kept_steps(client):
        client.api.prune_builds(filters={"id": [each]})


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(docker.errors.APIError),  # it answers one such question at a time
    wait=tenacity.wait_fixed(1),
    stop=tenacity.stop_after_delay(120),
)
def kept_steps(client: DockerClient) -> list[str]:
    """What the build cache holds of the rival's steps."""
    return [one["ID"] for one in client.api.df().get("BuildCache") or [] if MARK in one["Description"]]


if __name__ == "__main__":
    main()
