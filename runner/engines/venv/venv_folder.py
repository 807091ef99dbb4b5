"""Environments of the `venv` engine on disk: a lock's wheels installed for one interpreter, in one folder of the cache.

A folder is filled under a temporary name and renamed when it is whole; a lock file beside it is held alone by who makes
or removes it, and together by the jobs that run in it. Its last use is the time of its marker file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import disk_trouble
from runner.errors import BuildFailedError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.environments.interpreters import HostToolchain
    from runner.environments.lock import Lock
    from runner.environments.processes import Processes
    from runner.environments.wheelhouse import WheelFile


MARKER = "environment.json"
_UNFINISHED = ".unfinished"
_LAST_LINES = 12
_MOST_COMPILERS = 8
_FULL = ("No space left on device", "Disk quota exceeded", "os error 28", "os error 122")


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A whole environment, as its marker file describes it."""

    lock_name: str
    lock_digest: str
    base_identity: str
    python_full: str
    size_bytes: int


def place(root: Path, lock: Lock, base_identity: str) -> Path:
    """The folder of a lock's environment with this interpreter: the same for every matrix that shares the lock."""
    return root / f"{lock.digest[:16]}-{base_identity[-8:]}"


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def installed(folder: Path) -> Installed | None:
    """Read what is installed in a folder; None where nothing is, or not all of it."""
    try:
        return Installed(**json.loads((folder / MARKER).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def touch(folder: Path) -> None:
    """Note that an environment is used now."""
    os.utime(folder / MARKER)


def last_used(folder: Path) -> float:
    """The time of an environment's last use (seconds since the epoch)."""
    return (folder / MARKER).stat().st_mtime


@contextlib.contextmanager
def held(folder: Path, *, alone: bool, wait: bool = True) -> Iterator[bool]:
    """Hold an environment: `alone` to make or remove it, else to run in it; yields whether it is held.

    The hold ends with the process, however that ends.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def install(folder: Path, *, toolchain: HostToolchain, lock: Lock, wheels: Sequence[WheelFile]) -> Installed:
    """Install wheels into `folder`, which is there only when all of it is; the caller holds it alone.

    Raises BuildFailedError with the installer's last lines, MachineError where the disk is full.
    """
    unfinished = _unfinished(folder)
    _remove_tree(unfinished)
    try:
        _make(unfinished, toolchain, wheels)
        made = Installed(
            lock_name=lock.environment.name,
            lock_digest=lock.digest,
            base_identity=toolchain.identity,
            python_full=toolchain.python_full,
            size_bytes=sum(file.lstat().st_size for file in unfinished.rglob("*")),
        )
        (unfinished / MARKER).write_text(json.dumps(asdict(made), indent=1))
        _forbid_writing(unfinished)
        unfinished.rename(folder)
    except OSError as error:
        raise disk_trouble(folder, error, sum(wheel.path.stat().st_size for wheel in wheels)) from error
    finally:
        _remove_tree(unfinished)
    return made


def remove(folder: Path) -> bool:
    """Remove an environment; false where a job runs in it, or another runner makes it."""
    with held(folder, alone=True, wait=False) as mine:
        if mine and folder.exists():
            folder.rename(_unfinished(folder))
            _remove_tree(_unfinished(folder))
        return mine


def remove_unfinished(root: Path) -> int:
    """Remove what killed runners left half made, never what a living one works on; how many there were."""
    removed = 0
    for unfinished in root.glob(f"*{_UNFINISHED}"):
        with held(unfinished.with_suffix(""), alone=True, wait=False) as mine:
            if mine:
                _remove_tree(unfinished)
                removed += 1
    return removed


def _unfinished(folder: Path) -> Path:
    return folder.with_name(folder.name + _UNFINISHED)


def _make(folder: Path, toolchain: HostToolchain, wheels: Sequence[WheelFile]) -> None:
    """Install wheels by their hashes and compile them.

    Relocatable, since the folder is renamed when it is whole. What uv adds for virtualenv's sake (a hook in every
    start of the interpreter) goes: no container has it.
    """
    uv = partial(_uv, toolchain, folder.parent)
    uv("venv", "--relocatable", "--python", str(toolchain.interpreter.path), folder.name)
    packages = next(folder.glob("lib/python*/site-packages"))
    for extra in packages.glob("_virtualenv.*"):
        extra.unlink()
    if wheels:
        requirements = folder / "requirements.txt"
        requirements.write_text("".join(f"{_requirement(wheel)}\n" for wheel in wheels))
        sources = [f"--find-links={parent}" for parent in sorted({wheel.path.absolute().parent for wheel in wheels})]
        options = (
            "--no-index",
            "--no-deps",
            "--require-hashes",
            "--link-mode=hardlink",
            f"--python={python_of(folder)}",
        )
        uv("pip", "install", *options, *sources, f"--requirements={requirements}")
    _compile(folder, packages, toolchain.processes)


def _requirement(wheel: WheelFile) -> str:
    name, version = wheel.path.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{wheel.sha256}"


def _uv(toolchain: HostToolchain, folder: Path, *arguments: str) -> None:
    done = toolchain.uv(["--offline", "--no-config", "--quiet", *arguments], folder=folder)
    if done.returncode == 0:
        return
    words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
    if any(text in words for text in _FULL):
        raise MachineError(f"The disk of {folder} is full; `clean` gives space back. {words}")
    raise BuildFailedError("install", words or f"uv ended with exit code {done.returncode}.")


def _compile(folder: Path, packages: Path, processes: Processes) -> None:
    """Write the bytecode with the environment's own interpreter, as images do; uv's own way fails on CPython 3.6.

    Files that are no code of this CPython (templates, Python 2) stay as they are, which is why its ending says nothing.
    """
    checks_hash = packages.parent.name != "python3.6"
    mode = ("--invalidation-mode", "unchecked-hash") if checks_hash else ()
    workers = str(min(os.cpu_count() or 1, _MOST_COMPILERS))
    processes.run(
        [python_of(folder), "-s", "-m", "compileall", "-q", "-j", workers, *mode, packages],
        cwd=packages.parent,
        env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
    )


def _forbid_writing(folder: Path) -> None:
    """Take the right to write from every folder: many jobs share an environment, and none may change it for the others.

    The files stay as they are: they are hard links into uv's cache.
    """
    for inner, _, _ in os.walk(folder):
        Path(inner).chmod(0o555)


def _remove_tree(folder: Path) -> None:
    for inner, _, _ in os.walk(folder):
        Path(inner).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
