"""The connection to an engine: its absence is explained, and its failures become errors of ours."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from docker.errors import APIError

from runner.engines.docker.daemon import await_answer, command_variables, connect, engine_errors, engine_host
from runner.errors import EngineFullError, EngineLostError, MachineError, NoEngineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


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
    assert time.monotonic() - started < 30


def api_error(status: int, explanation: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("failed", response=response, explanation=explanation)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            api_error(500, "write /x: no space left on device"),
            EngineFullError,
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


class Restarted:
    """An engine that does not answer the first times."""

    def __init__(self, silent: int) -> None:
        self.silent = silent

    def ping(self) -> bool:
        self.silent -= 1
        if self.silent >= 0:
            raise requests.exceptions.ConnectionError("gone")
        return True


def test_an_engine_that_is_restarted_is_waited_for() -> None:
    engine: Any = Restarted(silent=1)
    await_answer(engine, threading.Event(), 60)
    assert engine.silent == -1


def test_an_engine_that_stays_silent_is_said_once_and_not_asked_again() -> None:
    engine: Any = Restarted(silent=1000)
    with pytest.raises(MachineError, match=r"stopped, and has not answered for 0 s(.|\n)*goes on from there") as caught:
        await_answer(engine, threading.Event(), 0)
    assert not isinstance(caught.value, EngineLostError)
    stopped = threading.Event()
    stopped.set()
    await_answer(engine, stopped, 60)
    assert engine.silent == 999


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker command's own settings, with a context `far` that is not the current one."""
    place = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest()
    place.mkdir(parents=True)
    endpoint = {"Host": "tcp://10.1.2.3:2376", "SkipTLSVerify": False}
    (place / "meta.json").write_text(json.dumps({"Name": "far", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config.json"


def spoken_to() -> tuple[str, str | None, str | None]:
    """The engine that the SDK speaks to; and what tells the docker command which one it is."""
    variables = command_variables()
    return engine_host(), variables.get("DOCKER_HOST"), variables.get("DOCKER_CONTEXT")


def test_the_context_of_the_docker_command_holds_for_the_sdk_too(
    contexts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = "unix:///var/run/docker.sock"
    assert spoken_to() == (usual, usual, None)
    contexts.write_text('{"currentContext": "far"}')
    assert spoken_to() == ("tcp://10.1.2.3:2376", None, "far"), "by its name: the command has its keys"
    contexts.write_text("{}")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert spoken_to() == ("tcp://10.1.2.3:2376", None, "far")
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@there")
    assert spoken_to()[:2] == ("ssh://me@there", "ssh://me@there"), "an address wins over every context"


@pytest.mark.usefixtures("contexts")
def test_a_context_that_is_named_and_is_not_there_is_no_other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "farr")
    with pytest.raises(UsageError, match=r"DOCKER_CONTEXT is 'farr', and there is no such context"):
        connect()


def test_an_engine_behind_ssh_is_reached_by_a_forwarded_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@there:2222")
    with pytest.raises(NoEngineError, match=r"-L /tmp/far.sock:/var/run/docker.sock me@there:2222` running, and set"):
        connect()
