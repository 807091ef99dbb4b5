"""The connection to an engine: its absence is explained, and its failures become errors of ours."""

from __future__ import annotations

import time

import pytest
import requests
from docker.errors import APIError

from runner.engines.docker.daemon import connect, engine_errors
from runner.errors import EngineLostError, MachineError, NoEngineError


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
