"""What the engine was told of a container: that its memory ran out, and what somebody else did to it.

A trial whose container was killed, paused, restarted or squeezed from outside says nothing of its script. What a script
does to itself, and what the kernel does to it for its memory, the engine is not told to do.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.engines.docker.daemon import REQUEST_S, engine_errors
from runner.errors import EngineLostError

if TYPE_CHECKING:
    from docker.models.containers import Container

    from docker import DockerClient


KILLED = 128 + 9
_OUT_OF_MEMORY = "oom"
_OUT_OF_MEMORY_S = 2.0
"""The engine may hear of a container's end before it hears that its memory ran out; then the state does not say so."""
_KILL = "kill"
_ACTIONS = (_KILL, "pause", "restart", "update")
"""What somebody may tell an engine to do to a container; `docker stop` and `docker rm --force` are kills."""
_MOMENT_S, _NO_MOMENT_S = 0.1, 0.02
"""The engine may tell of a kill just after the end that it brought. A script that answers a signal with a code of its
own takes longer for that than the engine for the telling."""


def look_into(client: DockerClient, container: Container, state: dict[str, Any], *, is_ours: bool) -> dict[str, Any]:
    """The state of a container that has ended, with whether its memory ran out; `is_ours`: this runner ended it.

    Raises EngineLostError where somebody else acted on it.
    """
    sudden = state["ExitCode"] == KILLED and not state["OOMKilled"] and not is_ours
    ended = datetime.fromisoformat(state["FinishedAt"]).timestamp()  # by the engine's clock
    by_signal = _MOMENT_S if state["ExitCode"] > 128 else _NO_MOMENT_S  # so a shell tells of signals
    told = _told(client, container, until=ended + (_OUT_OF_MEMORY_S if sudden else by_signal))
    if others := [action for action in _ACTIONS if action in told and not (action == _KILL and is_ours)]:
        raise EngineLostError(
            f"Somebody outside of this run acted on a trial's container (the engine was told: {', '.join(others)}):"
            " that says nothing of the script. Nothing of this trial is kept; the next run makes it."
        )
    return {**state, "OOMKilled": state["OOMKilled"] or (sudden and _OUT_OF_MEMORY in told)}


def _told(client: DockerClient, container: Container, *, until: float) -> set[str]:
    """The actions on a container that the engine knows of; asked soon, for it remembers the latest 256 of all."""
    wanted = json.dumps({"container": [container.id], "event": [_OUT_OF_MEMORY, *_ACTIONS]})
    with engine_errors("looking at a trial"):
        # the SDK's own question knows whole seconds alone, and waits for an answer without end
        answer = client.api.get(
            f"{client.api.base_url}/v{client.api.api_version}/events",
            params={"since": "1", "until": f"{until:.3f}", "filters": wanted},
            timeout=REQUEST_S,
        )
        answer.raise_for_status()
        return {json.loads(line)["Action"] for line in answer.iter_lines()}
