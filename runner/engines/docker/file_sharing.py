"""Whether an engine sees the files of this machine: found out, not guessed from its address.

The engine behind a local socket may run in a machine of its own (Docker Desktop, a socket that ssh forwards), and the
one behind an address may share a disk. So it is asked to mount files of random names, and refuses where it sees none.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import struct
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.docker.daemon import engine_errors, engine_host
from runner.engines.world import PROBE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docker import DockerClient


_ENGINE_PID, _ENGINE_NAME = Path("/run/docker.pid"), "dockerd"
_NOTHING = b"\0" * 1024
"""An archive without files."""
_UNSEEN = ("does not exist", "no such file", "mounts denied", "not shared")


def sees_mounts() -> bool:
    """True where the engine is one of this machine, and in this process's own view of what is mounted."""
    pid = _engine_pid(engine_host())
    try:
        return pid is not None and os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")  # noqa: PTH115 - names no path
    except OSError:
        return False


def _engine_pid(host: str) -> int | None:
    """The process that listens at a local socket; the engine that wrote its number, where the system's first does."""
    if not host.startswith("unix://") or not hasattr(socket, "SO_PEERCRED"):
        return None
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as local:
        local.connect(host.removeprefix("unix://"))
        pid: int = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        if pid == 1:
            return int(_ENGINE_PID.read_text("ascii"))
        return pid if Path(f"/proc/{pid}/comm").read_text().strip() == _ENGINE_NAME else None  # or ssh listens there
    return None


def sees(client: DockerClient, folders: Iterable[Path], labels: Mapping[str, str]) -> bool:
    """True where the engine can mount what is in these folders of this machine, and the probe; nothing is started.

    `labels` are those of the container that is made for it, should this process be killed meanwhile.
    """
    import docker.errors  # noqa: PLC0415 - imported by now
    from docker.types import Mount  # noqa: PLC0415

    files = [folder / f"seen-{secrets.token_hex(16)}" for folder in folders]
    mounts = [
        Mount(target=f"/seen/{number}", source=str(source), type="bind", read_only=True)
        for number, source in enumerate([PROBE, *files])
    ]
    image = ""
    try:
        for file in files:
            file.touch()
        with engine_errors("finding out whether it shares files"):
            told = client.api.import_image_from_data(_NOTHING)
            image = json.loads(told.strip().splitlines()[-1])["status"]
            try:
                client.containers.create(image, ["-"], mounts=mounts, labels=dict(labels)).remove(force=True)
            except docker.errors.APIError as error:
                said = str(error.explanation or error).lower()
                if error.status_code == HTTPStatus.BAD_REQUEST or any(words in said for words in _UNSEEN):
                    return False
                raise
        return True
    finally:
        for file in files:
            file.unlink(missing_ok=True)
        if image:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(image, force=True)
