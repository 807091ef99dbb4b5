"""Locks as images: finds them by name, makes them in layers that environments share, tells and removes what is stored.

Each image stands on the one before: base image, interpreter, the base's packages, the overlay's packages. The name of
each holds the digest of all that it is made of, so that what has a name is never made twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from runner.cache import cache_folder, locked, write_whole
from runner.engines.docker.base_images import (
    FROM,
    IDENTITY,
    PREFIX,
    REPOSITORY,
    labels_of,
    pull_image,
    recipe_folder,
    told,
)
from runner.engines.docker.buildkit import ImageBuild, forget_contexts, forget_steps
from runner.engines.docker.container_uv import container_uv
from runner.engines.docker.daemon import engine_errors
from runner.engines.docker.named_images import NamedImages, cpython_of
from runner.engines.protocol import EngineKind, Image, StoredImage
from runner.environments.lock import Layer
from runner.errors import BuildFailedError, MachineError, UsageError
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient
    from runner.engines.docker.base_images import BaseImages
    from runner.engines.docker.buildkit import Builder
    from runner.environments.lock import Ground, Lock
    from runner.environments.wheelhouse import WheelFile, Wheelhouse


LOCK_DIGEST = f"{PREFIX}.lock-digest"
LOCK_NAME = f"{PREFIX}.lock"
PYTHON = f"{PREFIX}.python"
LARGE_BYTES = 50_000_000
"""A wheel of this size takes seconds to unpack."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterImage:
    """A base image made ready: its CPython compiled, an empty environment at /env."""

    tag: str
    base_tag: str
    """The base image below it."""
    identity: str
    python_full: str
    program: str = "/usr/local/bin/python3"
    """Where its CPython is, for uv."""


