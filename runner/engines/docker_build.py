"""Builds images with BuildKit: takes a context folder and a recipe of `docker/`, gives a tag in the engine.

Every build is hermetic: no network, and none of this machine's settings; what it needs lies in the context.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import subprocess
import threading
from collections import deque
from typing import TYPE_CHECKING

from runner.engines.docker_client import NO_PROXIES, build_client, disk_is_full, is_full
from runner.environments.cache import cache_folder
from runner.errors import BuildFailedError, EngineLostError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Builder", "build_client", "context_folder"]

ATTEMPTS = 3
KEPT_LINES = 400
LAST_WORDS = 20
_STEP_OUTPUT = re.compile(r"^#\d+ \d+\.\d+ (?P<text>.*)$")
_LOST = (
    "cannot connect to the docker daemon",
    "error during connect",
    "connection reset",
    "transport is closing",
    "eof",
)
_this_thread = threading.local()


@contextlib.contextmanager
def context_folder() -> Iterator[Path]:
    """Give an empty folder for a build's context, on the file system of the cache so that its files can be linked.

    A thread gets the same path each time: the engine is sent only what differs from the context that it had from there.
    """
    place = cache_folder() / "docker"
    place.mkdir(exist_ok=True)
    if not hasattr(_this_thread, "context"):
        _this_thread.context = f"context-{secrets.token_hex(8)}"
    folder = place / _this_thread.context
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Builder:
    """Runs builds, and ends those that run. May be used from several threads."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()

    def build(
        self,
        context: Path,
        dockerfile: Path,
        *,
        tag: str,
        say: Callable[[str], None],
        target: str | None = None,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> None:
        """Build one image; `say` gets the lines that its steps print.

        Raises BuildFailedError where a step fails, MachineError where the disk is full or nothing here can build,
        EngineLostError where the engine failed three times.
        """
        import tenacity  # noqa: PLC0415 - a finished matrix builds nothing

        client = build_client()
        options = ["--network", "none", "--file", str(dockerfile), "--tag", tag]
        options += ["--target", target] if target else []
        for name, value in {**NO_PROXIES, **arguments}.items():
            options += ["--build-arg", f"{name}={value}"]
        for name, value in labels.items():
            options += ["--label", f"{name}={value}"]
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(EngineLostError),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(self._stopped),
            wait=tenacity.wait_exponential(multiplier=0.5, max=5),
            reraise=True,
        )
        retrying(self._run, client.command(*options, str(context)), client.environment(), tag, say)

    def stop(self) -> None:
        """End the builds that run; those that would start yet fail at once."""
        self._stopped.set()
        with self._guard:
            for process in self._running:
                process.terminate()

    def _run(self, command: list[str], env: Mapping[str, str], tag: str, say: Callable[[str], None]) -> None:
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        with self._started(command, env) as process:
            assert process.stdout is not None  # noqa: S101 - asked for
            for line in process.stdout:
                lines.append(line.rstrip())
                if (found := _STEP_OUTPUT.match(line)) and found["text"].strip():
                    say(found["text"].rstrip())
        if process.returncode == 0:
            return
        if self._stopped.is_set():
            raise StoppedError
        raise _failure(tag, list(lines))

    @contextlib.contextmanager
    def _started(self, command: list[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        with self._guard:
            if self._stopped.is_set():
                raise StoppedError
            process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # the terminal's Ctrl-C is for the runner, which then calls `stop`
            )
            self._running.add(process)
        try:
            with process:
                try:
                    yield process
                except BaseException:
                    process.kill()
                    raise
        finally:
            with self._guard:
                self._running.discard(process)


def _failure(tag: str, lines: list[str]) -> Exception:
    """Tell what a failed build's last words mean."""
    text = "\n".join(lines)
    if is_full(text):
        return disk_is_full(f"building {tag}")
    steps = [found["text"].rstrip() for line in lines if (found := _STEP_OUTPUT.match(line))]
    last = "\n".join(lines[-3:])
    if any(word in last.lower() for word in _LOST):
        return EngineLostError(f"The Docker engine was lost while building {tag}: {last}")
    # BuildKit repeats the output of the step that failed: the repetition is enough.
    words = list(dict.fromkeys(word for word in steps if word.strip()))
    return BuildFailedError("image-build", "\n".join(words[-LAST_WORDS:]) or last)
