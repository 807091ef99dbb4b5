"""The runner as a user starts it: `python -m runner …` in a folder, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """This process's environment with offline base images where nothing else is asked for."""
    return {"RUNNER_BASE": "offline", **os.environ}


def runner(folder: Path, *arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the runner to its end."""
    command = [sys.executable, "-m", "runner", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def started(
    folder: Path, *arguments: str, own_session: bool = False, errors: IO[str] | int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start the runner; its progress is readable on `stderr`, or goes to a file.

    With `own_session` its process group can be signalled.
    """
    command = [sys.executable, "-m", "runner", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=own_session,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - nothing of ours runs beside it
    )


def _heed_ctrl_c() -> None:
    """Take Ctrl-C as a terminal's user does, also where the tests themselves run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def table(folder: Path, engine: str, *arguments: str) -> list[dict[str, Any]]:
    """The stored outcomes, one dict a cell."""
    done = runner(folder, "table", "--engine", engine, "--format", "json", *arguments)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def founding_copy(folder: Path) -> Path:
    """The founding matrix with its scripts and locks, in a folder where nothing has run yet."""
    folder.mkdir()
    for name in ("experiments", "locks"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copyfile(REPOSITORY / "matrix.yaml", folder / "matrix.yaml")
    return folder
