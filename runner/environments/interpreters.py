"""The CPythons of this machine, each asked itself, and uv run with one of them.

uv's own search stumbles over pyenv's shims, so the interpreters are looked for here and given to uv by path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.cache import cache_folder, in_home, read_sealed, write_sealed
from runner.environments.index.connection import network_settings, without_addresses
from runner.environments.processes import Processes
from runner.environments.target import MACOS
from runner.errors import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from subprocess import CompletedProcess


BUILD_ON_HOST = "RUNNER_BUILD_ON_HOST"
"""The variable that says that source distributions may be built on this machine, where no container is around them."""
REPRODUCIBLE = {"SOURCE_DATE_EPOCH": "315619200", "PYTHONHASHSEED": "0", "CFLAGS": "-g0", "LDFLAGS": "", "CPPFLAGS": ""}
"""The variables that a toolchain sets for uv so that a wheel is built twice with the same bytes: 2 January 1980, since
zip knows no time before 1980 in any time zone, and no debug information, which names the folder that was built in."""


class Toolchain(Protocol):
    """A CPython of a minor release with uv beside it: resolves, and builds sdists, with the cell's own interpreter."""

    @property
    def python_full(self) -> str:
        """The interpreter's release, such as "3.7.16"."""
        ...

    @property
    def identity(self) -> str:
        """The identity of what it builds with, the lock apart.

        The interpreter's exact build, or the base image's identity.
        """
        ...

    @property
    def place(self) -> str:
        """The place where it builds, such as "on this machine"."""
        ...

    @property
    def with_compiler(self) -> str:
        """The advice to a user who lacks a compiler there; completes "or …"."""
        ...

    @property
    def is_fixed(self) -> bool:
        """True where its identity says all that it has: a compiler that it lacks can't come to it."""
        ...

    @property
    def compiling(self) -> Toolchain | None:
        """Where this one has no compiler: the toolchain of this machine whose CPython and system are the same."""
        ...

    @property
    def builder(self) -> Toolchain:
        """The toolchain that builds what this one needs built: often this one itself."""
        ...

    @property
    def refusal(self) -> str:
        """The reason why it builds nothing that strangers wrote; empty where it does."""
        ...

    def uv(self, arguments: Sequence[str], *, folder: Path) -> CompletedProcess[str]:
        """Run `uv ARGUMENTS` with `folder` as working directory; the interpreter is this toolchain's.

        UV_PYTHON, `connection.network_settings()` and REPRODUCIBLE are set. Paths in the arguments are relative to
        the folder, and nothing outside it is seen. A `sitecustomize.py` in the folder runs in whatever Python uv
        starts to build something.
        """
        ...

    def build(self, source: str, options: Sequence[str], *, folder: Path) -> CompletedProcess[str]:
        """Build the wheel of a source distribution or project in `folder` into `folder/made`; its code runs.

        `options` are uv's that say which build tools there are. Check what lies there: a stranger wrote it.
        """
        ...


