"""Runs the programs that make environments, out of reach of the terminal's Ctrl-C: the runner decides when they end.

A program that a signal ended has said nothing of its task: that is the machine's trouble, or a stop, never a result.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Final

from runner.errors import MachineError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


APART: Final[dict[str, Any]] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    if hasattr(subprocess, "CREATE_NEW_PROCESS_GROUP")
    else {"start_new_session": True}
)
"""What keeps the terminal's Ctrl-C from a program that is started."""


class Processes:
    """The programs that one laboratory has started; `stop` ends these and no others. Usable from several threads."""

    def __init__(self) -> None:
        """None yet."""
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped: set[subprocess.Popen[str]] = set()

    def run(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with nothing to read.

        Raises StoppedError where `stop` ended it, MachineError where another signal did.
        """
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            **APART,
        )
        with self._guard:
            self._running.add(process)
        try:
            out, errors = process.communicate()
        except BaseException:
            _kill(process)
            raise
        finally:
            with self._guard:
                self._running.discard(process)
                stopped = process in self._stopped
                self._stopped.discard(process)
        if stopped:
            raise StoppedError
        if process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            raise MachineError(
                f"{command[0]} was ended by {name}: memory may have run out, or somebody stopped it. Start again."
            )
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    def stop(self) -> None:
        """End every program that runs now, with its children; their `run` calls raise StoppedError."""
        with self._guard:
            for process in self._running:
                self._stopped.add(process)
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    import psutil  # noqa: PLC0415 - where there are no groups of processes

    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for each in (*top.children(recursive=True), top):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
