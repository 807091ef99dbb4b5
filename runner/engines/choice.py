"""Chooses the engine: what the user insists on, else docker where an engine answers, else `venv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import NoEngineError, UsageError

if TYPE_CHECKING:
    from runner.engines.protocol import Engine


def open_engine(choice: str, *, base: str) -> tuple[Engine, str]:
    """The engine, and one line for the user where it isn't the one that he may expect.

    `choice` is docker, venv or auto. Raises NoEngineError where docker is insisted on and does not answer.
    """
    match choice:
        case "docker":
            return _docker(base), ""
        case "venv":
            return _venv(), ""
        case "auto":
            try:
                return _docker(base), ""
            except NoEngineError as error:
                reason = str(error).partition("\n")[0].rstrip(".")
                return _venv(), f"{reason}: running under the venv engine, not in containers."
        case _:
            raise UsageError(f"There is no engine {choice!r}: it is docker, venv or auto.")


def _docker(base: str) -> Engine:
    from runner.engines.docker.docker_engine import DockerEngine  # noqa: PLC0415 - the SDK is loaded only where docker is asked for

    return DockerEngine.connect(base=base)


def _venv() -> Engine:
    from runner.engines.venv.venv_engine import VenvEngine  # noqa: PLC0415 - not needed beside docker

    return VenvEngine()
