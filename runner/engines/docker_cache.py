"""BuildKit's own cache in the engine: gives back what it keeps of our builds, since our images are all that we need.

An engine that keeps no such cache, or won't drop it, is left alone: what stays costs space and nothing else.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from runner.engines.docker_client import engine_errors
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from docker import DockerClient

_OUR_STEPS = ("/mnt/compile_bytecode.py", "ln -s python${MINOR}")
"""What the steps of our recipes are known by: the cache keeps their commands, and no labels."""
_KEPT_FOLDER = "exec.cachemount"
"""A folder that steps of several builds share."""
_FROM_IMAGE = "from local "
"""What a step stood on that began with an image of this engine: keeps that image's layers even when it is removed.

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
