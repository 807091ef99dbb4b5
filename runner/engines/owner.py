"""Whose a job is: every engine marks its jobs with the runner that started them, so that orphans can be told."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

import psutil


def this_runner() -> str:
    """The mark of this process: machine, pid and the time it started, which together never come again."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether the runner with this mark is surely gone; false for another machine's, and for one that can't be read."""
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
    """When a process started, in the kernel's ticks since boot: no step of the clock changes that."""
    if not Path("/proc/self/stat").exists():
        return f"{psutil.Process(pid).create_time():.0f}"
    return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19]