class EnvironmentImages:
    """The images of one engine. May be used from several threads."""

    def __init__(self, client: DockerClient, bases: BaseImages, builder: Builder, *, emulated: str = "") -> None:
        """`emulated` is the platform that they are for, where it is not the engine's own."""
        self._emulated = emulated
        self._client = client
        self._bases = bases
        self._named = NamedImages(client, builder, emulated=emulated)
        self._builder = builder
        self._guard = threading.Lock()
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._sent = False

    def identity(self, ground: Ground) -> str | None:
        """The identity of the base image that locks with this ground stand on, where it is known."""
        return self._named.identity(ground.image) if ground.image else self._bases.identity(ground.python)

    def address(self, ground: Ground) -> str | None:
        """The name of that base image for FROM in a Dockerfile; None where only this machine has it."""
        return self._named.address(ground.image) if ground.image else self._bases.address(ground.python)

    def interpreter(self, ground: Ground, say: Callable[[str], None]) -> InterpreterImage:
        """Have the interpreter of a CPython minor release, its base image included.

        Raises MachineError where it cannot be had: that is a failure of the machine, never of an environment; and
        UsageError where a named image has another one, or none.
        """
        with self._alone(f"interpreter {ground.image or ground.python}"):
            identity = self.identity(ground)
            made = (identity and self._find_interpreter(ground, identity)) or self._interpreter(ground, say)
        if ground.image and ground.python not in {"", made.python_full.rpartition(".")[0]}:
            raise UsageError(
                f"The base image {ground.image} has CPython {made.python_full}, and a lock that stands on it is for"
                f" {ground.python}: `lock --upgrade` makes it anew."
            )
        return made

    def _interpreter(self, ground: Ground, say: Callable[[str], None]) -> InterpreterImage:
        base = self._named.provide(ground.image, say) if ground.image else self._bases.provide(ground.python, say)
        if found := self._find_interpreter(ground, base.identity):
            return found
        python_full = cpython_of(self._client, base.tag, named=ground.image, platform=self._emulated)
        tag = self._interpreter_name(ground, base.identity)
        labels = {FROM: base.tag, IDENTITY: base.identity, PYTHON: python_full}
        say(f"preparing CPython {python_full}")
        try:
            with self._builder.context() as context:
                self._build(context, "interpreter", tag=tag, labels=labels, say=say)
        except BuildFailedError as error:
            raise MachineError(f"The base image of CPython {ground} could not be prepared: {error}") from error
        return _interpreter_image(tag, labels, ground)

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where it is made already."""
        identity = self.identity(lock.ground)
        if identity is None:
            return None
        tag = self._name("env", lock.digest[:12], identity)
        labels = labels_of(self._client, tag)
        if labels is None:
            return None
        return Image(
            engine=EngineKind.DOCKER,
            reference=tag,
            lock_digest=lock.digest,
            base_identity=labels[IDENTITY],
            python_full=labels[PYTHON],
            address=note.read_text() if (note := self._note("pushed", tag)).exists() else "",
        )

    def push(self, image: Image, registry: str) -> Image:
        """Push an image, unless the registry has it: then its address says so."""
        repository, name = f"{registry}/env", image.reference.rpartition(":")[2]
        if image.address.startswith(f"{repository}@"):
            return image
        with self._alone(f"pushing {name}"), engine_errors(f"pushing {image.reference} to {registry}"):
            self._client.api.tag(image.reference, repository, tag=name)
            try:
                said = told(partial(self._client.api.push, repository, tag=name, stream=True, decode=True))
            finally:
                self._remove(f"{repository}:{name}")
        digests = [line["aux"]["Digest"] for line in said if "Digest" in line.get("aux", {})]
        if not digests:
            reason = next((line["error"] for line in reversed(said) if "error" in line), "it gives no digest")
            raise MachineError(f"{image.reference} cannot be pushed to {registry}: {reason}")
        return self._at(image, f"{repository}@{digests[-1]}")

    def pull(self, lock: Lock, address: str, say: Callable[[str], None]) -> Image:
        """Have the image of a lock that another engine pushed.

        Raises MachineError where it can't be pulled, or is not of this lock and this engine's own base image.
        """
        say(f"pulling {address}")
        with self._alone(f"environment {lock.digest}"):
            pull_image(self._client, address, platform=self._emulated)
            labels = labels_of(self._client, address)
            if labels is None:
                raise MachineError(f"{address} cannot be pulled: it did not come")
            try:
                identity = self.identity(lock.ground)
                if (labels.get(LOCK_DIGEST), labels.get(IDENTITY)) != (lock.digest, identity):
                    raise MachineError(f"{address} is of another lock or base image than {lock.environment.name}")
                tag = self._name("env", lock.digest[:12], labels[IDENTITY])
                with engine_errors(f"naming {address}"):
                    self._client.images.get(address).tag(*tag.rsplit(":", 1))
            finally:
                self._remove(address)  # the name alone, where it has our own now
            image = self.find(lock)
        if image is None:
            raise MachineError(f"{address} is gone again")
        return self._at(image, address)

    def _at(self, image: Image, address: str) -> Image:
        note = self._note("pushed", image.reference)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, address.encode())
        return replace(image, address=address)

    def make(self, lock: Lock, wheelhouse: Wheelhouse, say: Callable[[str], None], labels: Mapping[str, str]) -> Image:
        """Make the image of a lock, or find it made; `labels` are further ones.

        Raises BuildFailedError where its packages cannot be installed, MachineError where the machine is at fault.
        """
        interpreter = self.interpreter(lock.ground, say)
        with self._alone(f"environment {lock.digest}"):
            if found := self.find(lock):
                return found
            shared = self._layer(lock, interpreter, wheelhouse, say)
            overlay = [wheel for wheel in wheelhouse.wheels if wheel.layer is Layer.OVERLAY]
            tag = self._name("env", lock.digest[:12], interpreter.identity)
            labels = {
                **labels,
                FROM: shared,
                IDENTITY: interpreter.identity,
                LOCK_DIGEST: lock.digest,
                LOCK_NAME: lock.environment.name,
                PYTHON: interpreter.python_full,
            }
            say(f"installing {counted(len(overlay), 'further package')}")
            self._install(overlay, tag=tag, labels=labels, say=say)
            return Image(
                engine=EngineKind.DOCKER,
                reference=tag,
                lock_digest=lock.digest,
                base_identity=interpreter.identity,
                python_full=interpreter.python_full,
            )

    def touch(self, tag: str) -> None:
        """Note that an image is used now."""
        note = self._note("used", tag)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()

    def stored(self) -> tuple[StoredImage, ...]:
        """List our images that no other one of ours stands on, those that were not used for longest first.

        These are the images of locks, and what a failed or killed build left.
        """
        ours = list(self._ours())
        below = {labels.get(FROM) for _, labels, _, _ in ours}
        found = [
            StoredImage(
                reference=tag,
                lock_name=labels.get(LOCK_NAME, tag.removeprefix(f"{REPOSITORY}/")),
                size_bytes=size,
                last_used=max(created, self._last_used(tag)),
            )
            for tag, labels, size, created in ours
            if tag not in below
        ]
        return tuple(sorted(found, key=lambda image: image.last_used))

    def remove(self, tag: str) -> bool:
        """Remove an image and what below it no other one of ours stands on; false where a container uses it."""
        below = (labels_of(self._client, tag) or {}).get(FROM)
        if not self._remove(tag):
            return False
        for kind in ("used", "pushed"):
            self._note(kind, tag).unlink(missing_ok=True)
        while below and not any(labels.get(FROM) == below for _, labels, _, _ in self._ours()):
            tag, below = below, (labels_of(self._client, below) or {}).get(FROM)
            self._remove(tag)
        forget_steps(self._client)
        return True

    def forget_contexts(self) -> None:
        """Let the engine drop what it was sent for builds; until then a next build sends only what differs."""
        if self._sent:
            forget_contexts(self._client)

    def _ours(self) -> Iterable[tuple[str, Mapping[str, str], int, datetime]]:
        with engine_errors("listing images"):
            images = self._client.api.images(filters={"reference": f"{REPOSITORY}/*"})
        for image in images:
            created = datetime.fromtimestamp(image["Created"], UTC)
            for tag in image["RepoTags"] or []:
                if tag.startswith(f"{REPOSITORY}/"):
                    yield tag, image["Labels"] or {}, int(image["Size"]), created

    def _remove(self, tag: str) -> bool:
        import docker.errors  # noqa: PLC0415 - imported by now

        with engine_errors(f"removing {tag}"):
            try:
                self._client.images.remove(tag)
            except docker.errors.ImageNotFound:
                return False
            except docker.errors.APIError as error:
                if error.status_code == HTTPStatus.CONFLICT:
                    return False
                raise
        return True

    def _last_used(self, tag: str) -> datetime:
        try:
            return datetime.fromtimestamp(self._note("used", tag).stat().st_mtime, UTC)
        except FileNotFoundError:
            return datetime.fromtimestamp(0, UTC)

    @staticmethod
    def _note(kind: str, tag: str) -> Path:
        return cache_folder() / "docker" / kind / tag.rpartition(":")[2]

    def _interpreter_name(self, ground: Ground, identity: str) -> str:
        return self._name("interpreter", "named" if ground.image else ground.python, identity)

    def _find_interpreter(self, ground: Ground, identity: str) -> InterpreterImage | None:
        tag = self._interpreter_name(ground, identity)
        labels = labels_of(self._client, tag)
        return None if labels is None else _interpreter_image(tag, labels, ground)

    def _layer(
        self, lock: Lock, interpreter: InterpreterImage, wheelhouse: Wheelhouse, say: Callable[[str], None]
    ) -> str:
        """Have the image of a lock's base packages, which other locks may share."""
        tag = self._name("layer", lock.layer_digest(Layer.BASE)[:12], interpreter.identity)
        with self._alone(tag):
            if labels_of(self._client, tag) is None:
                wheels = [wheel for wheel in wheelhouse.wheels if wheel.layer is Layer.BASE]
                labels = {FROM: interpreter.tag, IDENTITY: interpreter.identity, PYTHON: interpreter.python_full}
                say(f"installing {counted(len(wheels), 'package')} of the base")
                self._install(wheels, tag=tag, labels=labels, say=say)
        return tag

    def _install(
        self, wheels: Sequence[WheelFile], *, tag: str, labels: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        from packaging.utils import parse_wheel_filename  # noqa: PLC0415 - a finished matrix installs nothing

        with self._builder.context() as context:
            _link(container_uv(self._client, labels[FROM]), context / "uv")
            (context / "wheels").mkdir()
            wanted: dict[str, list[str]] = {"requirements.txt": []}
            largest = _largest(wheels)
            for wheel in sorted(wheels, key=lambda wheel: wheel.path.name):
                name, version, _, _ = parse_wheel_filename(wheel.path.name)
                line = f"{name}=={version} --hash=sha256:{wheel.sha256}\n"
                wanted.setdefault("largest.txt" if wheel is largest else "requirements.txt", []).append(line)
                _link(wheel.path, context / "wheels" / wheel.path.name)
            for file, lines in wanted.items():
                (context / file).write_text("".join(lines), encoding="utf-8")
            self._build(context, "layer", tag=tag, labels=labels, say=say)

    def _build(
        self, context: Path, target: str, *, tag: str, labels: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        recipe = recipe_folder()
        shutil.copy2(recipe / "compile_bytecode.py", context / "compile_bytecode.py")
        build = ImageBuild(
            context=context,
            dockerfile=recipe / "Dockerfile",
            tag=tag,
            target=target,
            arguments={"FROM": labels[FROM]},
            labels=labels,
            platform=self._emulated,
        )
        self._sent = True
        self._builder.build(build, say)

    def _name(self, kind: str, name: str, identity: str) -> str:
        made_of = hashlib.sha256(f"{identity} {self._recipe_digest}".encode()).hexdigest()
        return f"{REPOSITORY}/{kind}:{name}-{made_of[:12]}"

    @cached_property
    def _recipe_digest(self) -> str:
        recipe = recipe_folder()
        files = (recipe / "Dockerfile", recipe / "compile_bytecode.py")
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    @contextlib.contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Let one thread of one runner at a time make one thing; the others find it made."""
        with self._guard:
            lock = self._making[what]
        place = cache_folder() / "docker" / "making"
        place.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(what.encode()).hexdigest()[:16]
        with lock, locked(place / name, stopping=self._builder.stopping):
            yield


def _interpreter_image(tag: str, labels: Mapping[str, str], ground: Ground) -> InterpreterImage:
    made = InterpreterImage(tag=tag, base_tag=labels[FROM], identity=labels[IDENTITY], python_full=labels[PYTHON])
    return replace(made, program="/env/bin/python3") if ground.image else made


def _largest(wheels: Sequence[WheelFile]) -> WheelFile | None:
    """The wheel that is worth a step of its own, None where all are small or it is the only one."""
    sizes = {wheel.path.stat().st_size: wheel for wheel in wheels}
    return sizes[max(sizes)] if len(wheels) > 1 and max(sizes) >= LARGE_BYTES else None


def _link(source: str | Path, target: Path) -> None:
    """Link a file into a context, or copy it where the file systems differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
