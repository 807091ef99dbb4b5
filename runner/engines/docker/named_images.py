"""Base images that a matrix names: which image of the engine a name means, and that image made ready for environments.

A name is settled once, when it is first asked for: what happens to it later is for the next run. The identity of such
an image is a hash over what trials have of it. Its id would be no such: engines that keep images in another way (the
classic store, containerd's) have other ids for the same image, and a label changes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any

from runner.engines.docker.base_images import (
    FROM,
    IDENTITY,
    SILENCE_S,
    BaseImage,
    exists,
    pull_image,
    recipe_folder,
    tag_of,
)
from runner.engines.docker.buildkit import ImageBuild
from runner.engines.docker.container import remove
from runner.engines.docker.daemon import engine_errors, engine_platform
from runner.engines.protocol import emulating
from runner.errors import BuildFailedError, EngineFullError, MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient
    from runner.engines.docker.buildkit import Builder


OLDEST_MINOR = 6
"""The first minor release of CPython 3 that the probe runs in."""
_LONGEST_REASON = 200
_NO_PROGRAM = ("executable file not found", "no such file or directory")
"""What engines say of a command that an image does not have, whatever status they give."""


class NamedImages:
    """The images that have names of their own, in one engine. May be used from several threads."""

    def __init__(
        self, client: DockerClient, builder: Builder, *, emulated: str = "", silence_s: float = SILENCE_S
    ) -> None:
        """`emulated` is the platform that they are for, where it is not the engine's own."""
        self._client, self._builder = client, builder
        self._emulated, self._silence_s = emulated, silence_s
        self._guard = threading.RLock()
        self._settled: dict[str, dict[str, Any]] = {}

    def identity(self, name: str) -> str | None:
        """What the image holds, as a hash; None where the engine does not have it for this platform."""
        found = self._look(name)
        return emulating(content_identity(found), self._emulated) if found else None

    def address(self, name: str) -> str:
        """The name for FROM in a Dockerfile: with the registry's digest, where it came from one."""
        found = self._look(name) or {}
        return str(next(iter(found.get("RepoDigests") or ()), name))

    def provide(self, name: str, say: Callable[[str], None]) -> BaseImage:
        """Have the image in the engine, as steps and trials need it: root's, with nothing before the command.

        Raises MachineError where it can't be had.
        """
        with self._guard:
            found = self._look(name) or self._pulled(name, say)
            identity = emulating(content_identity(found), self._emulated)
            below, tag = tag_of("named", "image", found["Id"]), tag_of("base", "named", found["Id"])
            if not exists(self._client, tag):
                with engine_errors(f"naming {name}"):
                    self._client.images.get(found["Id"]).tag(*below.rsplit(":", 1))
                self._build(name, tag, {FROM: below, IDENTITY: identity}, say)
            return BaseImage(python="", tag=tag, identity=identity)

    def _build(self, name: str, tag: str, labels: dict[str, str], say: Callable[[str], None]) -> None:
        try:
            with self._builder.context() as context:
                build = ImageBuild(
                    context=context,
                    dockerfile=recipe_folder() / "named-base" / "Dockerfile",
                    tag=tag,
                    arguments={"FROM": labels[FROM]},
                    labels=labels,
                    platform=self._emulated,
                )
                self._builder.build(build, say)
        except BuildFailedError as error:
            raise MachineError(f"The base image {name} could not be prepared: {error}") from error

    def _look(self, name: str) -> dict[str, Any] | None:
        """What the engine says of the image that the name means in this run; it is asked until it has it."""
        with self._guard:
            if name not in self._settled:
                found = self._here(name)
                if found is None or self._platform_of(found) != self._platform:
                    return None
                self._settled[name] = found
            return self._settled[name]

    def _here(self, name: str) -> dict[str, Any] | None:
        import docker.errors  # noqa: PLC0415 - imported by now

        with engine_errors(f"looking for {name}"):
            try:
                return dict(self._client.images.get(name).attrs)
            except docker.errors.ImageNotFound:
                return None

    def _pulled(self, name: str, say: Callable[[str], None]) -> dict[str, Any]:
        say(f"pulling {name}")
        try:
            pull_image(self._client, name, platform=self._emulated, silence_s=self._silence_s)
        except EngineFullError:
            raise
        except MachineError as error:
            has = self._here(name)
            why = f"the engine has it for {self._platform_of(has)} alone, and " if has else ""
            raise MachineError(
                f"The base image {name} can't be had for {self._platform}: {why}it cannot be pulled"
                f" ({str(error).rstrip('.')}).\nBuild it on this engine (`docker build --tag {name}`), or look at"
                " `base_image:` and at the network of the engine."
            ) from error
        found = self._look(name)
        if found is None:
            raise MachineError(f"The base image {name} was pulled, and there is none for {self._platform}.")
        return found

    @property
    def _platform(self) -> str:
        return self._emulated or engine_platform(self._client)

    @staticmethod
    def _platform_of(found: dict[str, Any]) -> str:
        return f"linux/{found['Architecture']}"


def content_identity(found: dict[str, Any]) -> str:
    """The hash of what an image gives a trial, from what an engine tells of it: its layers, platform and surroundings.

    What is empty is left out by some engines, and told as empty or null by others.
    """
    config = found.get("Config") or {}
    told = {
        "layers": found["RootFS"]["Layers"],
        "platform": f"{found['Os']}/{found['Architecture']}",
        "env": config.get("Env") or [],
        "folder": config.get("WorkingDir") or "/",
        "volumes": sorted(config.get("Volumes") or ()),
    }
    return f"sha256:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"


def cpython_of(client: DockerClient, tag: str, *, named: str = "", platform: str = "") -> str:
    """The release of the CPython in a base image, such as "3.7.16"; `platform` is the one that is emulated.

    Raises UsageError where one that a matrix has `named` has none that can be used.
    """
    import docker.errors  # noqa: PLC0415 - imported by now

    said, why = b"", ""
    question = "import platform, venv; print(platform.python_version())"
    with engine_errors(f"asking {tag} for its version"):
        container = client.containers.create(
            tag,
            ["python3", "-I", "-c", question],
            network_mode="none",
            read_only=True,
            platform=platform or None,
        )
        try:
            container.start()
            container.wait()
            said, why = container.logs(stderr=False), container.logs(stdout=False).decode("utf-8", "replace")
        except docker.errors.APIError as error:
            why = str(error.explanation)
            if not any(words in why for words in _NO_PROGRAM):
                raise
        finally:
            remove(container)
    version = said.decode("utf-8", "replace").strip()
    release = re.fullmatch(r"3\.(\d+)\.\d+\S*", version)
    if release is None or int(release[1]) < OLDEST_MINOR:
        had = f"its `python3` is {version}" if version else " ".join(why.split())[-_LONGEST_REASON:]
        if not named:
            raise MachineError(f"{tag} does not say which CPython it has ({had}).")
        raise UsageError(
            f"The base image {named} has no CPython that trials can run with ({had}).\n"
            f"It needs a `python3` of CPython 3.{OLDEST_MINOR} or newer with its module venv; docs/gpus.md makes one."
        )
    return version
