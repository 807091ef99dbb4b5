"""Who ended a container, by what the engine was told of it: script and kernel, this runner, or somebody else."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from runner.engines.docker.container_events import look_into
from runner.errors import EngineLostError


class Told:
    """An engine that was told of these actions; `status` is that of its answer, and none comes where it is None."""

    base_url = "http+docker://localhost"
    api_version = "1.41"

    def __init__(self, *actions: str, status: int | None = 200) -> None:
        self.actions, self.status = actions, status
        self.until = 0.0
        self.api = self

    def get(self, url: str, *, params: dict[str, str], timeout: float) -> requests.Response:
        filters = json.loads(params["filters"])
        assert (url, params["since"], filters["container"]) == (f"{self.base_url}/v1.41/events", "1", ["abc"])
        self.until = float(params["until"])
        if self.status is None:
            raise requests.ReadTimeout(f"nothing in {timeout} s")
        answer = requests.Response()
        answer.status_code = self.status
        told = [json.dumps({"Action": action}) for action in self.actions if action in filters["event"]]
        answer.raw = io.BytesIO("\n".join(told).encode())
        return answer


def state(code: int, *, oom: bool = False) -> dict[str, Any]:
    return {"ExitCode": code, "OOMKilled": oom, "FinishedAt": "1970-01-01T00:01:40.5Z"}


def looked_into(told: Told, code: int, *, oom: bool = False, is_ours: bool = False) -> dict[str, Any]:
    client: Any = told
    container: Any = SimpleNamespace(id="abc")
    return look_into(client, container, state(code, oom=oom), is_ours=is_ours)


@pytest.mark.parametrize("action", ["kill", "pause", "restart", "update"])
@pytest.mark.parametrize("code", [0, 1, 137, 143])
def test_what_somebody_else_did_is_nobody_s_verdict(action: str, code: int) -> None:
    with pytest.raises(EngineLostError, match=rf"the engine was told: {action}\)"):
        looked_into(Told("oom", action), code)


@pytest.mark.parametrize("status", [None, 500])
def test_an_engine_that_does_not_say_what_it_was_told_is_lost_and_not_waited_for(status: int | None) -> None:
    with pytest.raises(EngineLostError, match="stopped answering while looking at a trial"):
        looked_into(Told(status=status), 0)


def test_a_runner_that_ended_a_container_itself_is_nobody_else() -> None:
    assert looked_into(Told("kill"), 137, is_ours=True) == state(137)
    with pytest.raises(EngineLostError, match="pause"):
        looked_into(Told("kill", "pause"), 137, is_ours=True)


@pytest.mark.parametrize(
    ("code", "oom", "actions", "waited_s", "expected"),
    [
        (0, False, (), 0.02, False),
        (143, False, (), 0.1, False),
        (137, False, (), 2.0, False),
        (137, False, ("oom",), 2.0, True),
        (137, True, (), 0.1, True),
        (1, False, ("oom",), 0.02, False),
        (0, True, ("oom",), 0.02, True),
    ],
)
def test_memory_that_ran_out_may_be_told_a_moment_later(
    code: int, oom: bool, actions: tuple[str, ...], waited_s: float, expected: bool
) -> None:
    told = Told(*actions)
    assert looked_into(told, code, oom=oom)["OOMKilled"] is expected
    assert told.until - 100.5 == pytest.approx(waited_s)
