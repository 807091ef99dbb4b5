"""BuildKit: the `docker` command that reaches it, builds, and the cache that the engine keeps of them.

Every build is hermetic: no network, and none of this machine's settings; what it needs lies in the context. Our images
are all that we need, so what the engine caches of our builds is given back. An engine that keeps no such cache, or
refuses to drop it, is left alone: what stays costs space and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cache import begun, cache_folder
from runner.engines.docker.daemon import command_variables, disk_is_full, engine_errors, is_full
from runner.environments.processes import APART
from runner.errors import BuildFailedError, EngineLostError, MachineError, StoppedError
from runner.own_folder import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from docker import DockerClient


SYSTEM_FOLDER = "/usr/bin"
_LAST_LEGACY_MAJOR = 22
"""Clients up to Docker 22 carry a BuildKit front of their own, later ones only as the plugin buildx."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
NO_PROXIES = {variant: "" for name in _PROXIES for variant in (name, name.lower())}
"""Build arguments that keep the proxies of the user's docker configuration out of a build."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBuild:
    """One image to be built: from a folder and a recipe, named `tag` in the engine."""

    context: Path
    dockerfile: Path
    tag: str
    target: str | None = None
    """The stage of the recipe that is built; None for its last one."""
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    platform: str = ""
    """The platform that it is for; empty: the engine's own."""

    def options(self) -> list[str]:
        """The options of the build command; the network is closed and the user's proxies are kept out."""
        options = ["--network", "none", "--file", str(self.dockerfile), "--tag", self.tag]
        options += ["--target", self.target] if self.target else []
        options += ["--platform", self.platform] if self.platform else []
        for name, value in {**NO_PROXIES, **self.arguments}.items():
            options += ["--build-arg", f"{name}={value}"]
        for name, value in self.labels.items():
            options += ["--label", f"{name}={value}"]
        return [*options, str(self.context)]


class Builder:
    """Runs builds, and ends those that run. May be used from several threads."""

    def __init__(self, find_client: Callable[[], BuildClient]) -> None:
        """Build with the command that `find_client` finds; it is looked for when the first build needs it."""
        self._find_client = find_client
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._this_thread = threading.local()

    @property
    def stopping(self) -> threading.Event:
        """Set when no build may begin any more."""
        return self._stopped

    def client(self) -> BuildClient:
        """The command that builds. Raises MachineError where there is none."""
        return self._client

    @contextlib.contextmanager
    def context(self) -> Iterator[Path]:
        """An empty folder for a build's context, on the file system of the cache so that its files can be linked.

        A thread gets the same path each time: the engine is sent only what differs from the last context from there.
        """
        place = cache_folder() / "docker"
        place.mkdir(exist_ok=True)
        if not hasattr(self._this_thread, "name"):
            self._this_thread.name = begun(place).name
        folder = place / self._this_thread.name
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            remove(folder)

    def build(self, image: ImageBuild, say: Callable[[str], None]) -> None:
        """Build one image; `say` gets the lines that its steps print.

        Raises BuildFailedError where a step fails, MachineError where the disk is full or nothing here can build,
        EngineLostError where the engine failed three times.
        """
        import tenacity  # noqa: PLC0415 - a finished matrix builds nothing

        client = self._client
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(EngineLostError),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(self._stopped),
            wait=tenacity.wait_exponential(multiplier=0.5, max=5),
            reraise=True,
        )
        retrying(self._run, client.command(*image.options()), client.environment(), image.tag, say)

    def stop(self) -> None:
        """End the builds that run; those that would start yet fail at once."""
        self._stopped.set()
        with self._guard:
            for process in self._running:
                process.terminate()

    @functools.cached_property
    def _client(self) -> BuildClient:
        return self._find_client()

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
                **APART,  # the terminal's Ctrl-C is for the runner, which then calls `stop`
            )
            self._running.add(process)
        try:
            with process:
                try:
                    yield process
                except BaseException:  # whatever ends the wait, Ctrl-C too: the build must not go on alone
                    process.kill()
                    raise
        finally:
            with self._guard:
                self._running.discard(process)


def _failure(tag: str, lines: list[str]) -> Exception:
    """The error that the last lines of a failed build mean."""
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


_OUR_STEPS = ("/mnt/compile_bytecode.py", "ln -s python${MINOR}")
"""Commands that identify the steps of our recipes: the cache keeps commands, and no labels."""
_KEPT_FOLDER = "exec.cachemount"
"""A folder that steps of several builds share."""
_FROM_IMAGE = "from local "
"""The base of a step that began with an image of this engine: it keeps that image's layers even after its removal.

Only the results of images that are gone are dropped, whoever built on them: nobody can use these any more.
"""


def forget_contexts(client: DockerClient) -> None:
    """Drop the copies of contexts, wheels among them, that no build uses now: as large as the images themselves.

    Copies of other tools' contexts go too, and are sent again when they build next.
    """
    with contextlib.suppress(MachineError):
        _drop(client, type="source.local")


