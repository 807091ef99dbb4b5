"""Base images without a registry: a minimal Debian, and a CPython that was found on this machine.

The Debian is this machine's own release, since its interpreters are linked against that one's libraries. Both parts are
tar files without times in them, so that their hashes are the identity of the base image.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, cast

from runner.engines import docker_debian
from runner.engines.docker_build import context_folder
from runner.engines.docker_client import engine_errors
from runner.engines.docker_images import FROM, IDENTITY, BaseImage, exists, recipe_folder, tag_of
from runner.engines.docker_interpreter import write_tar
from runner.environments.cache import cache_folder, read_sealed, write_sealed
from runner.environments.interpreters import find_interpreters, newest_of
from runner.errors import BuildFailedError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docker import DockerClient
    from runner.engines.docker_build import Builder
    from runner.environments.interpreters import Interpreter


class OfflineImages:
    """Base images made here, for every CPython of this machine. One thread at a time makes one."""

    def __init__(self, client: DockerClient, builder: Builder) -> None:
        self._client = client
        self._builder = builder
        self._recipe = recipe_folder() / "offline-base"
        self._making = threading.Lock()

    def pythons(self) -> tuple[str, ...]:
        """Give the CPython minor releases of this machine, newest first."""
        return tuple(dict.fromkeys(interpreter.minor for interpreter in find_interpreters()))

    def identity(self, python: str) -> str | None:
        """Give the hash of a base image's contents, None where it was never made of this interpreter."""
        interpreter = newest_of(python)
        content = read_sealed(self._note(python)) if interpreter else None
        if content is None or interpreter is None:
            return None
        note = json.loads(content)
        return cast("str", note["identity"]) if note["made_of"] == self._made_of(interpreter) else None

    def address(self, python: str) -> None:
        """Give none: these images are of this machine."""

    def provide(self, python: str, say: Callable[[str], None]) -> BaseImage:
        """Have the base image in the engine: what of it is missing is made.

        Raises BuildFailedError where this machine has no such CPython, MachineError where it can't make a Debian.
        """
        interpreter = newest_of(python)
        if interpreter is None:
            raise BuildFailedError(
                "image-build",
                f"CPython {python} is not on this machine, so no base image can be made of it.\n"
                "Install it (with pyenv or uv, say), or use `--base registry`.",
            )
        if (identity := self.identity(python)) and exists(self._client, tag := tag_of("base", python, identity)):
            return BaseImage(python=python, tag=tag, identity=identity)
        with self._making, context_folder() as context:
            debian = docker_debian.provide(interpreter, self._recipe / "make-debian", say)
            say(f"packing {interpreter.path}")
            interpreter_hash = write_tar(interpreter, context / "interpreter.tar")
            dockerfile = self._recipe / "Dockerfile"
            parts = (debian.sha256, interpreter_hash, hashlib.sha256(dockerfile.read_bytes()).hexdigest())
            identity = "sha256:" + hashlib.sha256(" ".join(parts).encode()).hexdigest()
            image = BaseImage(python=python, tag=tag_of("base", python, identity), identity=identity)
            if not exists(self._client, image.tag):
                self._build(image, debian, context, say)
            note = {"identity": identity, "made_of": self._made_of(interpreter)}
            write_sealed(self._note(python), json.dumps(note).encode())
        return image

    def _build(self, image: BaseImage, debian: docker_debian.Debian, context: Path, say: Callable[[str], None]) -> None:
        below = tag_of("debian", debian.suite, debian.sha256)
        if not exists(self._client, below):
            say(f"importing {debian.tar}")
            docker_debian.verify(debian)
            repository, _, tag = below.rpartition(":")
            with engine_errors(f"importing {below}"):
                self._client.api.import_image_from_file(str(debian.tar), repository=repository, tag=tag)
        try:
            self._builder.build(
                context,
                self._recipe / "Dockerfile",
                tag=image.tag,
                arguments={"FROM": below, "MINOR": image.python},
                labels={FROM: below, IDENTITY: image.identity},
                say=say,
            )
        except BuildFailedError as error:
            raise MachineError(f"CPython {image.python} of this machine does not run in an image: {error}") from error

    def _made_of(self, interpreter: Interpreter) -> str:
        recipe = b"".join((self._recipe / name).read_bytes() for name in ("Dockerfile", "make-debian"))
        return f"{interpreter.path} {interpreter.identity} {hashlib.sha256(recipe).hexdigest()}"

    def _note(self, python: str) -> Path:
        return cache_folder() / "docker" / f"offline-base-{python}.json"
