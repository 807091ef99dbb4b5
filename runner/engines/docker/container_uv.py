"""The uv that runs in containers: this machine's own where it fits them, else that release for their system."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import cache_folder, write_whole
from runner.engines.docker.daemon import engine_errors
from runner.environments.file_store import obtain
from runner.errors import MachineError

if TYPE_CHECKING:
    from docker import DockerClient


MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Kinds of machine as an engine names them, and as Linux does."""


def container_uv(client: DockerClient, image: str) -> Path:
    """The program, as it runs in an image of this engine. Raises MachineError where it can't be had."""
    from uv import find_uv_bin  # noqa: PLC0415 - only where something is made

    with engine_errors(f"looking at {image}"):
        kind = str(client.images.get(image).attrs["Architecture"])
    machine = MACHINES.get(kind, kind)
    if sys.platform == "linux" and platform.machine() == machine:
        return Path(find_uv_bin())
    return fetched_uv(machine)


def fetched_uv(machine: str) -> Path:
    """The program for Linux on a kind of machine, in the cache; fetched from the index once.

    Raises MachineError where the index has none.
    """
    place = cache_folder() / "uv-programs" / f"{importlib.metadata.version('uv')}-{machine}" / "uv"
    if not place.is_file():
        write_whole(place, _program(machine))
    if not os.access(place, os.X_OK):  # just written; or by a thread that is about to, or a runner that was killed
        place.chmod(0o755)
    return place


def _program(machine: str) -> bytes:
    from runner.environments.index.catalog import Catalog  # noqa: PLC0415 - only where the own one does not fit

    version = importlib.metadata.version("uv")
    catalog = Catalog()
    with contextlib.closing(catalog.connection):
        project = catalog.project("uv")
        release = project and project.release(version)
        files = [
            file
            for file in (release.files if release else ())
            if "manylinux" in file.filename and file.filename.endswith(f"_{machine}.whl")
        ]
        if not files:
            raise MachineError(
                f"The index has no uv {version} for Linux on {machine}, which makes environments in containers. Install"
                " another release of uv beside this tool, or use `--engine venv`."
            )
        wheel = obtain(files[0], catalog.connection, lambda _: None)
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".data/scripts/uv")))
