"""The engine `docker` as the rest of the runner sees it, and the toolchain that runs uv in a base image's container."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import cache_folder
from runner.engines.docker.base_images import RegistryImages, lock_file, recipe_folder
from runner.engines.docker.buildkit import Builder, build_client, forget_bytecode
from runner.engines.docker.container import OWNER, remove, run_job, shell_command
from runner.engines.docker.daemon import connect, engine_errors
from runner.engines.docker.environment_images import EnvironmentImages
from runner.engines.ownership import is_dead, this_runner
from runner.engines.protocol import EngineKind, Room
from runner.environments.index.connection import network_settings
from runner.environments.interpreters import REPRODUCIBLE
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docker import DockerClient
    from runner.engines.docker.base_images import BaseImages
    from runner.engines.docker.environment_images import InterpreterImage
    from runner.engines.protocol import Ending, Image, Job, StoredImage
    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import Wheelhouse


BASES = ("registry", "offline")


class DockerEngine:
    """Makes images and runs jobs in containers (an `Engine`)."""

    kind = EngineKind.DOCKER

    def __init__(self, client: DockerClient, bases: BaseImages, builder: Builder, *, base: str) -> None:
        self.base = base
        self._client = client
        self._bases = bases
        self._builder = builder
        self._images = EnvironmentImages(client, bases, builder)
        self._interrupted = threading.Event()
        self._owner = this_runner()

    @classmethod
    def connect(cls, base: str) -> DockerEngine:
        """Connect to the engine that the user's configuration names; base images come from `base`, one of BASES.

        Raises NoEngineError where none answers in 2 s, UsageError for another base.
        """
        if base not in BASES:
            raise UsageError(f"Base images from {base!r} do not exist; choose {' or '.join(BASES)}.")
        client = connect()
        builder = Builder(build_client)
        if base == "registry":
            tags = recipe_folder() / "base-images.toml"
            return cls(client, RegistryImages(client, tags=tags, lock=lock_file()), builder, base=base)
        from runner.engines.docker.offline_images import OfflineImages  # noqa: PLC0415 - only where asked for

        return cls(client, OfflineImages(client, builder), builder, base=base)

    def describe(self) -> str:
        """The engine's name, version and architecture, and where its base images come from, in one line."""
        with engine_errors("asking the engine what it is"):
            version = self._client.version()
        name = version.get("Platform", {}).get("Name") or "Docker engine"
        return f"docker: {name} {version['Version']} ({version['Arch']}), base images: {self.base}"

    def check(self) -> None:
        """Find out, in a few seconds, whether images can be made. Raises MachineError where not."""
        self._builder.client()
        self._bases.check()

    def pythons(self) -> tuple[str, ...]:
        """The CPython minor releases that there is a base image for, newest first."""
        return self._bases.pythons()

    def known_identity(self, python: str) -> str | None:
        """The digest or content hash of a base image where it is known; nothing is asked or made."""
        return self._bases.identity(python)

    def base_identity(self, python: str) -> str:
        """The digest or content hash of a base image; where it is not known yet, the image is fetched or made.

        Raises MachineError where it cannot be had.
        """
        return self._bases.identity(python) or self._images.interpreter(python, _silent).identity

    def toolchain(self, python: str) -> Toolchain:
        """Uv in a container with this CPython. Raises MachineError where its base image cannot be had."""
        image = self._images.interpreter(python, _silent)
        return DockerToolchain(client=self._client, image=image, owner=self._owner)

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where it is made already."""
        return self._images.find(lock)

    def make(
        self, lock: Lock, wheelhouse: Wheelhouse, say: Callable[[str], None], *, labels: Mapping[str, str]
    ) -> Image:
        """Make the image of a lock, or find it made.

        Raises BuildFailedError where its packages cannot be installed, MachineError where the machine is at fault.
        """
        return self._images.make(lock, wheelhouse, say, labels)

    def recipe(self, lock: Lock, catalog: Catalog) -> str:
        """A Dockerfile, and the two commands that make the image of a lock without this tool."""
        from runner.engines.docker.recipe import recipe  # noqa: PLC0415 - only where asked for

        return recipe(lock, self._images.interpreter(lock.python, _silent), self._bases.address(lock.python), catalog)

    def room(self) -> Room | None:
        """The folder of the engine, where it is one of this machine."""
        with engine_errors("asking the engine where it keeps images"):
            root = Path(self._client.info().get("DockerRootDir") or "/nonexistent")
        return Room(path=root, free_bytes=shutil.disk_usage(root).free) if root.is_dir() else None

    def run(self, image: Image, job: Job) -> Ending:
        """Run one job to its end, in a container of its own that is gone afterwards.

        Raises EngineLostError where the engine failed, MachineError where a disk is full or the image is gone.
        """
        self._images.touch(image.reference)
        return run_job(self._client, image, job, owner=self._owner, interrupted=self._interrupted)

    def images(self) -> tuple[StoredImage, ...]:
        """Every image of a lock that the engine keeps, and what failed builds left; last used last."""
        return self._images.stored()

    def remove_image(self, reference: str) -> bool:
        """Remove an image, and what below it no other one needs; false where a job runs in it."""
        return self._images.remove(reference)

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command of a shell in a container like a job's, and its environment variables."""
        return shell_command(image, job, owner=self._owner)

    def stop_all(self) -> None:
        """End every job and build of this engine now, and those that would start yet."""
        self._interrupted.set()
        self._builder.stop()

    def sweep(self) -> int:
        """Remove the containers of runners that are dead; how many there were."""
        import docker.errors  # noqa: PLC0415 - imported by now

        removed = 0
        with engine_errors("looking for containers that were left"):
            found = self._client.containers.list(all=True, ignore_removed=True, filters={"label": OWNER})
            for container in found:
                if is_dead(container.labels[OWNER]):
                    with contextlib.suppress(docker.errors.NotFound):
                        removed += remove(container)
        return removed

    def forget_kept(self) -> None:
        """Drop the bytecode that is kept from image to image."""
        forget_bytecode(self._client)

    def close(self) -> None:
        """Close the connections, and drop what the engine keeps of our builds."""
        self._images.forget_contexts()
        self._client.close()


def _silent(_: str) -> None:
    return None


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
        """The place where it builds, as messages name it."""
        return "in the base image"

    @property
    def with_compiler(self) -> str:
        """The way to get a compiler: base images hold none, and stay as they are."""
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
