"""A Dask scheduler and workers as processes of this machine, each worker with a cache of its own, as on other hosts.

With hosts (`host_network`), each is started on the one of its name, the scheduler on `scheduler`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from command import REPOSITORY
from waiting import until

from runner.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from host_network import Host

_PIDS = next((one for one in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if one.is_dir()), Path())
_ADDRESS = re.compile(r"Scheduler at: +(tcp://\S+)")


@dataclass
class DaskCluster:
    """A scheduler that is there, and the workers that were started for it, by name."""

    folder: Path
    hosts: Mapping[str, Host] = field(default_factory=dict)
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        """Start the scheduler; at its former address, where it had one."""
        log = self.folder / "scheduler.log"
        host = self.hosts["scheduler"].address if self.hosts else "127.0.0.1"
        port = self.address.rpartition(":")[2] or "0"
        command = ("dask", "scheduler", "--host", host, "--port", port, "--no-dashboard")
        self.scheduler = self._started("scheduler", *command)
        until(lambda: _ADDRESS.search(log.read_text("utf-8")), "the scheduler")
        found = _ADDRESS.search(log.read_text("utf-8"))
        assert found
        self.address = found[1]

    def add(self, name: str, *options: str, machine: str = "", **variables: str) -> None:
        """Start a worker of two threads; those of one `machine` share its cache, `here` is that of this process."""
        cache = cache_folder() if machine == "here" else self.folder / f"cache-{machine or name}"
        cache.mkdir(exist_ok=True)
        command = ("dask", "worker", self.address, "--name", name, "--nthreads", "2", "--no-dashboard")
        place = ("--local-directory", str(self.folder / name))
        log = self.folder / f"{name}.log"
        self.workers[name] = self._started(name, *command, *place, *options, RUNNER_CACHE=str(cache), **variables)
        process = self.workers[name]
        until(lambda: "Registered to" in log.read_text("utf-8") or process.poll() is not None, f"worker {name}")
        assert process.poll() is None, f"worker {name} ended by itself:\n{log.read_text('utf-8', 'replace')}"

    def kill(self, name: str) -> None:
        """End a worker and its nanny as a power cut does; what its job's supervisor does then is its own matter."""
        process = self.workers.pop(name)
        nanny = psutil.Process(process.pid)
        found = [nanny, *nanny.children()]  # not the supervisors of jobs below the worker
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def crowded(self, name: str) -> Iterator[None]:
        """Let a worker start no more threads and processes, as where something has taken all that there may be."""
        group = _PIDS / f"convergence-matrix-{os.getpid()}"
        group.mkdir()
        try:
            (group / "pids.max").write_text("1")  # one may come with more, and may start none
            nanny = psutil.Process(self.workers[name].pid)
            found = [one for one in nanny.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
            for one in found:
                (group / "cgroup.procs").write_text(str(one.pid))
            yield
        finally:
            for pid in (group / "cgroup.procs").read_text().split():
                (_PIDS / "cgroup.procs").write_text(pid)
            group.rmdir()

    def jobs(self) -> list[int]:
        """The processes that work in the workers' folders, the workers apart."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):  # whose folder has too long a name is none of ours
                inside = process.cwd().startswith(f"{self.folder}/") and "/jobs/" in process.cwd()
                if inside and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def left(self) -> list[str]:
        """The folders of runs that workers keep."""
        return [str(path) for path in self.folder.glob("*/dask-scratch-space/*/convergence-matrix-*")]

    def stop(self) -> None:
        """End all."""
        for process in (*self.workers.values(), self.scheduler):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
        for process in (*self.workers.values(), self.scheduler):
            if process is not None:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def _started(self, name: str, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        words = (sys.executable, "-m", *command)
        with (self.folder / f"{name}.log").open("wb") as stream:
            return subprocess.Popen(
                self.hosts[name].command(*words) if self.hosts else words,
                cwd=self.folder,
                env={**os.environ, "RUNNER_BASE": "offline", **variables},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )


def documented(way: str, changes: Mapping[str, str]) -> str:
    """The code that the page has for a way to get workers, with what must be another text here; each stands once."""
    page = (REPOSITORY / "docs" / "cluster.md").read_text()
    block = re.search(rf"\*\*{re.escape(way)}\*\*.*\n\n((?:    .*\n)+)", page)
    assert block
    code = block[1].replace("\n    ", "\n").removeprefix("    ")
    for old, new in changes.items():
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    return code


@contextlib.contextmanager
def dask_cluster(folder: Path, hosts: Mapping[str, Host] | None = None) -> Iterator[DaskCluster]:
    """A cluster without workers in an empty folder."""
    folder.mkdir()
    cluster = DaskCluster(folder, hosts or {})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
