"""A Docker engine of its own on a disk of its own, in memory, that a test may fill: nobody else's engine is touched.

It may be one that does not see some folders of this machine, as an engine elsewhere sees none.
"""

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
    from collections.abc import Iterator, Sequence

    from runner.engines.protocol import Image

MEGABYTE = 1024**2
SIZE_BYTES = 500 * MEGABYTE
START_S = STOP_S = 60


@dataclass(frozen=True, kw_only=True)
class SmallEngine:
    """An engine in a folder: what DOCKER_HOST names it by, and the file system that it keeps its images on."""

    folder: Path
    hidden: tuple[Path, ...] = ()
    """Folders that it does not see: in its own view of what is mounted they are empty."""
    options: tuple[str, ...] = ()
    """Further ones of the daemon."""
    within: tuple[str, ...] = ("unshare", "--net", "--mount", "--propagation", "private", "--")
    """What starts it: in a network of its own that reaches nothing, and its own view of what is mounted."""

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/socket"

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

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

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start its daemon, and stop it by its own process in the end."""
        # With `--bridge none` an engine removes the bridge docker0 that it finds: its own network has none.
        hiding = [word for folder in self.hidden for word in (f"mount -t tmpfs tmpfs {folder}", "&&")]
        command = [
            *self.within,
            "sh",
            "-c",
            " ".join([*hiding, 'exec "$0" "$@"']),
            "dockerd",
            "--data-root",
            self.disk / "data",
        ]
        command += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid"]
        options = ["--host", self.host, "--bridge", "none", "--iptables=false", "--ip-forward=false"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *options, *self.options], stdout=log, stderr=log, start_new_session=True
            )
        try:
            _wait_for(self.host, process, self.folder / "log")
            yield process
        finally:
            process.terminate()
            process.wait(STOP_S)


def why_none() -> str:
    """Why no engine of its own can be started here; empty where one can."""
    if os.geteuid() != 0:
        return "a second Docker engine needs root"
    missing = [command for command in ("dockerd", "mount", "umount", "unshare") if shutil.which(command) is None]
    return f"{', '.join(missing)} not found" if missing else ""


@contextlib.contextmanager
def small_engine(*options: str, starts: bool = True, hidden: Sequence[Path] = ()) -> Iterator[SmallEngine]:
    """Make an engine, and start it, unless its test does that itself."""
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # a socket's path has 107 characters at most
    engine = SmallEngine(folder=folder, options=options, hidden=tuple(hidden))
    engine.disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", engine.disk], check=True)
    try:
        with engine.running() if starts else contextlib.nullcontext():
            yield engine
    finally:
        subprocess.run(["umount", engine.disk], check=True)
        shutil.rmtree(engine.folder)


def copy_image(image: Image, engine: SmallEngine) -> None:
    """Copy an image from the machine's engine to another one."""
    with subprocess.Popen(["docker", "-H", "unix:///var/run/docker.sock", "save", image.reference], stdout=-1) as saved:
        subprocess.run(["docker", "-H", engine.host, "load"], stdin=saved.stdout, check=True, capture_output=True)


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while subprocess.run(["docker", "--host", host, "version"], capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < until, "the engine does not answer"
        time.sleep(0.2)
