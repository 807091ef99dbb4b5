"""The Docker engine that the user's configuration names: the connection to it, and its failures as errors of ours."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from runner.errors import EngineLostError, MachineError, NoEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient


CONNECT_S = 2
REQUEST_S = 60
_DEFAULT_HOST = "unix:///var/run/docker.sock"


def engine_host() -> str:
    """The engine's address: $DOCKER_HOST, else the current context of the docker command."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI  # noqa: PLC0415 - the SDK takes 0.2 s to import
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        return ContextAPI.get_current_context().Host or _DEFAULT_HOST
    except (DockerException, OSError, ValueError, AttributeError):
        return _DEFAULT_HOST


def connect() -> DockerClient:
    """Open a connection. Raises NoEngineError, with the reason and a remedy, where no engine answers in 2 s."""
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    import docker  # noqa: PLC0415 - takes 0.2 s to import

    host = engine_host()
    try:
        _knock(host)
        client = docker.from_env(timeout=CONNECT_S, environment=os.environ | {"DOCKER_HOST": host})
    except (DockerException, RequestException, OSError) as error:
        reason, remedy = _why_silent(str(error), host)
        raise NoEngineError(f"No Docker engine answers at {host}: {reason}\n{remedy}") from None
    client.api.timeout = REQUEST_S
    return client


def _knock(host: str) -> None:
    """Try a local socket first: the SDK wraps what fails there in layers of its own, and leaves the socket open."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as local:
            local.settimeout(CONNECT_S)
            local.connect(host.removeprefix("unix://"))


def _why_silent(text: str, host: str) -> tuple[str, str]:
    if "Permission denied" in text:
        return "this user may not use it.", "Join its group (`sudo usermod -aG docker $USER`, then log in again)."
    if "No such file" in text:
        return "nothing is there.", "Install Docker, or start it, or name another engine in DOCKER_HOST."
    if "refused" in text:
        return "nothing listens there.", "Start the engine (`sudo systemctl start docker`)."
    if "timed out" in text or "timeout" in text:
        return f"no answer in {CONNECT_S} s.", "Look at the engine's own log, or restart it."
    return f"{text.splitlines()[0][:200] if text else 'no reason given'}.", f"Check that {host} is a Docker engine."


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn the SDK's failures into ours; `doing` completes "while …".

    Raises MachineError where the engine refuses or its disk is full, EngineLostError where it stopped answering.
    """
    import docker.errors  # noqa: PLC0415 - imported by now
    import requests.exceptions  # noqa: PLC0415
    import urllib3.exceptions  # noqa: PLC0415

    try:
        yield
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        if is_full(text):
            raise disk_is_full(doing) from None
        if error.is_server_error():
            raise EngineLostError(f"The Docker engine failed while {doing}: {text}") from error
        raise MachineError(f"The Docker engine refused while {doing}: {text}") from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        raise EngineLostError(f"The Docker engine stopped answering while {doing}: {error}") from error


def is_full(text: str) -> bool:
    """True where a message of the engine means a full disk."""
    return "no space left on device" in text.lower() or "disk quota exceeded" in text.lower()


def disk_is_full(doing: str) -> MachineError:
    """The error for a full disk of the engine."""
    return MachineError(
        f"The disk of the Docker engine is full (while {doing}). `clean` removes this tool's images,"
        " `docker system prune` what nobody uses."
    )
