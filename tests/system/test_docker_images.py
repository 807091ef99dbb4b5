"""Images of locks in a real engine: layers are shared, contents are the same again, and nothing is left behind."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tiny_lock import tiny_lock, tiny_wheelhouse

import docker
from runner.cache import cache_folder
from runner.engines.docker import environment_images
from runner.engines.docker.base_images import FROM
from runner.engines.docker.buildkit import Builder, build_client
from runner.engines.docker.container_toolchain import DockerToolchain
from runner.engines.docker.environment_images import EnvironmentImages
from runner.engines.docker.interpreter_files import write_tar
from runner.environments.interpreters import newest_of
from runner.environments.lock import Ground, Layer, LockedPackage
from runner.environments.wheelhouse import WheelFile, Wheelhouse
from runner.errors import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient
    from runner.engines.docker.docker_engine import DockerEngine
    from runner.engines.protocol import Image
    from runner.environments.lock import Lock


pytestmark = [pytest.mark.slow, pytest.mark.docker]
PYTHON = "3.7"


@pytest.fixture
def client() -> Iterator[DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


SET = "def known(name):\n    return name in {'cosine', 'dice', 'euclidean', 'hamming', 'matching', 'yule', None}\n"
"""A constant whose order in the bytecode depends on how strings are hashed."""


def two_layers(below: Wheelhouse, python: str, overlay: str) -> tuple[Lock, Wheelhouse]:
    """A lock of `tiny` with the package `thin` above it, whose version is `overlay`."""
    folder = below.wheels[0].path.parent
    path = folder / f"thin-{overlay}-py3-none-any.whl"
    info = f"thin-{overlay}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("thin.py", f"VERSION = {overlay!r}\n{SET}")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: thin\nVersion: {overlay}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"thin.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    package = LockedPackage(name="thin", version=overlay, layer=Layer.OVERLAY, hashes=(f"sha256:{digest}",))
    lock = tiny_lock(below, python)
    wheels = (*below.wheels, WheelFile(path=path, sha256=digest, layer=Layer.OVERLAY))
    return replace(lock, packages=(*lock.packages, package)), Wheelhouse(wheels=wheels)


def layers(client: DockerClient, image: Image) -> list[str]:
    found: list[str] = client.images.get(image.reference).attrs["RootFS"]["Layers"]
    return found


def said(client: DockerClient, tag: str, *arguments: str) -> str:
    """What Python prints in an image, errors included, as a user who can write nowhere."""
    options: dict[str, Any] = {"network_mode": "none", "read_only": True, "remove": True, "user": "65532"}
    return bytes(client.containers.run(tag, ["/env/bin/python", *arguments], stderr=True, **options)).decode().strip()


CONTENTS = """
import hashlib, os
for place, folders, files in sorted(os.walk("/env")):
    for name in sorted(files):
        path = os.path.join(place, name)
        kind = os.readlink(path) if os.path.islink(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
        print(path, kind, oct(os.lstat(path).st_mode))
"""


def unshared(client: DockerClient) -> set[str]:
    """What the build cache keeps of images that builds began with and that are gone."""
    results = client.api.df()["BuildCache"] or []  # an engine that never built anything says null
    return {
        each["ID"]
        for each in results
        if each["Description"] == "from local " and not each["Shared"] and not each["InUse"]
    }


def kept_bytecode(client: DockerClient) -> set[str]:
    """What the build cache keeps of bytecode for images to come."""
    results = client.api.df()["BuildCache"] or []
    return {
        each["ID"]
        for each in results
        if each["Type"] == "exec.cachemount" and "compile_bytecode.py" in each["Description"]
    }


@pytest.mark.parametrize("large", [False, True])
def test_a_large_wheel_is_installed_beside_the_compilation_and_compiled_too(
    large: bool, docker_engine: DockerEngine, client: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_images, "LARGE_BYTES", 1 if large else 50_000_000)
    below = tiny_wheelhouse(tmp_path)
    lock, wheelhouse = two_layers(below, PYTHON, "6.0")
    both = replace(lock, packages=tuple(replace(package, layer=Layer.BASE) for package in lock.packages))
    wheels = Wheelhouse(wheels=tuple(replace(wheel, layer=Layer.BASE) for wheel in wheelhouse.wheels))
    lines: list[str] = []
    image = docker_engine.make(both, wheels, lines.append, labels={})
    try:
        assert ("Resolved 2 packages" in " ".join(lines)) != large
        loading = said(client, image.reference, "-v", "-c", "import tiny, thin; print(tiny.ANSWER, thin.VERSION)")
        assert "42 6.0" in loading
        assert not re.search(r"code object from '?/env/\S+\.py\b", loading), "something had no bytecode"
    finally:
        docker_engine.remove_image(image.reference)


def test_environments_with_one_base_share_its_layer(
    docker_engine: DockerEngine, client: DockerClient, tmp_path: Path
) -> None:
    before = unshared(client)
    made = []
    below = tiny_wheelhouse(tmp_path)
    for overlay in ("1.0", "2.0"):
        lock, wheelhouse = two_layers(below, PYTHON, overlay)
        lines: list[str] = []
        made.append(docker_engine.make(lock, wheelhouse, lines.append, labels={}))
        assert ("installing 1 package of the base" in lines) == (overlay == "1.0")
        assert docker_engine.find(lock) == made[-1]
    first, second = (layers(client, image) for image in made)
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]
    assert [said(client, image.reference, "-c", "import thin; print(thin.VERSION)") for image in made] == ["1.0", "2.0"]

    layer = client.images.get(made[0].reference).labels[FROM]
    assert docker_engine.remove_image(made[0].reference)
    assert client.images.list(name=layer)
    assert docker_engine.remove_image(made[1].reference)
    assert not client.images.list(name=layer)
    assert unshared(client) <= before, "the build cache holds layers of images that are gone"
    assert {image.reference for image in made}.isdisjoint(image.reference for image in docker_engine.images())


@pytest.mark.parametrize("python", ["3.6", "3.7"])
def test_an_image_holds_the_lock_compiled_and_nothing_else(
    python: str,
    docker_engine: DockerEngine,
    client: DockerClient,
    cpython: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpython(python)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:planted-secret@127.0.0.1:1/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://planted-secret@127.0.0.1:1")
    lock, wheelhouse = two_layers(tiny_wheelhouse(tmp_path), python, "3.0")
    image = docker_engine.make(lock, wheelhouse, lambda _: None, labels={})
    try:
        assert image.python_full.startswith(f"{python}.")
        assert said(client, image.reference, "--version") == f"Python {image.python_full}"
        contents = said(client, image.reference, "-c", CONTENTS)
        assert f"site-packages/__pycache__/tiny.cpython-{python.replace('.', '')}.pyc" in contents
        assert "tiny_template.cpython" not in contents
        assert "uv" not in {line.split()[0].rpartition("/")[2] for line in contents.splitlines()}
        loading = said(client, image.reference, "-v", "-c", "import tiny, thin, json, unittest.mock")
        assert re.search(r"code object from '/env/\S+/tiny\.\S+\.pyc'", loading)
        assert not re.search(r"code object from '?/\S+\.py\b", loading), "something had no bytecode"
        history = str(client.images.get(image.reference).history()) + str(client.images.get(image.reference).attrs)
        assert "planted-secret" not in history + contents
        left = "import os; print(os.listdir('/mnt'), os.path.exists('/env/.uv'), os.listdir('/tmp'))"
        assert said(client, image.reference, "-c", left) == "[] False []"
    finally:
        docker_engine.remove_image(image.reference)


def test_the_same_lock_gives_the_same_contents_again(
    docker_engine: DockerEngine, client: DockerClient, tmp_path: Path
) -> None:
    lock, wheelhouse = two_layers(tiny_wheelhouse(tmp_path), PYTHON, "4.0")
    seen = []
    docker_engine.forget_kept()
    assert kept_bytecode(client) == set()
    for _ in range(2):
        image = docker_engine.make(lock, wheelhouse, lambda _: None, labels={})
        seen.append(said(client, image.reference, "-c", CONTENTS))
        docker_engine.remove_image(image.reference)
        assert kept_bytecode(client), "the second build finds no bytecode"
    assert seen[0] == seen[1]
    docker_engine.forget_kept()
    assert kept_bytecode(client) == set()
    assert "site-packages/thin.py" in seen[0]


def test_a_wheel_that_is_not_the_locked_one_is_refused_and_what_it_left_can_be_removed(
    docker_engine: DockerEngine, client: DockerClient, docker_image: Image, tmp_path: Path
) -> None:
    before = {image.reference for image in docker_engine.images()}
    lock, wheelhouse = two_layers(tiny_wheelhouse(tmp_path), PYTHON, "5.0")
    wrong = Wheelhouse(wheels=(wheelhouse.wheels[0], replace(wheelhouse.wheels[1], sha256="0" * 64)))
    with pytest.raises(BuildFailedError, match=r"Hash mismatch for `thin==5\.0`") as caught:
        docker_engine.make(lock, wrong, lambda _: None, labels={})
    assert caught.value.stage == "image-build"
    assert docker_engine.find(lock) is None
    (left,) = {image.reference for image in docker_engine.images()} - before
    assert client.images.get(left).labels[FROM].startswith("convergence-matrix/interpreter:3.7-")
    assert docker_engine.remove_image(left)


def test_an_interpreter_is_packed_twice_with_the_same_bytes(cpython: Callable[[str], None], tmp_path: Path) -> None:
    cpython(PYTHON)
    interpreter = newest_of(PYTHON)
    assert interpreter is not None
    assert write_tar(interpreter, tmp_path / "1.tar") == write_tar(interpreter, tmp_path / "2.tar")


def test_uv_in_a_container_uses_the_images_cpython_and_leaves_nothing(
    docker_engine: DockerEngine, client: DockerClient, tmp_path: Path
) -> None:
    images = EnvironmentImages(client, docker_engine._bases, Builder(build_client))
    interpreter = images.interpreter(Ground(PYTHON), lambda _: None)
    never = threading.Event()
    toolchain = DockerToolchain(
        client=client,
        image=interpreter,
        owner="test-of-uv",
        interrupted=never,
        files=docker_engine._files_of(cache_folder()),
    )
    found = toolchain.uv(["python", "find"], folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("/usr/local/bin/python")
    wrong = toolchain.uv(["pip", "compile", "missing.txt"], folder=tmp_path)
    assert wrong.returncode == 2
    assert "missing.txt" in wrong.stderr
    assert toolchain.python_full.startswith("3.7.")
    assert (
        client.containers.list(all=True, ignore_removed=True, filters={"label": "convergence-matrix.owner=test-of-uv"})
        == []
    )
