"""Marks that tie a job to the runner that started it, and the processes of this machine that carry them.

A mark tells whether its runner still lives, so a later runner can end what a killed one left behind.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import time
from pathlib import Path

import psutil


def this_runner() -> str:
    """The mark of this process: machine, pid and the time it started, which together never come again."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """True where the runner with this mark is surely gone; False on another machine, and where it cannot be read."""
    machine, pid, started = (*owner.rsplit(":", 2), "", "")[:3]
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        return _started(int(pid)) != started
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except (psutil.AccessDenied, PermissionError):
        return False


@functools.cache
def _machine() -> str:
    """One boot of one kernel and one space of process numbers; the host's name where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')[5:-1]}"  # noqa: PTH115 - it links to no path: pid:[4026531836]
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """The start of a process in the kernel's ticks since boot, which no change of the clock affects."""
    if not Path("/proc/self/stat").exists():
        return f"{psutil.Process(pid).create_time():.0f}"
    return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19]


TRIAL = "RUNNER_TRIAL"
OWNER = "RUNNER_OWNER"
_GIVE_UP_S = 10.0


def end_orphans() -> int:
    """Kill the processes of jobs whose runner is dead, with all that descends from them; how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + _GIVE_UP_S
    while (orphans := _orphans()) and time.monotonic() < deadline:
        for process in orphans:
            with contextlib.suppress(psutil.Error):
                process.kill()
                ended.add(process.pid)
        psutil.wait_procs(orphans, timeout=0.1)
    return len(ended)


def end_trial(key: str, owner: str) -> None:
    """Kill the processes of one job of one runner: what its supervisor does, where that was itself killed."""
    deadline = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < deadline:
        marked = [process for process, marks in _marked() if marks.get(TRIAL) == key and marks.get(OWNER) == owner]
        if not marked:
            return
        for process in marked:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(marked, timeout=0.1)


def _orphans() -> list[psutil.Process]:
    """Find the marked processes of dead runners, and their descendants, which may have dropped the mark."""
    found: dict[int, psutil.Process] = {}
    dead: dict[str, bool] = {}
    for process, marks in _marked():
        owner = marks[OWNER]
        if dead.setdefault(owner, is_dead(owner)):
            with contextlib.suppress(psutil.Error):
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return list(found.values())


def _marked() -> list[tuple[psutil.Process, dict[str, str]]]:
    """Every process of this user with the marks of a job, and its environment as it was when it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            marks = process.environ()
            if TRIAL in marks and OWNER in marks and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, marks))
    return found
