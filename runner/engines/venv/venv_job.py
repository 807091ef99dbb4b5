"""One running job of the `venv` engine: its world (folders, environment variables), its supervisor, its ending.

The job runs below `supervisor.py`, a process of its own that ends the whole tree when it is told to, or when this one dies.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import psutil

from runner.engines import orphans
from runner.engines.job_limits import LogFile, disk_bytes, watch
from runner.engines.processor import processor_model
from runner.own_folder import user_number
from runner.runner_mark import this_runner
from runner.engines.protocol import Cut, Ending, JobLostError
from runner.engines.venv.supervisor import descendants
from runner.engines.world import SYSTEM_PATH, host_layout, make_places, world_of
from runner.errors import CrowdedError, EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Event

    from runner.engines.protocol import Job
    from runner.engines.world import TrialWorld


SUPERVISOR = Path(__file__).with_name("supervisor.py")
LINUX = sys.platform == "linux"
"""Elsewhere (macOS) the kernel tells less of processes, and hands no orphans to a job's supervisor."""
_KILL_S = 20.0
_PUMP_END_S = 5.0
_PIPE_BYTES = 65536


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """The end of a job as its supervisor saw it; `status` is what waitpid gave."""

    status: int
    duration_s: float
    peak_bytes: int
    lost: str = ""
    """Why the supervisor did not tell: it was killed or stopped, by the machine or by the job."""


def lay_out(job: Job, world: TrialWorld) -> None:
    """Make the job's folders and map its data in.

    A mapped file or folder is a symlink to its source, which the job's supervisor makes read-only for it.
    """
    make_places(job, world)
    for data in world.data:
        if data.place.is_dir() and not data.place.is_symlink():
            shutil.rmtree(data.place)
        data.place.unlink(missing_ok=True)
        data.place.symlink_to(data.source)


def run(job: Job, environment: Path, interrupted: Event, *, shared: Path | None = None) -> Ending:
    """Run a job in an environment until it ends, passes a limit or is interrupted.

    `shared` is the base that it has with others: where the user is root, whom no permissions keep from writing there,
    the supervisor does.

    Raises JobLostError where its supervisor was lost, MachineError where its log could not be written.
    """
    world = world_of(job, host_layout(job.folder, environment))
    lay_out(job, world)
    with LogFile(job.folder.log, job.limits.log_bytes) as log:
        sources = [data.source for data in world.data]
        if shared and user_number() == 0:
            sources.append(shared)
        running = VenvJob(job, world, this_runner(), log, read_only=sources)
        try:
            seen = watch(job, running, interrupted)
        except BaseException:  # nothing that goes wrong here may leave the job behind
            running.end(None)
            raise
        reported = running.end(seen.cut)
        if running.too_many_processes:
            log.write(b"\n[ended by the runner: more than %d processes]\n" % job.limits.processes)
        if reported.lost:
            log.write(b"\n[ended with its supervisor: %s]\n" % reported.lost.encode())
    failed = reported.status != 0
    ending = Ending(
        exit_code=os.WEXITSTATUS(reported.status) if os.WIFEXITED(reported.status) else None,
        signal=os.WTERMSIG(reported.status) if os.WIFSIGNALED(reported.status) else None,
        cut=seen.cut or (Cut.DISK if failed and _disk_is_full(job) else None),
        duration_s=reported.duration_s,
        peak_memory_bytes=max(seen.peak_memory_bytes or 0, reported.peak_bytes),
        log_truncated=log.truncated,
        processor=processor_model(),
    )
    if reported.lost and seen.cut is None:
        raise JobLostError(f"The supervisor of {job.key} failed: {reported.lost}.", ending)
    return ending


def _disk_is_full(job: Job) -> bool:
    """True where the job exceeded its disk between the last look of the watch and its end."""
    return disk_bytes(job.folder, enough=job.limits.disk_bytes) > job.limits.disk_bytes


