"""The choice of an engine and of its base images: what the user names, else the first way that works here.

The ways are docker with pulled base images, docker with base images made on this machine, and venv. Each is tried
before it is taken, so that a run which nobody told how to run does not end halfway for want of a registry.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.environments.target import this_platform
from runner.errors import MachineError, NoEngineError, UsageError

if TYPE_CHECKING:
    from runner.engines.docker.docker_engine import DockerEngine
    from runner.engines.protocol import Engine


if TYPE_CHECKING:
    Way = tuple[str, str]
    """An engine, and where its base images come from: `docker` with `registry` or `offline`, or `venv` with nothing."""

PULLED, MADE, BARE = ("docker", "registry"), ("docker", "offline"), ("venv", "")
_INSTEAD = {
    PULLED: "they are pulled",
    MADE: "base images are made on this machine",
    BARE: "running under the venv engine, not in containers",
}
_AS_BEFORE = {
    MADE: "Base images are made on this machine, as for the last run; `--base registry` pulls them.",
    BARE: "Running under the venv engine, as the last run did; `--engine docker` runs in containers.",
}

_SYSTEMS = {"win32": "Windows", "darwin": "macOS"}
_NO_VENV = (
    "Virtual environments run trials on Linux and macOS: this is {system}.\nStart Docker Desktop, or name an engine"
    " elsewhere in DOCKER_HOST. `plan`, `table`, `show`, `check`, `publish` and `history` need no engine."
)


def open_engine(
    choice: str,
    *,
    base: str,
    before: Way | None = None,
    runtime: str = "",
    platform: str = "",
    system: str = sys.platform,
) -> tuple[Engine, str]:
    """The engine, and a line for the user for each way that was tried before and does not work.

    `choice` is docker, venv or auto, `base` registry, offline or auto; what is named is taken without a trial. `before`
    is the way that was found by itself last time: it is tried first, since its trials are there. Who names a `runtime`
    of containers gets containers, unless they name venv; so does who names another `platform` than this machine's.

    Raises NoEngineError where docker is insisted on and does not answer, or there is nothing else on this `system`,
    UsageError for a runtime that it has not, and for another platform under venv.
    """
    if choice not in {"docker", "venv", "auto"}:
        raise UsageError(f"The engine {choice!r} does not exist; choose docker, venv or auto.")
    reasons: list[str] = []
    notes: list[str] = []
    foreign = platform not in {"", this_platform()}
    if foreign and choice == "venv":
        raise UsageError(f"`platform: {platform}` is emulated in containers alone: use --engine docker.")
    ways = _ways("docker" if (runtime or foreign) and choice == "auto" else choice, base, before)
    while ways:
        way = ways.pop(0)
        if reasons:
            notes.append(f"{reasons[-1]}: {_INSTEAD[way]}.")
        try:
            engine = _opened(way, runtime, platform, system, tried=base == "auto")
        except (NoEngineError, MachineError) as error:
            if isinstance(error, NoEngineError):
                ways = [way for way in ways if way == BARE]
            if not ways and isinstance(error, NoEngineError):
                raise
            reasons.append(str(error).partition("\n")[0].rstrip("."))
        else:
            if way == before and not reasons and way in _AS_BEFORE:
                notes.append(_AS_BEFORE[way])
            return engine, "\n".join(notes)
    return _docker("registry", runtime, platform), "\n".join(
        [*notes, f"{reasons[-1]}: base images that are missing can't be had."]
    )


def describe_build_client() -> str:
    """The `docker` command that builds images, in one line. Raises MachineError where none here can."""
    from runner.engines.docker.buildkit import build_client  # noqa: PLC0415 - not needed to run

    return str(build_client())


def _ways(choice: str, base: str, before: Way | None) -> list[Way]:
    """The ways that the user leaves open, in the order in which they are tried."""
    ways = [BARE] if choice == "venv" else [PULLED, MADE] if base == "auto" else [("docker", base)]
    if choice == "auto":
        ways.append(BARE)
    return sorted(ways, key=lambda way: way != before)


def _opened(way: Way, runtime: str, platform: str, system: str, *, tried: bool) -> Engine:
    """The engine of a way; where it is `tried`, it has what it takes to make images. Raises MachineError."""
    engine, base = way
    if engine == "venv":
        if system not in {"linux", "darwin"}:
            raise NoEngineError(_NO_VENV.format(system=_SYSTEMS.get(system, system)))
        return _venv()
    opened = _docker(base, runtime, platform)
    if tried:
        try:
            opened.check()
        except BaseException:
            opened.close()
            raise
    return opened


def _docker(base: str, runtime: str, platform: str) -> DockerEngine:
    from runner.engines.docker.docker_engine import DockerEngine  # noqa: PLC0415 - the SDK takes 0.2 s to import

    return DockerEngine.connect(base=base, runtime=runtime, platform=platform)


def _venv() -> Engine:
    from runner.engines.venv.venv_engine import VenvEngine  # noqa: PLC0415 - not needed beside docker

    return VenvEngine()
