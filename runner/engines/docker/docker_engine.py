"""The engine `docker` as the rest of the runner sees it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner import sized_disk
from runner.cache import cache_folder
from runner.engines.docker.base_images import RegistryImages, lock_file, recipe_folder
from runner.engines.docker.buildkit import Builder, build_client, forget_bytecode
from runner.engines.docker.container import LAYOUT, OWNER, TRIAL, remove, run_job, shell_command
from runner.engines.docker.container_toolchain import DockerToolchain
from runner.engines.docker.copied_files import CopiedFiles, forget_volumes
from runner.engines.docker.daemon import (
    RESTART_S,
    await_answer,
    connect,
    engine_errors,
    engine_host,
    engine_platform,
    unusual_runtime,
)
from runner.engines.docker.engine_machine import gpus_of, processor_of, refuse_platform
from runner.engines.docker.environment_images import EnvironmentImages
from runner.engines.docker.file_sharing import sees, sees_mounts
from runner.engines.docker.mounted_files import MountedFiles
from runner.engines.protocol import Cut, EngineKind, Room, under_runtime
from runner.environments.lock import Ground
from runner.errors import EngineFullError, EngineLostError, MachineError, UsageError
from runner.own_folder import forget_begun
from runner.runner_mark import is_dead, this_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from docker.models.containers import Container

    from docker import DockerClient
    from runner.engines.docker.base_images import BaseImages
    from runner.engines.docker.mounted_files import JobFiles
    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Ending, Image, Job, JobFolder, StoredImage
    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import Wheelhouse


BASES = ("registry", "offline")
_REMOVALS = 4
"""So many containers that ended are removed at once, while the next trials begin."""


class DockerEngine:
    """Makes images and runs jobs in containers (an `Engine`)."""

    kind = EngineKind.DOCKER

    def __init__(
        self,
        client: DockerClient,
        bases: BaseImages,
        builder: Builder,
        *,
        base: str,
        runtime: str = "",
        emulated: str = "",
        patience_s: float = RESTART_S,
    ) -> None:
        self.base = base
        self.emulated = emulated
        self._runtime = runtime
        self._patience_s = patience_s
        self._client = client
        self._bases = bases
        self._builder = builder
        self._images = EnvironmentImages(client, bases, builder, emulated=emulated)
        self._interrupted = threading.Event()
        self._asking = threading.Lock()
        self._model: str | None = None
        self._owner = this_runner()
        self._choosing = threading.Lock()
        self._mounted, self._copied = MountedFiles(), CopiedFiles(client, {OWNER: self._owner})
        self._files: dict[Path, JobFiles] = {}
        self._until_close = contextlib.ExitStack()
        self._removals = ThreadPoolExecutor(_REMOVALS, "removal")

    @classmethod
    def connect(
        cls, base: str, *, runtime: str = "", platform: str = "", patience_s: float = RESTART_S
    ) -> DockerEngine:
        """Connect to the engine that the user's configuration names; base images come from `base`, one of BASES.

        Trials and builds run under its runtime of that name, else under its default one. An engine that stops in the
        middle of a trial is waited for, for `patience_s`.

        Where `platform` is named and not the engine's own it is emulated.

        Raises NoEngineError where none answers in 2 s, UsageError for another base or a runtime that it has not,
        MachineError where it can't run the platform, or base images for it can't be had.
        """
        if base not in BASES:
            raise UsageError(f"Base images from {base!r} do not exist; choose {' or '.join(BASES)}.")
        client = connect()
        try:
            unusual = unusual_runtime(client, runtime)
            emulated = platform if platform not in {"", engine_platform(client)} else ""
            if emulated:
                _check_emulation(client, base, emulated)
        except BaseException:
            client.close()
            raise
        builder = Builder(build_client)
        bases: BaseImages
        if base == "registry":
            bases = RegistryImages(
                client, tags=recipe_folder() / "base-images.toml", lock=lock_file(), emulated=emulated
            )
        else:
            from runner.engines.docker.offline_images import OfflineImages  # noqa: PLC0415 - only where asked for

            bases = OfflineImages(client, builder)
        return cls(client, bases, builder, base=base, runtime=unusual, emulated=emulated, patience_s=patience_s)

    @cached_property
    def platform(self) -> str:
        """The platform that images are made for."""
        return self.emulated or engine_platform(self._client)

    def describe(self) -> str:
        """The engine's name, version and architecture, and where its base images come from, in one line."""
        with engine_errors("asking the engine what it is"):
            version = self._client.version()
        name = version.get("Platform", {}).get("Name") or "Docker engine"
        watched = sized_disk.why_watched() or ("" if sees_mounts() else "the engine sees other mounts")
        disks = f", disk limits: watched only ({watched})" if watched else ""
        if self._files_of(cache_folder()) is self._copied:
            disks += f", files are copied: the engine at {engine_host()} shares none with this machine"
        runtime = f", runtime: {self._runtime}" if self._runtime else ""
        runtime += f", emulating {self.emulated}" if self.emulated else ""
        return f"docker: {name} {version['Version']} ({version['Arch']}){runtime}, base images: {self.base}{disks}"

    def check(self) -> None:
        """Find out, in a few seconds, whether images can be made. Raises MachineError where not."""
        self._builder.client()
        self._bases.check()

    def pythons(self, image: str = "") -> tuple[str, ...]:
        """The CPython minor releases that there is a base image for, newest first; on a named one that of its own."""
        if not image:
            return self._bases.pythons()
        return (self._images.interpreter(Ground("", image), _silent).python_full.rpartition(".")[0],)

    def known_identity(self, python: str, image: str = "") -> str | None:
        """The digest or content hash of a base image where it is known; nothing is fetched or made."""
        identity = self._images.identity(Ground(python, image))
        return identity and under_runtime(identity, self._runtime)

    def base_identity(self, python: str, image: str = "") -> str:
        """The digest or content hash of a base image; where it is not known yet, the image is fetched or made.

        Raises MachineError where it cannot be had.
        """
        ground = Ground(python, image)
        identity = self._images.identity(ground) or self._images.interpreter(ground, _silent).identity
        return under_runtime(identity, self._runtime)

    def toolchain(self, python: str, image: str = "") -> Toolchain:
        """Uv in a container with this CPython. Raises MachineError where its base image cannot be had."""
        interpreter = self._images.interpreter(Ground(python, image), _silent)
        return DockerToolchain(
            client=self._client,
            files=self._files_of(cache_folder()),
            image=interpreter,
            owner=self._owner,
            interrupted=self._interrupted,
            is_of_here=self.base != "registry" and not image,
            runtime=self._runtime,
            emulated=self.emulated,
        )

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where it is made already."""
        image = self._images.find(lock)
        return image and self._in_its_runtime(image)

    def make(
        self, lock: Lock, wheelhouse: Wheelhouse, say: Callable[[str], None], *, labels: Mapping[str, str]
    ) -> Image:
        """Make the image of a lock, or find it made.

        Raises BuildFailedError where its packages cannot be installed, MachineError where the machine is at fault.
        """
        return self._in_its_runtime(self._images.make(lock, wheelhouse, say, labels))

    def push(self, image: Image, registry: str) -> Image:
        """The image with an address below a registry's name, where other engines can pull it; it is pushed once.

        Raises MachineError where the registry does not take it.
        """
        return self._images.push(image, registry)

    def pull(self, lock: Lock, address: str, say: Callable[[str], None]) -> Image:
        """The image of a lock by its digest. Raises MachineError where it is of another lock or base image."""
        return self._in_its_runtime(self._images.pull(lock, address, say))

    def _in_its_runtime(self, image: Image) -> Image:
        return replace(image, base_identity=under_runtime(image.base_identity, self._runtime))

    def recipe(self, lock: Lock, catalog: Catalog) -> str:
        """A Dockerfile, and the commands that make the image of a lock without this tool."""
        from runner.engines.docker.recipe import recipe  # noqa: PLC0415 - only where asked for

        interpreter, address = self._images.interpreter(lock.ground, _silent), self._images.address(lock.ground)
        return recipe(lock, interpreter, address, catalog, lambda: self.toolchain(*lock.ground))

    def room(self) -> Room | None:
        """The folder of the engine, where it is one of this machine; None, too, where it is too full to be asked."""
        try:
            if self._files_of(cache_folder()) is self._copied:
                return None
        except EngineFullError:
            return None
        with engine_errors("asking the engine where it keeps images"):
            root = Path(self._client.info().get("DockerRootDir") or "/nonexistent")
        return Room(path=root, free_bytes=shutil.disk_usage(root).free) if root.is_dir() else None

    def disk(self, folder: JobFolder, limit_bytes: int) -> AbstractContextManager[object]:
        """Give a job's folders a file system of its own, where the engine sees what is mounted here."""
        if not sees_mounts():
            return contextlib.nullcontext()
        names = [path.name for path in (folder.work, folder.home, folder.tmp)]
        return sized_disk.sized(folder.root, names, limit_bytes)

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of the engine's machine. Raises MachineError where there are none, or it gives containers none."""
        if self.emulated:
            raise MachineError(f"`resources: gpus` beside `platform: {self.emulated}`: what is emulated has no GPU.")
        return gpus_of(self._client, owner=self._owner)

    def use(self, image: Image) -> bool:
        """Note that an image is used now."""
        self._images.touch(image.reference)
        return True

    def run(self, image: Image, job: Job) -> Ending:
        """Run one job to its end, in a container of its own, which goes while the next one begins.

        Raises EngineLostError where the engine failed and answers again, MachineError where it does not, where a disk
        is full or the image is gone.
        """
        try:
            self._images.touch(image.reference)
            ending = run_job(
                self._client,
                image,
                job,
                files=self._files_of(job.folder.root),
                owner=self._owner,
                interrupted=self._interrupted,
                runtime=self._runtime,
                emulated=self.emulated,
                let_go=lambda container: self._removals.submit(remove, container),
            )
            return ending if ending.cut is Cut.INTERRUPTED else replace(ending, processor=self._processor(image))
        except EngineLostError:
            await_answer(self._client, self._interrupted, self._patience_s)
            self._remove(lambda labels: (labels[OWNER], labels.get(TRIAL)) == (self._owner, job.key))
            raise

    def _processor(self, image: Image) -> str:
        """The model of the processors of the engine's machine, which is asked once, and what it emulates."""
        with self._asking:
            if self._model is None:
                model = processor_of(self._client, image, owner=self._owner)
                emulating = self.emulated and f"emulating {self.emulated}"
                self._model = ", ".join(filter(None, (model, emulating)))
            return self._model

    def images(self) -> tuple[StoredImage, ...]:
        """Every image of a lock that the engine keeps, and what failed builds left; last used last."""
        return self._images.stored()

    def remove_image(self, reference: str) -> bool:
        """Remove an image, and what below it no other one needs; false where a job runs in it."""
        return self._images.remove(reference)

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command of a shell in a container like a job's, and its environment variables."""
        job.folder.root.mkdir(parents=True, exist_ok=True)
        return shell_command(
            self._client,
            image,
            job,
            files=self._files_of(job.folder.root),
            owner=self._owner,
            until_close=self._until_close,
            runtime=self._runtime,
            emulated=self.emulated,
        )

    def stop_all(self) -> None:
        """End every job and build of this engine now, and those that would start yet."""
        self._interrupted.set()
        self._builder.stop()

    def sweep(self) -> int:
        """Remove the containers of runners that are dead, how many there were; and what they began in the cache."""
        with contextlib.suppress(OSError):
            forget_begun(cache_folder() / "docker")
        removed = self._remove(lambda labels: is_dead(labels[OWNER]))
        forget_volumes(self._client, lambda labels: is_dead(labels[OWNER]))
        return removed

    def _files_of(self, folder: Path) -> JobFiles:
        """The way in which the files in a folder get into containers; the engine is asked once for those beside it."""
        with self._choosing:
            if folder.parent not in self._files:
                places = {cache_folder(), folder}
                shared = sees_mounts() or sees(self._client, places, {OWNER: self._owner})
                self._files[folder.parent] = self._mounted if shared else self._copied
            return self._files[folder.parent]

    def _remove(self, is_left: Callable[[dict[str, str]], bool]) -> int:
        """Remove the containers with such labels; how many there were."""
        import docker.errors  # noqa: PLC0415 - imported by now

        removed = 0
        with engine_errors("looking for containers that were left"):
            found = self._client.containers.list(all=True, ignore_removed=True, filters={"label": OWNER})
            for container in found:
                if is_left(container.labels):
                    _unmount_disk(container)
                    with contextlib.suppress(docker.errors.NotFound):
                        removed += remove(container)
        return removed

    def forget_kept(self) -> None:
        """Drop the bytecode that is kept from image to image."""
        forget_bytecode(self._client)

    def close(self) -> None:
        """Close the connections, and drop what the engine keeps of our builds."""
        self._removals.shutdown()
        self._until_close.close()
        self._copied.close()
        self._images.forget_contexts()
        self._client.close()


def _check_emulation(client: DockerClient, base: str, platform: str) -> None:
    """Raise MachineError where containers of another platform than the engine's own can't be had."""
    if base != "registry":
        raise MachineError(
            f"Base images that are made on this machine are for its own processors, and `platform: {platform}` asks for"
            " others: use `--base registry`."
        )
    refuse_platform(client, platform, owner=this_runner())


def _unmount_disk(container: Container) -> None:
    """Unmount the disk of a job whose runner was killed, before its container goes: then another may run it there.

    So nothing is done for one that somebody is removing, or could not, or whose folder is not one of this machine.
    """
    if container.status not in {"removing", "dead"}:
        for mount in container.attrs["Mounts"]:
            if (mount["Type"], mount["Destination"]) == ("bind", LAYOUT.work):
                sized_disk.unmount_below(Path(mount["Source"]).parent)


def _silent(_: str) -> None:
    return None
