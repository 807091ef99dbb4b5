"""The machine that a Docker engine runs on: the model of its processors, and whether it gives GPUs to containers."""

from __future__ import annotations

import io
import platform
import tarfile
from typing import TYPE_CHECKING

from runner.engines.docker.base_images import REPOSITORY
from runner.engines.docker.container import LAYOUT, OWNER, device_request
from runner.engines.docker.daemon import engine_errors, engine_host
from runner.engines.gpu import gpus_of_this_machine
from runner.engines.processor import CPUINFO, model_in, processor_model
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docker import DockerClient
    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Image

_LONGEST = 300


def processor_of(client: DockerClient, image: Image, *, owner: str) -> str:
    """The model of its processors, which a container looks for on another machine; empty: nobody can tell."""
    try:
        return processor_model() if is_here(client) else model_in(_cpuinfo(client, image, owner))
    except MachineError:  # the trial that it is asked for has ended well, and its record must not be lost for a name
        return ""


def gpus_of(client: DockerClient, *, owner: str) -> tuple[Gpu, ...]:
    """The GPUs that it gives to containers.

    Raises MachineError, with what to do, where the machine has none, is not this one, or the engine gives none.
    """
    if not is_here(client):
        raise MachineError(
            "The Docker engine is on another machine, whose GPUs nothing here can list. Start the runner there."
        )
    found = gpus_of_this_machine()
    if refused := refusal(client, found, owner=owner):
        raise MachineError(
            f"The Docker engine gives containers no GPU: {refused}. Install the NVIDIA container toolkit"
            " (`nvidia-ctk runtime configure --runtime=docker`, then restart the engine), or use `--engine venv`."
        )
    return found


_REFUSED_COMMAND = "/nothing"


def refusal(client: DockerClient, gpus: Iterable[Gpu], *, owner: str) -> str:
    """Why the engine starts no container that asks for GPUs; empty where it does.

    It is asked with an image of no files: it prepares what it gives before it looks for the command, which is missing.
    """
    import docker.errors  # noqa: PLC0415 - imported by now

    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    tag = f"{REPOSITORY}/empty:{owner.replace(':', '-')[:100]}"
    with engine_errors("asking for GPUs"):
        client.api.import_image_from_data(empty.getvalue(), *tag.split(":"))
        try:
            container = client.containers.create(
                tag, [_REFUSED_COMMAND], device_requests=[device_request(gpus)], labels={OWNER: owner}
            )
            try:
                container.start()
            except docker.errors.APIError as error:
                said = str(error.explanation or error)
                return "" if _REFUSED_COMMAND in said else " ".join(said.split())[:_LONGEST].rstrip(".")
            finally:
                container.remove(force=True)
        finally:
            client.images.remove(tag, force=True)
    return ""


def is_here(client: DockerClient) -> bool:
    """True where the engine runs under the kernel of this process: that of Docker Desktop has one of its own."""
    with engine_errors("asking the engine what it is"):
        return engine_host().startswith("unix://") and client.info().get("KernelVersion") == platform.release()


def _cpuinfo(client: DockerClient, image: Image, owner: str) -> str:
    with engine_errors("asking for the engine's processors"):
        said = client.containers.run(
            image.reference,
            [f"{LAYOUT.environment}/bin/python", "-I", "-S", "-c", f"print(open({str(CPUINFO)!r}).read())"],
            labels={OWNER: owner},
            network_mode="none",
            remove=True,
        )
    return said.decode("utf-8", "replace")
