"""A Docker engine of its own on a disk of its own, in memory, that a test may fill: nobody else's engine is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1024**2
SIZE_BYTES = 500 * MEGABYTE
START_S = STOP_S = 60


@dataclass(frozen=True, kw_only=True)
class SmallEngine:
    """A running engine: what DOCKER_HOST names it by, and the file system that it keeps its images on."""

    host: str
    disk: Path

    @contextlib.contextmanager
    def full_but(self, free_bytes: int) -> Iterator[None]:
        """Leave only so much free, for a while."""
        filler = self.disk / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.disk).free - free_bytes)
        try:
            yield
        finally:
            filler.unlink()


def why_none() -> str:
    """Why no engine of its own can be started here; empty where one can."""
    if os.geteuid() != 0:
        return "a second Docker engine needs root"
    missing = [command for command in ("dockerd", "mount", "umount", "unshare") if shutil.which(command) is None]
    return f"{', '.join(missing)} not found" if missing else ""


@contextlib.contextmanager
def small_engine() -> Iterator[SmallEngine]:
    """Start an engine, and stop it by its own process in the end."""
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # a socket's path may have 107 characters only
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", disk], check=True)
    try:
        with _daemon(folder, disk) as host:
            yield SmallEngine(host=host, disk=disk)
    finally:
        subprocess.run(["umount", disk], check=True)
        shutil.rmtree(folder)


@contextlib.contextmanager
def _daemon(folder: Path, disk: Path) -> Iterator[str]:
    host = f"unix://{folder}/socket"
    # With `--bridge none` an engine removes the bridge docker0 that it finds: in a network of its own there is none.
    command = [
        "unshare",
        "--net",
        "--",
        "dockerd",
        "--data-root",
        disk / "data",
        "--exec-root",
        folder / "exec",
        "--pidfile",
        folder / "pid",
    ]
    options = ["--host", host, "--bridge", "none", "--iptables=false", "--ip-forward=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(host, process, folder / "log")
        yield host
    finally:
        process.terminate()
        process.wait(STOP_S)


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while subprocess.run(["docker", "--host", host, "version"], capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < until, "the engine does not answer"
        time.sleep(0.2)
