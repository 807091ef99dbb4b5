"""Base images without a registry: a minimal Debian, and a CPython that was found on this machine.

The Debian is this machine's own release, since its interpreters are linked against that release's libraries. Both parts
are tar files without times in them, so their hashes are the identity of the base image.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from runner.cache import begun, cache_folder, passing_folder, read_sealed, write_sealed
from runner.engines.docker.base_images import FROM, IDENTITY, BaseImage, exists, recipe_folder, tag_of
from runner.engines.docker.buildkit import ImageBuild
from runner.engines.docker.daemon import engine_errors
from runner.engines.docker.interpreter_files import needed_libraries, owners_of, write_tar
from runner.environments.interpreters import find_interpreters, newest_of
from runner.errors import BuildFailedError, MachineError
from runner.own_folder import remove, user_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from docker import DockerClient
    from runner.engines.docker.buildkit import Builder
    from runner.environments.interpreters import Interpreter


class OfflineImages:
    """Base images made here, for every CPython of this machine. One thread at a time makes one."""

    def __init__(self, client: DockerClient, builder: Builder) -> None:
        self._client = client
        self._builder = builder
        self._recipe = recipe_folder() / "offline-base"
        self._making = threading.Lock()

    def pythons(self) -> tuple[str, ...]:
        """The CPython minor releases of this machine, newest first."""
        return tuple(dict.fromkeys(interpreter.minor for interpreter in find_interpreters()))

    def identity(self, python: str) -> str | None:
        """The hash of a base image's contents, None where it was never made of this interpreter."""
        interpreter = newest_of(python)
        content = read_sealed(self._note(python)) if interpreter else None
        if content is None or interpreter is None:
            return None
        note = json.loads(content)
        return cast("str", note["identity"]) if note["made_of"] == self._made_of(interpreter) else None

    def check(self) -> None:
        """Find out whether a Debian is there, or all that it takes to make one. Raises MachineError where neither."""
        if not find_interpreters():
            raise MachineError("No base image can be made here: no CPython is on this machine.")
        suite, script = _suite(), self._recipe / "make-debian"
        if not any(_known_debians(suite, script)):
            check_debian(suite)

    def address(self, python: str) -> None:
        """Always None: only this machine has these images."""

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
        with self._making, self._builder.context() as context:
            debian = provide_debian(interpreter, self._recipe / "make-debian", say)
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

    def _build(self, image: BaseImage, debian: Debian, context: Path, say: Callable[[str], None]) -> None:
        below = tag_of("debian", debian.suite, debian.sha256)
        if not exists(self._client, below):
            say(f"importing {debian.tar}")
            verify_debian(debian)
            repository, _, tag = below.rpartition(":")
            with engine_errors(f"importing {below}"):
                self._client.api.import_image_from_file(str(debian.tar), repository=repository, tag=tag)
        try:
            build = ImageBuild(
                context=context,
                dockerfile=self._recipe / "Dockerfile",
                tag=image.tag,
                arguments={"FROM": below, "MINOR": image.python},
                labels={FROM: below, IDENTITY: image.identity},
            )
            self._builder.build(build, say)
        except BuildFailedError as error:
            raise MachineError(f"CPython {image.python} of this machine does not run in an image: {error}") from error

    def _made_of(self, interpreter: Interpreter) -> str:
        recipe = b"".join((self._recipe / name).read_bytes() for name in ("Dockerfile", "make-debian"))
        recipe += " ".join(sorted(ALWAYS)).encode()
        return f"{interpreter.path} {interpreter.identity} {hashlib.sha256(recipe).hexdigest()}"

    def _note(self, python: str) -> Path:
        return cache_folder() / "docker" / f"offline-base-{python}.json"


ALWAYS = frozenset({"ca-certificates", "libgomp1", "libstdc++6", "netbase", "tzdata"})
"""Packages that the official images of Python hold beside CPython's own needs, and OpenMP, which wheels such as
LightGBM's take for granted."""
_APT_HELPER = "/usr/lib/apt/apt-helper"
_GUARD = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
"""Runs a program in a space of processes and mounts of its own, which ends with the thread that started it."""
MIRROR_S = 5
"""A mirror that does not answer in so many seconds counts as none."""
OTHER_WAY = "Use `--base registry` where the Docker engine reaches a registry."


@dataclass(frozen=True, kw_only=True, slots=True)
class Debian:
    """A root file system as a tar; `sha256` (hex) is its identity."""

    suite: str
    packages: frozenset[str]
    sha256: str
    tar: Path


def provide_debian(interpreter: Interpreter, script: Path, say: Callable[[str], None]) -> Debian:
    """A Debian for this interpreter: the first one made that fits, so that a base image changes only when it must.

    A new one is made for all interpreters of this machine at once.

    Raises MachineError where there is none and none can be made here.
    """
    suite = _suite()
    needed = _packages([interpreter])
    fitting = [debian for debian in _known_debians(suite, script) if needed <= debian.packages]
    if fitting:
        return min(fitting, key=lambda debian: debian.tar.stat().st_mtime)
    packages = _packages(find_interpreters())
    key = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    tar = cache_folder() / "docker" / f"{_debian_name(suite, script)}-{key}.tar"
    say(f"making a Debian {suite} with {len(packages)} packages for CPython: about half a minute")
    make_debian(script, suite, check_debian(suite), packages, tar)
    debian = Debian(suite=suite, packages=packages, sha256=_hash(tar), tar=tar)
    note = {"suite": suite, "packages": sorted(packages), "sha256": debian.sha256}
    write_sealed(tar.with_suffix(".json"), json.dumps(note).encode())
    return debian


