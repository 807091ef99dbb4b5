"""A minimal Debian as a tar file in the cache, with the packages that an interpreter needs; made where missing."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.engines.docker_interpreter import needed_libraries, owners_of
from runner.environments.cache import cache_folder, read_sealed, write_sealed
from runner.environments.interpreters import find_interpreters
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from runner.environments.interpreters import Interpreter

ALWAYS = frozenset({"ca-certificates", "libstdc++6", "netbase", "tzdata"})
"""What the official images of Python hold beside CPython's own needs."""
OTHER_WAY = "Use `--base registry` where the Docker engine reaches a registry."


@dataclass(frozen=True, kw_only=True, slots=True)
class Debian:
    """A root file system as a tar; `sha256` (hex) is its identity."""

    suite: str
    packages: frozenset[str]
    sha256: str
    tar: Path


def provide(interpreter: Interpreter, script: Path, say: Callable[[str], None]) -> Debian:
    """Give a Debian for this interpreter: the first one made that fits, so that a base image changes only when it must.

    A new one is made for all interpreters of this machine at once.

    Raises MachineError where there is none and none can be made here.
    """
    suite = _suite()
    script_digest = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "docker"
    needed = _packages([interpreter])
    known = [_read(note) for note in folder.glob(f"debian-{suite}-{script_digest}-*.json")]
    fitting = [debian for debian in known if debian is not None and needed <= debian.packages]
    if fitting:
        return min(fitting, key=lambda debian: debian.tar.stat().st_mtime)
    packages = _packages(find_interpreters())
    key = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    tar = folder / f"debian-{suite}-{script_digest}-{key}.tar"
    say(f"making a Debian {suite} with {len(packages)} packages for CPython: about half a minute")
    _make(script, suite, packages, tar, say)
    debian = Debian(suite=suite, packages=packages, sha256=_hash(tar), tar=tar)
    note = {"suite": suite, "packages": sorted(packages), "sha256": debian.sha256}
    write_sealed(tar.with_suffix(".json"), json.dumps(note).encode())
    return debian


def verify(debian: Debian) -> None:
    """Check that the tar is what it was when it was made. Raises MachineError, and removes it, where it is not."""
    if _hash(debian.tar) != debian.sha256:
        debian.tar.unlink()
        raise MachineError(f"{debian.tar} was damaged and is removed. Run again: it is made anew.")


def _read(note: Path) -> Debian | None:
    content = read_sealed(note)
    tar = note.with_suffix(".tar")
    if content is None or not tar.is_file():
        return None
    said = json.loads(content)
    return Debian(suite=said["suite"], packages=frozenset(said["packages"]), sha256=said["sha256"], tar=tar)


def _packages(interpreters: Iterable[Interpreter]) -> frozenset[str]:
    libraries = {library for interpreter in interpreters for library in needed_libraries(interpreter)}
    return ALWAYS.union(owners_of(libraries).values())


def _make(script: Path, suite: str, packages: Collection[str], tar: Path, say: Callable[[str], None]) -> None:
    missing = [name for name in ("debootstrap", "apt-get") if _found(name) is None]
    if missing:
        raise MachineError(
            f"A base image can't be made here: {' and '.join(missing)} can't be found.\n"
            f"Install debootstrap (Debian and Ubuntu have it). {OTHER_WAY}"
        )
    if os.geteuid() != 0:
        raise MachineError(
            "A base image can't be made here: debootstrap needs root.\n"
            f"Run this once as root, with RUNNER_CACHE={cache_folder()}; what it makes stays. {OTHER_WAY}"
        )
    command = ["sh", str(script), suite, _mirror(suite), ",".join(sorted(packages)), str(tar)]
    last: deque[str] = deque(maxlen=8)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=_environment()
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for
        for line in process.stdout:
            last.append(line.rstrip())
            say(line.rstrip().removeprefix("I: "))
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
            f"A base image can't be made here: this is {release.get('PRETTY_NAME', 'an unknown system')},"
            f" not Debian or one of its kind.\n{OTHER_WAY}"
        )
    return codename


def _mirror(suite: str) -> str:
    """Give the address that apt itself reads this release from."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        codename, component, address = (*line.split(), "", "", "")[:3]
        if (codename, component) == (suite, "main"):
            return address
    raise MachineError(
        f"A base image can't be made here: apt knows no source of {suite} main.\n"
        f"Run `apt-get update`, and look at /etc/apt/sources.list. {OTHER_WAY}"
    )


def _environment() -> dict[str, str]:
    """Give this process's environment with apt's proxies, which debootstrap does not read by itself."""
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
