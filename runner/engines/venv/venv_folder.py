"""Environments of the `venv` engine on disk: a lock's wheels installed for one interpreter, in one folder of the cache.

A folder is filled under a temporary name and renamed when it is whole; a lock file beside it is held alone by who makes
or removes it, and together by the jobs that run in it. Its last use is the time of its marker file. After every start of
the machine it is looked at once: a power loss takes what was not yet on the disk, and leaves names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import disk_trouble, locked
from runner.engines.venv import bytecode
from runner.errors import BuildFailedError, MachineError
from runner.runner_mark import this_boot

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from runner.environments.interpreters import HostToolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import WheelFile


MARKER = "environment.json"
_UNFINISHED = ".unfinished"
_LAST_LINES = 12
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
        made = Installed(**json.loads((folder / MARKER).read_bytes()))
        return made if _is_seen(folder) or _survived(folder, made) else None
    except (OSError, ValueError, TypeError):
        return None


def _survived(folder: Path, made: Installed) -> bool:
    """True where all is as large as it was made; kept until the machine starts again."""
    if _size_of(folder) != made.size_bytes:
        return False
    _lock_file(folder).write_text(this_boot(), "ascii")
    return True


def _is_seen(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return _lock_file(folder).read_text("ascii") == this_boot()
    return False


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def touch(folder: Path) -> None:
    """Note that an environment is used now."""
    os.utime(folder / MARKER)


def last_used(folder: Path) -> float:
    """The time of an environment's last use (seconds since the epoch)."""
    return (folder / MARKER).stat().st_mtime


@contextlib.contextmanager
def held(folder: Path, *, alone: bool, stopping: threading.Event | None = None) -> Iterator[bool]:
    """Hold an environment: `alone` to make or remove it, else to run in it; yields whether it is held.

    Another's hold is waited for until `stopping` is set, which raises StoppedError; without that nothing is waited for.
    The hold ends with the process, however that ends.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(_lock_file(folder), alone=alone, stopping=stopping) as mine:
        yield mine


def install(folder: Path, *, toolchain: HostToolchain, lock: Lock, wheels: Sequence[WheelFile]) -> Installed:
    """Install wheels into `folder`, which is there only when all of it is; the caller holds it alone.

    Raises BuildFailedError with the installer's last lines, MachineError where the disk is full.
    """
    unfinished = _unfinished(folder)
    _remove_tree(unfinished)
    if folder.exists():  # a power loss took a part of it
        folder.rename(unfinished)
        _remove_tree(unfinished)
    try:
        _make(unfinished, toolchain, wheels)
        made = Installed(
            lock_name=lock.environment.name,
            lock_digest=lock.digest,
            base_identity=toolchain.identity,
            python_full=toolchain.python_full,
            size_bytes=_size_of(unfinished),
        )
        (unfinished / MARKER).write_text(json.dumps(asdict(made), indent=1))
        _forbid_writing(unfinished)
        unfinished.rename(folder)
        _lock_file(folder).write_text(this_boot(), "ascii")
    except OSError as error:
        raise disk_trouble(folder, error, sum(wheel.path.stat().st_size for wheel in wheels)) from error
    finally:
        _remove_tree(unfinished)
    return made


def remove(folder: Path) -> bool:
    """Remove an environment; false where a job runs in it, or another runner makes it."""
    with held(folder, alone=True) as mine:
        if mine and folder.exists():
            folder.rename(_unfinished(folder))
            _remove_tree(_unfinished(folder))
            bytecode.forget_unused(_kept(folder.parent))
        return mine


def remove_unfinished(root: Path) -> int:
    """Remove what killed runners left half made, never what a living one works on; how many there were."""
    removed = 0
    for unfinished in root.glob(f"*{_UNFINISHED}"):
        with held(unfinished.with_suffix(""), alone=True) as mine:
            if mine:
                _remove_tree(unfinished)
                removed += 1
    return removed


def _kept(root: Path) -> Path:
    """The folder of the bytecode that environments share, a folder a CPython in it."""
    return root / ".bytecode"


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
    kept = _kept(folder.parent) / toolchain.identity
    bytecode.provide(packages, python_of(folder), wheels, kept, toolchain.processes)


def _requirement(wheel: WheelFile) -> str:
    name, version = wheel.path.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{wheel.sha256}"


def _uv(toolchain: HostToolchain, folder: Path, *arguments: str) -> None:
    done = toolchain.uv(["--offline", "--no-config", "--quiet", *arguments], folder=folder)
    if done.returncode == 0:
        return
    words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
    if any(text in words for text in _FULL):
        raise MachineError(f"The disk of {folder} is full; `clean --older-than 0` gives space back. {words}")
    raise BuildFailedError("install", words or f"uv ended with exit code {done.returncode}.")


def _size_of(folder: Path) -> int:
    """The bytes of all files below a folder but its marker; scandir, since there are tens of thousands."""
    size, waiting = 0, [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.name != MARKER:
                    size += entry.stat(follow_symlinks=False).st_size
    return size


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