def verify_debian(debian: Debian) -> None:
    """Check that the tar is what it was when it was made. Raises MachineError, and removes it, where it is not."""
    if _hash(debian.tar) != debian.sha256:
        debian.tar.unlink()
        raise MachineError(f"{debian.tar} was damaged and is removed. Run again: it is made anew.")


def _known_debians(suite: str, script: Path) -> Iterator[Debian]:
    """The Debians that were made by this script."""
    folder = cache_folder() / "docker"
    made = (_read_debian(note) for note in folder.glob(f"{_debian_name(suite, script)}-*.json"))
    return (debian for debian in made if debian is not None)


def _debian_name(suite: str, script: Path) -> str:
    return f"debian-{suite}-{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"


def _read_debian(note: Path) -> Debian | None:
    content = read_sealed(note)
    tar = note.with_suffix(".tar")
    if content is None or not tar.is_file():
        return None
    said = json.loads(content)
    return Debian(suite=said["suite"], packages=frozenset(said["packages"]), sha256=said["sha256"], tar=tar)


def _packages(interpreters: Iterable[Interpreter]) -> frozenset[str]:
    libraries = {library for interpreter in interpreters for library in needed_libraries(interpreter)}
    return ALWAYS.union(owners_of(libraries).values())


def check_debian(suite: str) -> str:
    """The address that a Debian can be made from. Raises MachineError where none can be made here."""
    missing = [name for name in ("debootstrap", "apt-get") if _found(name) is None]
    if missing:
        raise MachineError(
            f"A base image cannot be made here: {' and '.join(missing)} cannot be found.\n"
            f"Install debootstrap (Debian and Ubuntu have it). {OTHER_WAY}"
        )
    if user_number() != 0:
        raise MachineError(
            "A base image cannot be made here: debootstrap needs root.\n"
            f"Run this once as root, with RUNNER_CACHE={cache_folder()}; what it makes stays. {OTHER_WAY}"
        )
    mirror = _mirror(suite)
    _knock(mirror, suite)
    return mirror


def _knock(mirror: str, suite: str) -> None:
    """Have apt read a release, once and soon. Raises MachineError where the mirror does not give it."""
    patience = ["Acquire::Retries=0", *(f"Acquire::{scheme}::Timeout={MIRROR_S}" for scheme in ("http", "https"))]
    with passing_folder() as folder:
        command = [_APT_HELPER, *(word for each in patience for word in ("-o", each)), "download-file"]
        command += [f"{mirror.rstrip('/')}/dists/{suite}/InRelease", f"{folder}/InRelease"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        words = done.stderr.strip().removeprefix("E: ").partition("\n")[0]
        raise MachineError(f"A base image cannot be made here: apt's mirror does not answer ({words}).\n{OTHER_WAY}")


def make_debian(script: Path, suite: str, mirror: str, packages: Collection[str], tar: Path) -> None:
    """Have the script write a Debian as a tar file; whatever ends this process ends the script, and leaves no mount.

    Raises MachineError, with the script's last words, where it fails.
    """
    folder = begun(tar.parent)
    folder.mkdir()
    try:
        _write_debian([str(script), suite, mirror, ",".join(sorted(packages)), str(folder / tar.name)], suite)
        (folder / tar.name).replace(tar)
    finally:
        remove(folder)


def _write_debian(arguments: Sequence[str], suite: str) -> None:
    can_guard = subprocess.run([*_GUARD, "true"], capture_output=True, check=False, env=_environment()).returncode == 0
    command = [*(_GUARD if can_guard else ()), "sh", *arguments]
    last: deque[str] = deque(maxlen=8)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=_environment()
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for
        for line in process.stdout:
            last.append(line.rstrip())
    if process.returncode:
        words = "\n".join(last)
        raise MachineError(
            f"debootstrap could not make a Debian {suite}:\n{words}\nAre apt's sources in order here? {OTHER_WAY}"
        )


def _suite() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    codename = release.get("VERSION_CODENAME")
    if not codename or "debian" not in (release.get("ID"), *release.get("ID_LIKE", "").split()):
        raise MachineError(
            f"A base image cannot be made here: this is {release.get('PRETTY_NAME', 'an unknown system')},"
            f" not Debian or one of its kind.\n{OTHER_WAY}"
        )
    return codename


def _mirror(suite: str) -> str:
    """The address that apt itself reads this release from."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        codename, component, address = (*line.split(), "", "", "")[:3]
        if (codename, component) == (suite, "main"):
            return address
    raise MachineError(
        f"A base image cannot be made here: apt has no source for {suite} main.\n"
        f"Run `apt-get update`, and look at /etc/apt/sources.list. {OTHER_WAY}"
    )


def _environment() -> dict[str, str]:
    """This process's environment with apt's proxies, which debootstrap does not read by itself."""
    schemes = ("http", "https")
    command = [
        "apt-config",
        "shell",
        *(word for each in schemes for word in (f"{each}_proxy", f"Acquire::{each}::Proxy")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    proxies = dict(re.findall(r"^(https?_proxy)='(.*)'$", done.stdout, flags=re.MULTILINE))
    return {**proxies, **os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def _found(program: str) -> str | None:
    return shutil.which(program, path=_environment()["PATH"])


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
