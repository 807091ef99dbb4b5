"""Base images out of a registry: which tag belongs to a CPython, which digest was pulled for it, and the pulling.

`base-images.toml` names the tags, `base-images.lock` the digests: none stands there that was not fetched.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.cache import cache_folder, write_whole
from runner.engines.docker.daemon import disk_is_full, engine_errors, engine_platform, is_full
from runner.engines.protocol import emulating
from runner.errors import BuildFailedError, EngineFullError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import DockerClient


REPOSITORY = "convergence-matrix"
"""The first part of the names of all our images."""
PREFIX = "convergence-matrix"
"""The first part of all our labels."""
FROM = f"{PREFIX}.from"
"""The label that names the image below."""
IDENTITY = f"{PREFIX}.base-identity"
REGISTRY_S = 5
"""A registry that does not answer in so many seconds counts as none."""
SILENCE_S = 120.0
"""A registry that gives nothing for so long in the middle of a pull gives nothing more."""
_PACKAGE = Path(__file__).parents[2]
_LOCK_HEAD = "# Digests of the base images as they were pulled. Written by the runner; see base-images.toml.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """A base image in the engine: `tag` names it there, `identity` is its digest or the hash of its contents."""

    python: str
    tag: str
    identity: str


class BaseImages(Protocol):
    """A source of base images."""

    def pythons(self) -> tuple[str, ...]:
        """The CPython minor releases that can be had, newest first."""
        ...

    def identity(self, python: str) -> str | None:
        """The identity of a base image where it is known already; the engine is not asked."""
        ...

    def address(self, python: str) -> str | None:
        """The name for FROM in a Dockerfile on any machine; None where only this machine has the image."""
        ...

    def check(self) -> None:
        """Find out soon whether base images can be had at all. Raises MachineError, with the reason, where not."""
        ...

    def provide(self, python: str, say: Callable[[str], None]) -> BaseImage:
        """Have the base image in the engine. Raises MachineError where it cannot be had."""
        ...


def recipe_folder() -> Path:
    """Find `docker/`: of the checkout that runs, else the copy in the installed package."""
    checkout = _PACKAGE.parent / "docker"
    return checkout if (checkout / "base-images.toml").is_file() else _PACKAGE / "docker_files"


def seccomp_profile() -> Path:
    """Name the list of the system calls that containers may make."""
    return recipe_folder() / "seccomp.json"


def lock_file() -> Path:
    """Name the file that digests are written to: beside the tags in a checkout, else in the cache."""
    folder = recipe_folder()
    return (cache_folder() if folder.parent == _PACKAGE else folder) / "base-images.lock"


def tag_of(kind: str, name: str, identity: str) -> str:
    """Name something of ours in the engine, by what it is made of."""
    return f"{REPOSITORY}/{kind}:{name}-{identity.removeprefix('sha256:')[:12]}"


def exists(client: DockerClient, tag: str) -> bool:
    """True where the engine has this image."""
    return labels_of(client, tag) is not None


def labels_of(client: DockerClient, tag: str) -> dict[str, str] | None:
    """The labels of an image, None where the engine does not have it."""
    import docker.errors  # noqa: PLC0415 - imported by now

    with engine_errors(f"looking for {tag}"):
        try:
            return dict(client.images.get(tag).labels)
        except docker.errors.ImageNotFound:
            return None


def told(transfer: Callable[[], Iterable[dict[str, Any]]], silence_s: float = SILENCE_S) -> list[dict[str, Any]]:
    """All that the engine tells while it pulls or pushes; the SDK itself would wait for ever for more."""
    lines: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for line in transfer():
                lines.put(line)
            lines.put(None)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            lines.put(error)

    threading.Thread(target=read, daemon=True).start()
    said: list[dict[str, Any]] = []
    while True:
        try:
            line = lines.get(timeout=silence_s)
        except queue.Empty:
            raise MachineError(f"the registry has given nothing for {silence_s:.0f} s") from None
        if isinstance(line, Exception):
            raise line
        if line is None:
            return said
        said.append(line)


def pull_image(client: DockerClient, name: str, *, platform: str = "", silence_s: float = SILENCE_S) -> None:
    """Have the engine pull an image by its name with tag or digest, for a `platform` or for its own.

    Raises MachineError, with the reason, where it can't; EngineFullError where its disk is full.
    """
    from docker.utils import parse_repository_tag  # noqa: PLC0415 - imported by now

    repository, tag = parse_repository_tag(name)
    with engine_errors(f"pulling {name}"):
        pull = partial(client.api.pull, repository, tag=tag, platform=platform or None, stream=True, decode=True)
        said = told(pull, silence_s)
    if failures := [line["error"] for line in said if "error" in line]:
        raise disk_is_full(f"pulling {name}") if is_full(failures[-1]) else MachineError(failures[-1])


class RegistryImages:
    """Official images, pulled by tag once and by digest from then on."""

    def __init__(
        self, client: DockerClient, *, tags: Path, lock: Path, emulated: str = "", silence_s: float = SILENCE_S
    ) -> None:
        """Of the images that the file `tags` names, at the digests in the file `lock`; what it pulls, it adds there.

        `emulated` is the platform that they are for, where it is not the engine's own; a digest is that of an image
        for all platforms, of which the engine has one at a time. A registry may be slow, but not without a sign of life
        for `silence_s`.
        """
        self._client, self._emulated = client, emulated
        self._silence_s = silence_s
        self._file = lock
        self._writing = threading.Lock()
        self._tags: dict[str, str] = _read(tags)

    def pythons(self) -> tuple[str, ...]:
        """The CPython minor releases that have a tag, newest first."""
        return tuple(sorted(self._tags, key=lambda minor: int(minor.split(".")[1]), reverse=True))

    def identity(self, python: str) -> str | None:
        """The digest in the lock with the platform that is emulated, None where this tag was never pulled."""
        digest = self._locked(python)
        return digest and emulating(digest, self._emulated)

    def _locked(self, python: str) -> str | None:
        entry = _read(self._file).get(python)
        return str(entry["digest"]) if entry and entry["image"] == self._tags.get(python) else None

    def address(self, python: str) -> str | None:
        """Repository and digest; None where the tag was never pulled."""
        digest = self._locked(python)
        return f"{self._tags[python].rpartition(':')[0]}@{digest}" if digest else None

    def check(self) -> None:
        """Ask the registry about one image, unless one was pulled before. Raises MachineError where none answers."""
        if any(self._is_here(address) for python in self._tags if (address := self.address(python))):
            return
        import docker.errors  # noqa: PLC0415 - imported by now

        usual, self._client.api.timeout = self._client.api.timeout, REGISTRY_S
        try:
            with engine_errors("asking a registry"), contextlib.suppress(docker.errors.NotFound):
                self._client.api.inspect_distribution(next(iter(self._tags.values())))  # type: ignore[no-untyped-call]
        except MachineError as error:
            raise MachineError(f"No base image can be pulled ({_last_words(error)})") from error
        finally:
            self._client.api.timeout = usual

    def provide(self, python: str, say: Callable[[str], None]) -> BaseImage:
        """Pull the image of the locked digest, or the tag where there is none yet, and lock what came."""
        digest = self._locked(python)
        image = self._tags.get(python)
        if image is None:
            raise BuildFailedError("image-build", f"There is no base image of CPython {python} in base-images.toml.")
        repository = image.rpartition(":")[0]
        wanted = f"{repository}@{digest}" if digest else image
        if digest is None or not self._is_here(wanted):
            say(f"pulling {wanted}")
            self._pull(wanted)
        if digest is None:
            digest = self._digest(image, repository)
            self._write(python, image, digest)
        kind = self._emulated.rpartition("/")[2]
        own = tag_of("base", f"{python}-{kind}" if kind else python, digest)
        with engine_errors(f"naming {wanted}"):
            self._client.images.get(wanted).tag(*own.rsplit(":", 1))
        return BaseImage(python=python, tag=own, identity=emulating(digest, self._emulated))

    def _is_here(self, image: str) -> bool:
        """True where the engine has an image, and for the wanted platform: of one digest it has one at a time."""
        import docker.errors  # noqa: PLC0415 - imported by now

        with engine_errors(f"looking for {image}"):
            try:
                kind = self._client.images.get(image).attrs["Architecture"]
            except docker.errors.ImageNotFound:
                return False
        return f"linux/{kind}" == (self._emulated or engine_platform(self._client))

    def _pull(self, wanted: str) -> None:
        try:
            pull_image(self._client, wanted, platform=self._emulated, silence_s=self._silence_s)
        except EngineFullError:
            raise
        except MachineError as error:
            raise _not_pulled(wanted, str(error)) from error

    def _digest(self, image: str, repository: str) -> str:
        with engine_errors(f"looking at {image}"):
            names = self._client.images.get(image).attrs.get("RepoDigests") or []
        # The engine may write the repository with its registry before it.
        found = [name.rpartition("@")[2] for name in names if name.partition("@")[0].endswith(repository)]
        if not found:
            raise MachineError(
                f"The engine has {image}, but not from a registry: it has no digest. Remove it (`docker rmi {image}`)"
                " so that it is pulled, or use `--base offline`."
            )
        return str(found[0])

    def _write(self, python: str, image: str, digest: str) -> None:
        with self._writing:
            entries = _read(self._file)
            pulled = datetime.now(UTC).strftime("%Y-%m-%d")
            entries[python] = {"image": image, "digest": digest, "pulled": pulled}
            lines = [
                f"{json.dumps(name)} = {{ {', '.join(f'{key} = {json.dumps(text)}' for key, text in entry.items())} }}"
                for name, entry in sorted(entries.items(), key=lambda item: int(item[0].split(".")[1]))
            ]
            write_whole(self._file, "\n".join([f"{_LOCK_HEAD}\n[images]", *lines, ""]).encode())


def _not_pulled(image: str, reason: str) -> MachineError:
    return MachineError(
        f"The base image {image} cannot be pulled: {reason.rstrip('.')}.\n"
        "Check the network of the Docker engine, or use `--base offline`: that makes the base image on this machine."
    )


def _last_words(error: MachineError) -> str:
    """The reason why a registry does not answer, as the engine gives it; never more than a line."""
    text = str(error).partition(": ")[2].partition("\n")[0].rstrip(".")
    return f"no registry answers in {REGISTRY_S} s" if "timed out" in text.lower() else text


def _read(file: Path) -> dict[str, Any]:
    """Read a table `images`; empty where the file has none or is missing."""
    try:
        return dict(tomllib.loads(file.read_text(encoding="utf-8")).get("images", {}))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise MachineError(f"{file} cannot be read: {error}. Restore it, or delete it: it is written again.") from error