def shell_command(environment: Path, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
    """A shell that sees what a job in this environment sees, without the probe, and the user's terminal."""
    world = world_of(job, host_layout(job.folder, environment))
    lay_out(job, world)
    variables = {**world.variables, "TERM": os.environ.get("TERM", "dumb")}
    return (shutil.which("bash", path=SYSTEM_PATH) or "/bin/sh",), variables


class VenvJob:
    """A started job. `ended`, `memory_bytes` and `written_bytes` are what the watch looks at."""

    def __init__(self, job: Job, world: TrialWorld, owner: str, log: LogFile, read_only: Iterable[Path]) -> None:
        self._job = job
        self._log = log
        self._owner = owner
        self._said = b""
        self._reported = False
        self._began = time.monotonic()
        self._log_error: OSError | None = None
        self._tree: list[int] = []
        self.too_many_processes = False
        try:
            self._launcher = _launcher()
        except OSError as error:
            lost = EngineLostError(f"The supervisor of {job.key} could not be started: {error}.")
            raise CrowdedError.behind(error) or lost from error
        self._orders = cast("IO[bytes]", self._launcher.stdin)
        self._reports = cast("IO[bytes]", self._launcher.stdout)
        self._output = cast("IO[bytes]", self._launcher.stderr)
        self._pump = threading.Thread(target=self._write_log, name=f"log of {job.key}", daemon=True)
        self._pump.start()
        spec = {
            "argv": world.command,
            "env": {**world.variables, **world.probing, orphans.TRIAL: job.key, orphans.OWNER: owner},
            "folder": world.start,
            "root": str(job.folder.root),
            "short_tmp": str(Path(tempfile.gettempdir(), f"cm-{job.folder.root.name[:16]}")),
            "read_only": [str(path) for path in read_only],
            "cpus": list(job.cpus),
            "file_bytes": world.file_bytes,
            "processes": job.limits.processes,
            "linux": LINUX,
        }
        self._order(json.dumps(spec).encode() + b"\n")

    def ended(self, wait_s: float) -> bool:
        """Wait up to `wait_s` for the end of the job and of all that descends from it."""
        deadline = time.monotonic() + wait_s
        while not self._reported:
            ready, _, _ = select.select([self._reports], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return False
            data = os.read(self._reports.fileno(), _PIPE_BYTES)
            self._said += data
            self._reported = not data
        return True

    def memory_bytes(self) -> int | None:
        """Sum the resident memory of the job's processes; shared pages count once where the sum passes the limit."""
        self._tree = descendants(self._launcher.pid, LINUX)
        if len(self._tree) > self._job.limits.processes and not self.too_many_processes:
            self.too_many_processes = True
            self.kill()
        resident = sum(map(_resident_bytes, self._tree))
        if resident <= self._job.limits.memory_bytes or len(self._tree) == 1:
            return resident
        return sum(map(_proportional_bytes, self._tree))

    def written_bytes(self, *, enough: int, last: bool) -> int:
        """The bytes that the job holds on disk; its processes are those that the last look at its memory found."""
        return disk_bytes(self._job.folder, () if last else self._tree, enough=enough)

    def end(self, cut: Cut | None) -> Reported:
        """End what is left of the job and return how it ended; a job whose time is up is asked first.

        Raises EngineLostError where it could not be started, MachineError where the log could not be written.
        """
        self._launcher.send_signal(signal.SIGCONT)  # the job may have stopped it
        if cut is Cut.TIMEOUT and not self.ended(0.0):
            self._order(b"T")
            self.ended(self._job.limits.grace_s)
        if not self.ended(0.0):
            self.kill()
        report = self._report() if self.ended(_KILL_S) else {"lost": "it does not end"}
        if "status" not in report:
            self._launcher.kill()
        if "status" not in report or not LINUX:
            orphans.end_trial(self._job.key, self._owner)
        self._close()
        if "error" in report:
            raise EngineLostError(f"The supervisor of {self._job.key} failed: {report['error']}.")
        if self._log_error is not None:
            raise MachineError(f"The log {self._job.folder.log} could not be written: {self._log_error}.")
        if "lost" in report:
            took_s = time.monotonic() - self._began
            return Reported(status=signal.SIGKILL, duration_s=took_s, peak_bytes=0, lost=report["lost"])
        return Reported(**report)

    def kill(self) -> None:
        """Order the end of all the job's processes."""
        self._order(b"K")

    def _order(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended already: what it said is read by `ended`
            os.write(self._orders.fileno(), data)

    def _report(self) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", json.loads(self._said))
        except ValueError:
            return {"lost": "it was killed"}

    def _write_log(self) -> None:
        while data := os.read(self._output.fileno(), _PIPE_BYTES):
            if self._log_error is None:
                try:
                    self._log.write(data)
                except OSError as error:  # the job must not hang on a full pipe: go on reading
                    self._log_error = error

    def _close(self) -> None:
        self._launcher.wait()
        self._orders.close()
        self._reports.close()
        # Only a process that not even SIGKILL ends still holds the pipe then; its thread must not read another's file.
        self._pump.join(_PUMP_END_S)
        if not self._pump.is_alive():
            self._output.close()


def _launcher() -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-I", "-S", str(SUPERVISOR)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", bufsize=0, start_new_session=True)


def _resident_bytes(pid: int) -> int:
    if not LINUX:
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
        return 0
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0  # ended meanwhile


def _proportional_bytes(pid: int) -> int:
    """Memory with shared pages divided among those that share them, where the kernel tells; else what is resident."""
    found = None
    with contextlib.suppress(OSError):
        found = re.search(rb"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_bytes(), re.MULTILINE)
    return int(found[1]) * 1024 if found else _resident_bytes(pid)
