"""The processes of this machine that carry the mark of a runner: those of a killed one are ended by a later one."""

from __future__ import annotations

import contextlib
import time

import psutil

from runner.runner_mark import is_dead

TRIAL = "RUNNER_TRIAL"
OWNER = "RUNNER_OWNER"
_GIVE_UP_S = 10.0


def end_orphans() -> int:
    """Kill the processes of jobs whose runner is dead, with all that descends from them; how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + _GIVE_UP_S
    while orphans := _orphans():
        for process in orphans:
            with contextlib.suppress(psutil.Error):
                process.kill()
                ended.add(process.pid)
        if time.monotonic() > deadline:
            break
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
    """Find the marked processes of dead runners, and their descendants, which may have dropped the mark.

    Two looks at all processes, however many of them are orphans: a fork bomb leaves thousands.
    """
    found: dict[int, psutil.Process] = {}
    dead: dict[str, bool] = {}
    for process, marks in _marked():
        owner = marks[OWNER]
        if owner not in dead:
            dead[owner] = is_dead(owner)
        if dead[owner]:
            found[process.pid] = process
    children = _children() if found else {}
    waiting = list(found.values())
    while waiting:
        parent = waiting.pop()
        new = [one for one in children.get(parent.pid, ()) if one.pid not in found]
        if new and parent.is_running():  # else its number may be another's by now
            found |= {one.pid: one for one in new}
            waiting += new
    return list(found.values())


def _children() -> dict[int, list[psutil.Process]]:
    """The children of every process, by its number."""
    found: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            found.setdefault(process.ppid(), []).append(process)
    return found


def _marked() -> list[tuple[psutil.Process, dict[str, str]]]:
    """Every process of this user with the marks of a job, and its environment as it was when it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            marks = process.environ()
            if TRIAL in marks and OWNER in marks and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, marks))
    return found
