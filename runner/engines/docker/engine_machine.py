"""The machine that a Docker engine runs on: its processors, the platforms that it runs, and the GPUs that it gives."""

from __future__ import annotations

import contextlib
import io
import platform
import struct
import tarfile
from typing import TYPE_CHECKING

from runner.engines.docker.base_images import REPOSITORY
from runner.engines.docker.container import LAYOUT, OWNER, device_request
from runner.engines.docker.daemon import engine_errors, engine_host, engine_platform
from runner.engines.gpu import gpus_of_this_machine
from runner.engines.processor import CPUINFO, model_in, processor_model
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


_ENDS = 42
"""The exit code of the programs below, which do nothing else."""
_PROGRAMS = {
    "linux/amd64": (0x3E, "bf2a000000b83c0000000f05"),  # mov edi, 42; mov eax, 60; syscall
    "linux/arm64": (0xB7, "400580d2a80b80d2010000d4"),  # mov x0, #42; mov x8, #93; svc #0
}


def refuse_platform(client: DockerClient, platform: str, *, owner: str) -> None:
    """Raise MachineError where the engine can't run programs of a platform; it is asked to run one of 132 bytes."""
    import docker.errors  # noqa: PLC0415 - imported by now

    with _image_of(client, {"ends": program_of(platform)}, owner) as tag, engine_errors("asking for another platform"):
        container = client.containers.create(tag, ["/ends"], labels={OWNER: owner}, network_mode="none")
        try:
            container.start()
            ended = container.wait()["StatusCode"] == _ENDS
        except docker.errors.APIError as error:
            if "exec format" not in str(error.explanation or error).lower():
                raise
            ended = False
        finally:
            container.remove(force=True)
    if not ended:
        raise MachineError(
            f"The Docker engine can't run programs of {platform}, which `platform:` asks for: it is"
            f" {engine_platform(client)} and emulates no other. Install an emulator on its machine (`docker run"
            f" --privileged --rm tonistiigi/binfmt --install {platform.rpartition('/')[2]}`), or leave `platform:` out."
        )


def program_of(platform: str) -> bytes:
    """A program (ELF, without libraries) of a platform that ends at once."""
    machine, code = _PROGRAMS[platform]
    start, size = 0x10000, 120 + len(code) // 2
    head = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine, 1, start + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x10000)
    return head + segment + bytes.fromhex(code)


@contextlib.contextmanager
def _image_of(client: DockerClient, files: Mapping[str, bytes], owner: str) -> Iterator[str]:
    """An image of a few programs, which is gone afterwards."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    tag = f"{REPOSITORY}/passing:{owner.replace(':', '-')[:100]}"
    with engine_errors("asking the engine what it can run"):
        client.api.import_image_from_data(packed.getvalue(), *tag.split(":"))
        try:
            yield tag
        finally:
            client.images.remove(tag, force=True)


_REFUSED_COMMAND = "/nothing"


def refusal(client: DockerClient, gpus: Iterable[Gpu], *, owner: str) -> str:
    """Why the engine starts no container that asks for GPUs; empty where it does.

    It is asked with an image of no files: it prepares what it gives before it looks for the command, which is missing.
    """
    import docker.errors  # noqa: PLC0415 - imported by now

    with _image_of(client, {}, owner) as tag, engine_errors("asking for GPUs"):
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
