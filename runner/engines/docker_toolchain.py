"""uv in a container of a base image (a `Toolchain`): resolves and builds with a CPython that this machine may lack."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.docker_client import engine_errors
from runner.engines.docker_run import OWNER, remove
from runner.environments.cache import cache_folder
from runner.environments.index_address import network_settings
from runner.environments.toolchain import REPRODUCIBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docker import DockerClient
    from runner.engines.docker_environment import InterpreterImage

FOLDER, CACHE, CERTIFICATES = "/folder", "/cache", "/certificates.pem"


@dataclass(frozen=True, kw_only=True)
class DockerToolchain:
    """uv beside the CPython of an image. The settings of network and index reach its containers, never an image."""

    client: DockerClient
    image: InterpreterImage
    owner: str

    @property
    def python_full(self) -> str:
        """The interpreter's release, such as "3.7.16"."""
        return self.image.python_full

    @property
    def identity(self) -> str:
        """The base image's identity."""
        return self.image.identity

    @property
    def place(self) -> str:
        """Where it builds."""
        return "in the base image"

    @property
    def with_compiler(self) -> str:
        """What a user does to have a compiler there: base images hold none, and stay as they are."""
        return "use `--engine venv` on a machine that has a C compiler"

    def uv(self, arguments: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run `uv ARGUMENTS` in a folder, which is all of this machine that it sees beside uv's cache.

        Raises EngineLostError where the engine, not uv, failed.
        """
        from docker.types import LogConfig, Mount  # noqa: PLC0415 - imported by now
        from uv import find_uv_bin  # noqa: PLC0415

        cache = cache_folder() / "uv-in-containers"
        cache.mkdir(exist_ok=True)
        environment = {**network_settings(), **REPRODUCIBLE}
        environment |= {"UV_PYTHON": "/usr/local/bin/python3", "UV_PYTHON_DOWNLOADS": "never"}
        environment |= {"UV_CACHE_DIR": CACHE, "HOME": "/tmp"}  # noqa: S108 - the container's own
        mounts = [(folder, FOLDER, False), (cache, CACHE, False), (Path(find_uv_bin()), "/usr/local/bin/uv", True)]
        environment.pop("SSL_CERT_DIR", None)  # its files are links to places that a container does not have
        if bundle := environment.get("SSL_CERT_FILE"):
            environment["SSL_CERT_FILE"] = CERTIFICATES
            mounts.append((Path(bundle), CERTIFICATES, True))
        command = ["/usr/local/bin/uv", *arguments, "--color", "never"]
        with engine_errors("starting uv in a container"):
            container = self.client.containers.create(
                self.image.tag,
                command,
                user=f"{os.getuid()}:{os.getgid()}",
                working_dir=FOLDER,
                environment=environment,
                use_config_proxy=False,
                labels={OWNER: self.owner},
                mounts=[
                    Mount(target=target, source=str(source.resolve()), type="bind", read_only=read_only)
                    for source, target, read_only in mounts
                ],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                init=True,
                log_config=LogConfig(type="json-file"),
            )
        try:
            with engine_errors("running uv in a container"):
                container.start()
                status = int(container.wait(timeout=None)["StatusCode"])
                said = [container.logs(stdout=out, stderr=not out).decode("utf-8", "replace") for out in (True, False)]
        finally:
            remove(container)
        return subprocess.CompletedProcess(command, status, stdout=said[0], stderr=said[1])
