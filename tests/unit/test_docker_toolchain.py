"""The toolchain of a base image: whose compiler stands in where it has none, and how long its uv may take."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from runner.engines.docker.container_toolchain import DockerToolchain
from runner.engines.docker.mounted_files import MountedFiles
from runner.environments.interpreters import HostToolchain, find_interpreters
from runner.errors import EngineLostError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("one", find_interpreters()[:1], ids=lambda one: one.version)
def test_only_a_base_image_that_was_made_here_of_the_same_cpython_is_compiled_for_by_this_machine(one: Any) -> None:
    def compiling(python_full: str, *, is_of_here: bool) -> Any:
        image: Any = SimpleNamespace(python_full=python_full)
        client: Any = None
        never = threading.Event()
        toolchain = DockerToolchain(
            client=client, files=MountedFiles(), image=image, owner="me", interrupted=never, is_of_here=is_of_here
        )
        return toolchain.compiling

    assert compiling(one.version, is_of_here=True) == HostToolchain(interpreter=one)
    assert compiling(one.version, is_of_here=False) is None
    assert compiling(f"{one.minor}.99", is_of_here=True) is None
    assert compiling("3.1.5", is_of_here=True) is None


def test_an_engine_that_never_tells_of_the_end_of_uv_is_lost_after_an_hour_and_its_container_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def wait(*, timeout: float | None) -> None:
        asked.append(timeout)
        raise requests.ReadTimeout("nothing")

    uv: Any = SimpleNamespace(start=lambda: None, wait=wait, remove=lambda **_: asked.append("removed"))
    monkeypatch.setattr(DockerToolchain, "_uv_container", lambda *_: uv)
    monkeypatch.setattr(DockerToolchain, "_program", tmp_path / "uv")
    nothing: Any = SimpleNamespace(tag="base", program="python3")
    toolchain = DockerToolchain(
        client=nothing, files=MountedFiles(), image=nothing, owner="me", interrupted=threading.Event()
    )
    with pytest.raises(EngineLostError, match="stopped answering while running uv in a container"):
        toolchain._uv(["--version"], tmp_path, tmp_path / "cache")
    assert asked == [3600, "removed"]