_NAME = re.compile(r"^python3?(\.\d+)?$")
_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps({
    "implementation": platform.python_implementation(),
    "version": platform.python_version(),
    "identity": sys.version + " " + sysconfig.get_platform(),
    "own": sys.prefix == getattr(sys, "base_prefix", sys.prefix),
}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """One CPython on this machine. `identity` changes whenever another build of it takes its place."""

    path: Path
    version: str
    """Such as "3.7.16"."""
    identity: str

    @property
    def minor(self) -> str:
        """Such as "3.7"."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class HostToolchain:
    """uv beside a CPython of this machine (a `Toolchain`)."""

    interpreter: Interpreter
    processes: Processes = field(default_factory=Processes, repr=False, compare=False)
    elsewhere: Callable[[], Toolchain] | None = field(default=None, repr=False, compare=False)
    """Gives the toolchain that builds in this one's place, such as one in containers."""

    @property
    def python_full(self) -> str:
        """The interpreter's release, such as "3.7.16"."""
        return self.interpreter.version

    @property
    def identity(self) -> str:
        """The interpreter's exact build."""
        return self.interpreter.identity

    @property
    def place(self) -> str:
        """The place where it builds."""
        return "on this machine"

    @property
    def with_compiler(self) -> str:
        """The advice to a user who lacks a compiler there."""
        return "install a C compiler and CPython's headers (Debian: build-essential, python3-dev) and run again"

    @property
    def is_fixed(self) -> bool:
        """A compiler can be installed at any time."""
        return False

    @property
    def compiling(self) -> None:
        """There is no other one."""
        return

    @property
    def builder(self) -> Toolchain:
        """This one, unless another was given."""
        return self.elsewhere() if self.elsewhere else self

    @property
    def refusal(self) -> str:
        """The reason why nothing of strangers is built here: the user was not asked, or said no."""
        if os.environ.get(BUILD_ON_HOST, "").lower() in {"1", "true", "yes", "on"}:
            return ""
        return (
            "that would run its code on this machine as you, which isolates nothing. Allow it with `--build-on-host`"
            f" ({BUILD_ON_HOST}=1), or use `--engine docker`, which builds in a container"
        )

    def build(self, source: str, options: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Build a wheel on this machine, as the user."""
        return self._uv(["build", "--wheel", source, "--out-dir", "made", *options], folder, {})

    def uv(self, arguments: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run `uv ARGUMENTS` in a folder with this interpreter."""
        macos = ".".join(map(str, MACOS))
        return self._uv(arguments, folder, {"PYTHONPATH": str(folder), "MACOSX_DEPLOYMENT_TARGET": macos})

    def _uv(
        self, arguments: Sequence[str], folder: Path, variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        environment = _clean_environment() | network_settings() | REPRODUCIBLE | variables
        environment |= {
            "UV_PYTHON": str(self.interpreter.path),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_CACHE_DIR": str(cache_folder() / "uv"),
        }
        return _run_uv(arguments, environment, folder, self.processes)


def find_interpreters() -> tuple[Interpreter, ...]:
    """Every CPython 3.6 or later on PATH, in pyenv's versions folder and among uv's own; newest first."""
    file = cache_folder() / "interpreters.json"
    content = read_sealed(file)
    known: dict[str, dict[str, Any]] = {} if content is None else json.loads(content)
    seen = {str(path): _answer(path, known.get(str(path))) for path in sorted(_candidates())}
    if seen != known:
        write_sealed(file, json.dumps(seen).encode())
    found = [
        Interpreter(path=Path(path), version=answer["version"], identity=answer["identity"])
        for path, answer in seen.items()
        if answer["usable"]
    ]
    return tuple(sorted(found, key=lambda one: (*_numbers(one.version), str(one.path)), reverse=True))


def newest_of(minor: str) -> Interpreter | None:
    """The latest patch release of a CPython minor release on this machine."""
    return next((one for one in find_interpreters() if one.minor == minor), None)


def download(minor: str, processes: Processes) -> Interpreter:
    """Let uv download a CPython, where the user's configuration allows it.

    Raises BuildFailedError where it does not, or where there is none to be had: other cells may well run.
    """
    wanted = f"CPython {minor} is not on this machine"
    allowed = os.environ.get("UV_PYTHON_DOWNLOADS", "automatic") not in {"never", "manual", "0", "false"}
    if not allowed or os.environ.get("UV_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise BuildFailedError(
            "install",
            f"{wanted}, and UV_PYTHON_DOWNLOADS or UV_OFFLINE forbids to download it. Install it (with pyenv, say), or"
            " allow the download.",
            passing=True,
        )
    environment = {name: text for name, text in os.environ.items() if name not in {"UV_PYTHON", "VIRTUAL_ENV"}}
    done = _run_uv(["python", "install", "--no-bin", minor], environment, cache_folder(), processes)
    found = newest_of(minor)
    if done.returncode or found is None:
        last = without_addresses(done.stderr).strip().splitlines()[-1:]
        raise BuildFailedError(
            "install",
            f"{wanted}, and uv could not download it: {' '.join(last) or 'it gave no reason'}. Install it (with pyenv,"
            " say), or use an engine that has it.",
            passing=True,
        )
    return found


def _run_uv(
    arguments: Sequence[str], env: dict[str, str], folder: Path, processes: Processes
) -> subprocess.CompletedProcess[str]:
    from uv import find_uv_bin  # noqa: PLC0415 - a finished matrix needs no uv

    command = [find_uv_bin(), *arguments, "--color", "never"]
    return processes.run(command, env=env, cwd=folder)


def _clean_environment() -> dict[str, str]:
    """This process's environment without what would change how an environment is resolved or built."""
    foreign = ("UV_", "PIP_", "PYTHON", "CONDA_", "VIRTUAL_ENV", "SETUPTOOLS_")
    return {name: text for name, text in os.environ.items() if not name.startswith(foreign)}


def _candidates() -> set[Path]:
    """The files that may be interpreters, links resolved; pyenv's shims left out, since they are shell scripts."""
    found = {path.resolve() for path in _python_files()}
    return {path for path in found if path.name != "pyenv" and path.parent.name != "shims" and os.access(path, os.X_OK)}


def _python_files() -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder).name != "shims":
            yield from _in_folder(Path(folder))
    pyenv = in_home(os.environ.get("PYENV_ROOT") or "~/.pyenv")
    data = in_home(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for versions in (pyenv / "versions", managed):
        for binaries in versions.glob("*/bin"):
            yield from _in_folder(binaries)
    yield Path(sys.executable)


def _in_folder(folder: Path) -> Iterator[Path]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only: a folder on PATH has thousands of files
    except OSError:
        return
    yield from (folder / name for name in names if _NAME.match(name))


def _answer(path: Path, known: dict[str, Any] | None) -> dict[str, Any]:
    """An interpreter's own description, from the cache where the file is the same one."""
    try:
        status = path.stat()
    except OSError:
        return {"stamp": [], "usable": False, "version": "", "identity": ""}
    stamp = [status.st_mtime_ns, status.st_size]
    if known is not None and known["stamp"] == stamp:
        return known
    return {"stamp": stamp} | _ask(path)


def _ask(path: Path) -> dict[str, Any]:
    unusable = {"usable": False, "version": "", "identity": ""}
    try:
        done = subprocess.run([path, "-I", "-c", _QUESTION], capture_output=True, text=True, timeout=20, check=False)
        said = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return unusable
    if said["implementation"] != "CPython" or not said["own"] or _numbers(said["version"]) < (3, 6):
        return unusable
    digest = hashlib.sha256(said["identity"].encode()).hexdigest()[:16]
    return {"usable": True, "version": said["version"], "identity": f"cpython-{said['version']}-{digest}"}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
