"""A platform that the engine of this machine can't run, told before anything is made; real locks for others."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from runner.engines.docker.daemon import connect, engine_platform
from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.docker.engine_machine import refuse_platform
from runner.environments.cpython_choice import resolve
from runner.environments.index.catalog import Catalog
from runner.environments.interpreters import HostToolchain, find_interpreters
from runner.environments.lock import Environment, Lock, Unresolvable
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

pytestmark = pytest.mark.docker


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    opened = connect()
    yield opened
    opened.close()


def test_an_engine_is_asked_what_it_can_run_and_nothing_is_left(client: docker.DockerClient) -> None:
    own = engine_platform(client)
    (other,) = {"linux/amd64", "linux/arm64"} - {own}
    refuse_platform(client, own, owner="here:1:1")
    with contextlib.closing(DockerEngine.connect("offline", platform=own)) as engine:
        assert (engine.platform, engine.emulated) == (own, "")
    if refused := _refusal(client, other):
        assert refused.startswith(f"The Docker engine can't run programs of {other}, which `platform:` asks for")
        with pytest.raises(MachineError, match=f"can't run programs of {other}"):
            DockerEngine.connect("registry", platform=other)
    with pytest.raises(MachineError, match=f"for its own processors, and `platform: {other}` asks for others"):
        DockerEngine.connect("offline", platform=other)
    assert client.images.list("convergence-matrix/passing") == []
    assert client.containers.list(all=True, filters={"label": "convergence-matrix.owner=here:1:1"}) == []


def _refusal(client: docker.DockerClient, platform: str) -> str:
    """What is said where the engine can't run a platform; empty where an emulator is installed."""
    try:
        refuse_platform(client, platform, owner="here:1:1")
    except MachineError as error:
        return str(error)
    return ""


def test_real_stacks_are_locked_for_a_platform_that_is_not_here() -> None:
    here = find_interpreters()
    catalog = Catalog()
    with contextlib.closing(catalog.connection):
        newer, older = (
            resolve(
                Environment(pins=(("tensorflow", version),), platform="linux/arm64"),
                catalog=catalog,
                pythons=tuple(dict.fromkeys(one.minor for one in here)),
                toolchain=lambda python: HostToolchain(next(one for one in here if one.minor == python)),
            )
            for version in ("2.20.0", "2.4.0")
        )
        assert isinstance(newer, Lock)
        assert newer.platform == "linux/arm64"
        (tensorflow,) = (one for one in newer.packages if one.name.startswith("tensorflow"))
        project = catalog.project(tensorflow.name)
        release = project.release(tensorflow.version) if project else None
        files = {f"sha256:{file.sha256}": file.filename for file in release.files} if release else {}
        assert all(files[text].endswith("_aarch64.whl") for text in tensorflow.hashes)
    assert isinstance(older, Unresolvable)
    assert older.reason == (
        "tensorflow 2.4.0 has no wheel for linux/arm64: `platform: linux/amd64` runs it emulated, in containers."
    )