def forget_steps(client: DockerClient) -> None:
    """Drop the results of our steps that no image holds any more."""
    with contextlib.suppress(MachineError):
        while sum(_drop(client, id=each) for each in _unused(_results(client))):
            pass  # a result can be dropped when what stands on it is gone: each round uncovers those below


def forget_bytecode(client: DockerClient) -> None:
    """Drop the bytecode that is kept from image to image; the next image makes it again."""
    with contextlib.suppress(MachineError):
        for result in _results(client):
            if result["Type"] == _KEPT_FOLDER and any(step in result["Description"] for step in _OUR_STEPS):
                _drop(client, id=result["ID"])


def _results(client: DockerClient) -> list[dict[str, Any]]:
    import tenacity  # noqa: PLC0415 - only where something is removed

    def ask() -> list[dict[str, Any]]:
        with engine_errors("looking at the build cache"):
            return client.api.df().get("BuildCache") or []

    # an engine answers this question to one asker at a time, and refuses the others
    waiting = tenacity.wait_exponential(multiplier=0.2, max=3)
    refused = tenacity.retry_if_exception_type(EngineLostError)
    return tenacity.Retrying(stop=tenacity.stop_after_delay(20), wait=waiting, retry=refused, reraise=True)(ask)


def _drop(client: DockerClient, **which: str) -> bool:
    filters: Any = {name: [text] for name, text in which.items()}
    with engine_errors("cleaning the build cache"):
        return bool(client.api.prune_builds(filters=filters).get("CachesDeleted"))


def _unused(results: list[dict[str, Any]]) -> list[str]:
    """Choose the results that nobody uses: of our own steps, and of the copying below them, which has no command."""
    known = {result["ID"]: result for result in results}
    ours = [
        result
        for result in results
        if result["Type"] != _KEPT_FOLDER
        and (result["Description"] == _FROM_IMAGE or any(step in result["Description"] for step in _OUR_STEPS))
    ]
    for result in ours:
        below = known.get(result.get("Parent") or "")
        if below is not None and below not in ours:
            ours.append(below)
    return [result["ID"] for result in ours if not result["Shared"] and not result["InUse"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildClient:
    """A `docker` command that speaks to BuildKit."""

    path: Path
    version: str
    buildx: bool

    def __str__(self) -> str:
        return f"{self.path} ({'buildx ' if self.buildx else 'BuildKit of docker '}{self.version})"

    def command(self, *arguments: str) -> list[str]:
        """The command line of a build with these arguments; the image ends up in the engine."""
        build = ["buildx", "build", "--load"] if self.buildx else ["build"]
        return [str(self.path), *build, "--progress", "plain", *arguments]

    def environment(self) -> Mapping[str, str]:
        """The environment that makes the command use BuildKit, in the engine that the SDK is connected to."""
        return command_variables() | {
            "DOCKER_BUILDKIT": "1",
            "BUILDX_BUILDER": "default",
            "DOCKER_CLI_HINTS": "false",
        }


def build_client(system_folder: str = SYSTEM_FOLDER) -> BuildClient:
    """The first `docker` command that can build: on PATH, else in the system's folder.

    Raises MachineError where there is none: the first one on PATH may be a bare client without the plugin buildx.
    """
    seen: list[str] = []
    for path in _docker_commands(system_folder):
        version = _said(path, "--version", r"version (\d+\.\S+?),")
        if version is None:
            continue
        if buildx := _said(path, "buildx version", r"v?(\d+\.\S+)"):
            return BuildClient(path=path, version=buildx, buildx=True)
        if int(version.partition(".")[0]) <= _LAST_LEGACY_MAJOR:
            return BuildClient(path=path, version=version, buildx=False)
        seen.append(f"{path} ({version}) has no buildx plugin")
    found = "; ".join(seen) or "there is no docker command on PATH"
    raise MachineError(
        f"No docker command here can build with BuildKit: {found}.\n"
        "Install the plugin (docker-buildx-plugin or docker-buildx), or Docker up to version 22, as Debian 12 has it."
    )


def docker_command() -> Path:
    """The first `docker` command. Raises MachineError where there is none."""
    if (found := next(_docker_commands(SYSTEM_FOLDER), None)) is None:
        raise MachineError("There is no docker command on PATH.\nInstall Docker's command line (docker-cli).")
    return found


def _docker_commands(system_folder: str) -> Iterator[Path]:
    """Every `docker` on PATH, then the system's, each file once."""
    known = set()
    for folder in [*os.environ.get("PATH", os.defpath).split(os.pathsep), system_folder]:
        found = shutil.which("docker", path=folder) if folder else None
        if found and Path(found).resolve() not in known:
            known.add(Path(found).resolve())
            yield Path(found)


def _said(path: Path, arguments: str, pattern: str) -> str | None:
    """The version that a command reports; None where it fails."""
    try:
        done = subprocess.run([path, *arguments.split()], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout)
    return found[1] if found and done.returncode == 0 else None
