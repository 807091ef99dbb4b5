"""Whose compiler stands in where a base image has none: this machine's, if the image was made of its very CPython."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from runner.engines.docker.container_toolchain import DockerToolchain
from runner.engines.docker.mounted_files import MountedFiles
from runner.environments.interpreters import HostToolchain, find_interpreters


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
