"""The mark of a running runner, on what it starts and on what it is about to write.

A mark tells whether its runner still lives, so that a later one can end and remove what a killed one left behind.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


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
    except (FileNotFoundError, ProcessLookupError):
        return True
    except PermissionError:
        return False


@functools.cache
def this_boot() -> str:
    """The identity of this machine since it was started; its name where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return socket.gethostname()


@functools.cache
def _machine() -> str:
    """One boot of one kernel and one space of process numbers; the host's name where there is no /proc."""
    try:
        return f"{this_boot()}-{os.readlink('/proc/self/ns/pid')[5:-1]}"  # noqa: PTH115 - it links to no path: pid:[4026531836]
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """The start of a process in the kernel's ticks since boot, which no change of the clock affects.

    Raises FileNotFoundError or ProcessLookupError where there is no such process, PermissionError where it is hidden.
    """
    if Path("/proc/self/stat").exists():
        return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19]
    import psutil  # noqa: PLC0415 - where there is no /proc

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError from error
    except psutil.AccessDenied as error:
        raise PermissionError from error
