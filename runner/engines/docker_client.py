"""The way to a Docker engine: the connection, its failures in our words, and the `docker` command that can build.

The SDK runs and inspects; it speaks only to the legacy builder, so BuildKit is reached through a command.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import EngineLostError, MachineError, NoEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import DockerClient

CONNECT_S = 2
REQUEST_S = 60
SYSTEM_FOLDER = "/usr/bin"
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_LAST_LEGACY_MAJOR = 22
"""Clients up to Docker 22 carry a BuildKit front of their own, later ones only as the plugin buildx."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
NO_PROXIES = {variant: "" for name in _PROXIES for variant in (name, name.lower())}
"""Build arguments that keep the proxies of the user's docker configuration out of a build."""


def engine_host() -> str:
    """Where the engine is: $DOCKER_HOST, else the current context of the docker command."""
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
    """Whether the engine's words mean a full disk."""
    return "no space left on device" in text.lower() or "disk quota exceeded" in text.lower()


def disk_is_full(doing: str) -> MachineError:
    """Say what a user hears when the engine's disk is full."""
    return MachineError(
        f"The disk of the Docker engine is full (while {doing}). `clean` removes this tool's images,"
        " `docker system prune` what nobody uses."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildClient:
    """A `docker` command that speaks to BuildKit."""

    path: Path
    version: str
    buildx: bool

    def __str__(self) -> str:
        return f"{self.path} ({'buildx ' if self.buildx else 'BuildKit of docker '}{self.version})"

    def command(self, *arguments: str) -> list[str]:
        """Give the command line of a build with these arguments; the image ends up in the engine."""
        build = ["buildx", "build", "--load"] if self.buildx else ["build"]
        return [str(self.path), *build, "--progress", "plain", *arguments]

    def environment(self) -> Mapping[str, str]:
        """Give the environment that makes the command use BuildKit, in the engine that the SDK is connected to."""
        return os.environ | {
            "DOCKER_HOST": engine_host(),
            "DOCKER_BUILDKIT": "1",
            "BUILDX_BUILDER": "default",
            "DOCKER_CLI_HINTS": "false",
        }


@functools.cache
def build_client() -> BuildClient:
    """Find a `docker` command that can build, whatever the order of PATH.

    Raises MachineError where there is none: the first one on PATH may be a bare client without the plugin buildx.
    """
    seen: list[str] = []
    for path in _docker_commands():
        version = _said(path, "--version", r"version (\d+\.\S+?),")
        if version is None:
            continue
        if buildx := _said(path, "buildx version", r"v?(\d+\.\S+)"):
            return BuildClient(path=path, version=buildx, buildx=True)
        if int(version.partition(".")[0]) <= _LAST_LEGACY_MAJOR:
            return BuildClient(path=path, version=version, buildx=False)
        seen.append(f"{path} ({version}) has no buildx plugin")
    found = "; ".join(seen) or "there is no docker command on PATH"
    raise MachineError(
        f"No docker command here can build with BuildKit: {found}.\n"
        "Install the plugin (docker-buildx-plugin or docker-buildx), or Docker up to version 22, as Debian 12 has it."
    )


def docker_command() -> Path:
    """Find any `docker` command. Raises MachineError where there is none."""
    if (found := next(_docker_commands(), None)) is None:
        raise MachineError("There is no docker command on PATH.\nInstall Docker's command line (docker-cli).")
    return found


def _docker_commands() -> Iterator[Path]:
    """Every `docker` on PATH, then the system's, each file once."""
    known = set()
    for folder in [*os.environ.get("PATH", os.defpath).split(os.pathsep), SYSTEM_FOLDER]:
        found = shutil.which("docker", path=folder) if folder else None
        if found and Path(found).resolve() not in known:
            known.add(Path(found).resolve())
            yield Path(found)


def _said(path: Path, arguments: str, pattern: str) -> str | None:
    """Give what a command says of its version; None where it fails."""
    try:
        done = subprocess.run([path, *arguments.split()], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout)
    return found[1] if found and done.returncode == 0 else None
