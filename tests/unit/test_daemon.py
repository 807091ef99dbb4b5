"""Which docker command builds, what is said where no engine answers, and what an engine's failures mean."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests
from docker.errors import APIError

from runner.engines.docker import buildkit
from runner.engines.docker.buildkit import build_client
from runner.engines.docker.daemon import connect, engine_errors
from runner.errors import EngineLostError, MachineError, NoEngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BARE = 'case "$*" in --version) echo "Docker version 28.2.2, build e6534b4" ;; *) exit 1 ;; esac'
LEGACY = 'case "$*" in --version) echo "Docker version 20.10.24+dfsg1, build 297e128" ;; *) exit 1 ;; esac'
BUILDX = """case "$*" in
    --version) echo "Docker version 28.2.2, build e6534b4" ;;
    "buildx version") echo "github.com/docker/buildx v0.24.0 d0e5e86" ;;
esac"""


@pytest.fixture
def path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Path]]]:
    """Put `docker` commands on PATH, in this order, and no other ones."""

    def put(*scripts: str) -> list[Path]:
        commands = []
        for number, script in enumerate(scripts):
            folder = tmp_path / str(number)
            folder.mkdir()
            command = folder / "docker"
            command.write_text(f"#!/bin/sh\n{script}\n")
            command.chmod(0o755)
            commands.append(command)
        monkeypatch.setenv("PATH", ":".join(str(command.parent) for command in commands))
        monkeypatch.setattr(buildkit, "SYSTEM_FOLDER", str(tmp_path / "none"))
        return commands

    build_client.cache_clear()
    yield put
    build_client.cache_clear()


def test_the_first_command_that_can_build_is_taken_not_the_first_on_path(path_of: Callable[..., list[Path]]) -> None:
    _, legacy = path_of(BARE, LEGACY)
    client = build_client()
    assert (client.path, client.buildx) == (legacy, False)
    assert str(client) == f"{legacy} (BuildKit of docker 20.10.24+dfsg1)"
    assert client.command("folder") == [str(legacy), "build", "--progress", "plain", "folder"]
    assert client.environment()["DOCKER_BUILDKIT"] == "1"


def test_a_command_with_buildx_loads_what_it_builds(path_of: Callable[..., list[Path]]) -> None:
    (command,) = path_of(BUILDX)
    client = build_client()
    assert str(client) == f"{command} (buildx 0.24.0)"
    assert client.command("folder") == [str(command), "buildx", "build", "--load", "--progress", "plain", "folder"]


@pytest.mark.parametrize(
    ("scripts", "found"),
    [((BARE,), r"/0/docker \(28\.2\.2\) has no buildx plugin"), ((), "there is no docker command on PATH")],
)
def test_where_no_command_can_build_it_is_said_with_a_remedy(
    scripts: tuple[str, ...], found: str, path_of: Callable[..., list[Path]]
) -> None:
    path_of(*scripts)
    with pytest.raises(MachineError, match=f"(?s)No docker command here can build.*{found}.*Install the plugin"):
        build_client()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:///nowhere/docker.sock", "nothing is there.\nInstall Docker"),
        ("tcp://127.0.0.1:9", "nothing listens there.\nStart the engine"),
    ],
)
def test_where_no_engine_answers_the_reason_and_a_remedy_are_said_soon(
    host: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    started = time.monotonic()
    with pytest.raises(NoEngineError) as caught:
        connect()
    assert str(caught.value).startswith(f"No Docker engine answers at {host}: {reason}")
    assert time.monotonic() - started < 3


def api_error(status: int, explanation: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("failed", response=response, explanation=explanation)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            api_error(500, "write /x: no space left on device"),
            MachineError,
            r"disk of the Docker engine is full.*clean",
        ),
        (api_error(500, "oops"), EngineLostError, "The Docker engine failed while running it: oops"),
        (api_error(409, "in use"), MachineError, "The Docker engine refused while running it: in use"),
        (requests.exceptions.ConnectionError("gone"), EngineLostError, "stopped answering while running it: gone"),
        (ConnectionResetError("reset"), EngineLostError, "stopped answering while running it: reset"),
    ],
)
def test_failures_of_an_engine_are_told_apart(error: Exception, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, engine_errors("running it"):
        raise error
    assert type(caught.value) is kind
