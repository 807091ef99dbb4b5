"""The choice of an engine: the one that the user names, else docker where an engine answers, else venv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import NoEngineError, UsageError

if TYPE_CHECKING:
    from runner.engines.protocol import Engine


def open_engine(choice: str, *, base: str) -> tuple[Engine, str]:
    """The engine, and one line for the user where it is not the one to be expected.

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
            raise UsageError(f"The engine {choice!r} does not exist; choose docker, venv or auto.")


def describe_docker(base: str) -> str:
    """The Docker engine that answers, in one line. Raises NoEngineError where there is none."""
    from runner.engines.docker.docker_engine import DockerEngine  # noqa: PLC0415 - the SDK takes 0.2 s to import

    engine = DockerEngine.connect(base=base)
    try:
        return f"{engine.describe()}, base images: {base}"
    finally:
        engine.close()


def describe_build_client() -> str:
    """The `docker` command that builds images, in one line. Raises MachineError where none here can."""
    from runner.engines.docker.buildkit import build_client  # noqa: PLC0415 - not needed to run

    return str(build_client())


def _docker(base: str) -> Engine:
    from runner.engines.docker.docker_engine import DockerEngine  # noqa: PLC0415 - the SDK takes 0.2 s to import

    return DockerEngine.connect(base=base)


def _venv() -> Engine:
    from runner.engines.venv.venv_engine import VenvEngine  # noqa: PLC0415 - not needed beside docker

    return VenvEngine()
