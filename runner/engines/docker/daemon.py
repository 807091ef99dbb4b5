"""The Docker engine that the user's configuration names: the connection to it, and its failures as errors of ours."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runner.errors import EngineFullError, EngineLostError, MachineError, NoEngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from docker import DockerClient


CONNECT_S, FAR_CONNECT_S = 2, 10
REQUEST_S = 60
RESTART_S = 60.0
"""An engine that is restarted answers again within this time."""
_ASK_AGAIN_S = 0.5
_DEFAULT_HOST = "npipe:////./pipe/docker_engine" if os.name == "nt" else "unix:///var/run/docker.sock"
_USUAL = frozenset({"runc", "crun"})
"""The programs of runtimes under which nothing but the kernel's own walls is around a container, by whatever name."""


def engine_host() -> str:
    """The engine's address: $DOCKER_HOST, else that of the context that the docker command would use."""
    return os.environ.get("DOCKER_HOST") or getattr(_context(), "Host", None) or _DEFAULT_HOST


def command_variables() -> dict[str, str]:
    """The environment of a docker command that speaks to the same engine, with the same keys."""
    variables = dict(os.environ)
    context = None if variables.get("DOCKER_HOST") else _context()
    if context is None or context.Name == "default":
        return variables | {"DOCKER_HOST": engine_host()}
    variables.pop("DOCKER_HOST", None)  # an empty one hides a context, too
    return variables | {"DOCKER_CONTEXT": context.Name}


def _context() -> Any:
    """The context that $DOCKER_CONTEXT or the docker command's own settings name; None where it can't be read."""
    from docker.context import ContextAPI  # noqa: PLC0415 - the SDK takes 0.2 s to import
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        return ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    except (DockerException, OSError, ValueError, AttributeError):
        return None


def connect() -> DockerClient:
    """Open a connection. Raises NoEngineError, with the reason and a remedy, where no engine answers in 2 s.

    One that is reached over a network has 10. Raises UsageError for a context that is named and is not there.
    """
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    import docker  # noqa: PLC0415 - takes 0.2 s to import

    host = engine_host()
    named = os.environ.get("DOCKER_CONTEXT")
    if named and not os.environ.get("DOCKER_HOST") and _context() is None:
        raise UsageError(f"DOCKER_CONTEXT is {named!r}, and there is no such context (`docker context ls` lists them).")
    is_near = host.startswith(("unix://", "npipe://"))
    timeout_s = CONNECT_S if is_near else FAR_CONNECT_S
    if host.startswith("ssh://"):
        raise NoEngineError(
            f"The engine at {host} is reached by a socket that ssh forwards, not by its address.\nKeep `ssh -N -L"
            f" /tmp/far.sock:/var/run/docker.sock {host.removeprefix('ssh://')}` running, and set"
            " DOCKER_HOST=unix:///tmp/far.sock."
        )
    try:
        _knock(host)
        if os.environ.get("DOCKER_HOST"):
            client = docker.from_env(timeout=timeout_s)
        else:
            tls = getattr(_context(), "TLSConfig", None) or False
            client = docker.DockerClient(base_url=host, tls=tls, timeout=timeout_s)
    except (DockerException, RequestException, OSError) as error:
        reason, remedy = _why_silent(str(error), host, timeout_s)
        raise NoEngineError(f"No Docker engine answers at {host}: {reason}\n{remedy}") from None
    client.api.timeout = REQUEST_S
    if is_near:
        client.api.trust_env = False  # no proxy leads to a socket of this machine, and each request would look for one
    return client


def _knock(host: str) -> None:
    """Try a local socket first: the SDK wraps what fails there in layers of its own, and leaves the socket open."""
    if host.startswith("unix://") and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as local:
            local.settimeout(CONNECT_S)
            local.connect(host.removeprefix("unix://"))


def _why_silent(text: str, host: str, timeout_s: int) -> tuple[str, str]:
    if "Permission denied" in text:
        return "this user may not use it.", "Join its group (`sudo usermod -aG docker $USER`, then log in again)."
    if "No such file" in text:
        return "nothing is there.", "Install Docker, or start it, or name another engine in DOCKER_HOST."
    if "refused" in text:
        return "nothing listens there.", "Start the engine (`sudo systemctl start docker`)."
    if "timed out" in text or "timeout" in text:
        return f"no answer in {timeout_s} s.", "Look at the engine's own log, or restart it."
    return f"{text.splitlines()[0][:200] if text else 'no reason given'}.", f"Check that {host} is a Docker engine."


def engine_platform(client: DockerClient) -> str:
    """The platform that the engine runs by itself: `linux/arm64`."""
    with engine_errors("asking the engine what it is"):
        return f"linux/{client.version()['Arch']}"


def unusual_runtime(client: DockerClient, named: str) -> str:
    """The runtime of containers, the named one or the engine's default; empty where that is the usual one.

    Raises UsageError where the engine has none of that name.
    """
    with engine_errors("asking the engine for its runtimes"):
        told = client.info()
    known = dict(sorted((told.get("Runtimes") or {}).items()))
    if named and named not in known:
        raise UsageError(
            f"The Docker engine at {engine_host()} has no runtime {named!r}; it has {', '.join(known) or 'none'}."
            ' Register it there ("runtimes" in its daemon.json), or name another in RUNNER_RUNTIME or in the'
            " configuration file."
        )
    default = str(told.get("DefaultRuntime") or "")
    runtime = named or default
    program = PurePosixPath((known.get(runtime) or {}).get("path") or runtime).name
    return "" if runtime == default and program in {"", *_USUAL} else runtime


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


def await_answer(client: DockerClient, interrupted: Event, patience_s: float) -> None:
    """Wait until the engine answers, as it soon does where it is restarted, or until `interrupted`.

    Raises MachineError where it does not answer.
    """
    deadline = time.monotonic() + patience_s
    while not interrupted.is_set():
        try:
            with engine_errors("starting anew"):
                client.ping()
                return
        except MachineError as error:
            if time.monotonic() >= deadline:
                raise MachineError(
                    f"The Docker engine stopped, and has not answered for {patience_s:.0f} s. What is finished is kept:"
                    " start the engine (`sudo systemctl start docker`), and the same command goes on from there."
                ) from error
        interrupted.wait(_ASK_AGAIN_S)


def is_full(text: str) -> bool:
    """True where a message of the engine means a full disk."""
    return "no space left on device" in text.lower() or "disk quota exceeded" in text.lower()


def disk_is_full(doing: str) -> EngineFullError:
    """The error for a full disk of the engine."""
    return EngineFullError(
        f"The disk of the Docker engine is full (while {doing}). `clean --older-than 0` removes this tool's images,"
        " `docker system prune` what nobody uses."
    )
