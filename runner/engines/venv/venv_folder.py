"""Environments of the `venv` engine on disk: a lock's wheels installed for one interpreter, in one folder of the cache.

A folder is filled under a temporary name and renamed when it is whole; a lock file beside it is held alone by who makes
or removes it, and together by the jobs that run in it. Its last use is the time of its marker file. After every start of
the machine it is looked at once: a power loss takes what was not yet on the disk, and leaves names.

Where a lock has both layers, only its overlay is installed there; the base is a folder of its own, shared by all that
stand on it, held alone by who makes an environment from it, and removed with the last of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import disk_trouble, locked
from runner.engines.venv import bytecode, shared_base
from runner.environments.lock import Layer
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
    """Without the folders of its base that are linked into it."""
    base: str = ""
    """The name of the folder of its base; empty where it has none to share."""


def place(root: Path, lock: Lock, base_identity: str) -> Path:
    """The folder of a lock's environment with this interpreter: the same for every matrix that shares the lock."""
    return root / f"{lock.digest[:16]}-{base_identity[-8:]}"


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def installed(folder: Path) -> Installed | None:
    """Read what is installed in a folder; None where nothing is, or not all of it."""
    try:
        made = _marked(folder)
        whole = _is_seen(folder) or _survived(folder, made)
    except (OSError, ValueError, TypeError):
        return None
    if made.base and installed(base_of(folder, made)) is None:
        return None
    return made if whole else None


def environments(root: Path) -> Iterator[Path]:
    """The folders of environments below a root, or of bases; one that is being made has another name until it is whole.

    Whoever makes one holds it by the name that it will have: to go by the other would be to take it from them.
    """
    return (folder for folder in root.glob("*-*/") if not folder.name.endswith(_UNFINISHED))


def base_of(folder: Path, made: Installed) -> Path:
    """The folder of the base of an environment that has one."""
    return _bases(folder.parent) / made.base


def size_of(folder: Path, made: Installed) -> int:
    """The bytes of an environment with all of its base, which others may share."""
    return made.size_bytes + (shared_base.linked_bytes(base_of(folder, made)) if made.base else 0)


def _marked(folder: Path) -> Installed:
    return Installed(**json.loads((folder / MARKER).read_bytes()))


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


def install(
    folder: Path,
    *,
    toolchain: HostToolchain,
    lock: Lock,
    wheels: Sequence[WheelFile],
    stopping: threading.Event | None = None,
) -> Installed:
    """Install wheels into `folder`, which is there only when all of it is; the caller holds it alone.

    Raises BuildFailedError with the installer's last lines, MachineError where the disk is full, StoppedError where it
    is stopped while another runner works on the base.
    """
    below = [wheel for wheel in wheels if wheel.layer is Layer.BASE]
    if len(below) == len(wheels):
        below = []
    made = Installed(
        lock_name=lock.environment.name,
        lock_digest=lock.digest,
        base_identity=toolchain.identity,
        python_full=toolchain.python_full,
        size_bytes=0,
        base=_base_name(below, toolchain.identity) if below else "",
    )
    with contextlib.ExitStack() as holding, _made(folder, made, wheels) as unfinished:
        kept = _kept(folder.parent)
        _make(unfinished, toolchain, [wheel for wheel in wheels if wheel not in below], kept)
        if below:
            base = base_of(folder, made)
            holding.enter_context(held(base, alone=True, stopping=stopping))
            if not installed(base):
                with _made(base, replace(made, base=""), below) as unfinished_base:
                    _make(unfinished_base, toolchain, below, kept)
                    shared_base.prepare(unfinished_base)
            shared_base.graft(base, unfinished)
    return _marked(folder)


@contextlib.contextmanager
def _made(folder: Path, made: Installed, wheels: Sequence[WheelFile]) -> Iterator[Path]:
    """An empty place to fill, which becomes `folder` when all went well: marked, its size noted, and write-protected."""
    unfinished = _unfinished(folder)
    _remove_tree(unfinished)
    if folder.exists():  # a power loss took a part of it
        folder.rename(unfinished)
        _remove_tree(unfinished)
    try:
        yield unfinished
        marker = json.dumps(asdict(replace(made, size_bytes=_size_of(unfinished))), indent=1)
        (unfinished / MARKER).write_text(marker)
        _forbid_writing(unfinished)
        unfinished.rename(folder)
        _lock_file(folder).write_text(this_boot(), "ascii")
    except OSError as error:
        raise disk_trouble(folder, error, sum(wheel.path.stat().st_size for wheel in wheels)) from error
    finally:
        _remove_tree(unfinished)


def remove(folder: Path) -> bool:
    """Remove an environment; false where a job runs in it, or another runner makes it."""
    with held(folder, alone=True) as mine:
        if mine and folder.exists():
            folder.rename(_unfinished(folder))
            _remove_tree(_unfinished(folder))
            _forget_bases(folder.parent)
            bytecode.forget_unused(_kept(folder.parent))
        return mine


def remove_unfinished(root: Path) -> int:
    """Remove what killed runners left half made, never what a living one works on; how many there were."""
    removed = 0
    for unfinished in (*root.glob(f"*{_UNFINISHED}"), *_bases(root).glob(f"*{_UNFINISHED}")):
        with held(unfinished.with_suffix(""), alone=True) as mine:
            if mine:
                _remove_tree(unfinished)
                removed += 1
    _forget_bases(root)
    return removed


def _forget_bases(root: Path) -> None:
    """Remove the bases that no environment stands on: who is about to make one from it holds it."""
    for base in environments(_bases(root)):
        with held(base, alone=True) as mine:
            if mine and not any(name == base.name for name in _names_of_bases(root)):
                base.rename(_unfinished(base))
                _remove_tree(_unfinished(base))


def _names_of_bases(root: Path) -> Iterator[str]:
    for folder in environments(root):
        with contextlib.suppress(OSError, ValueError, TypeError):
            yield _marked(folder).base


def _bases(root: Path) -> Path:
    """The folder of the bases that environments share."""
    return root / ".bases"


def _base_name(wheels: Sequence[WheelFile], base_identity: str) -> str:
    """The name of the folder of a base: of exactly these wheels, for this interpreter."""
    content = "\n".join(sorted(wheel.sha256 for wheel in wheels))
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}-{base_identity[-8:]}"


def _kept(root: Path) -> Path:
    """The folder of the bytecode that environments share, a folder a CPython in it."""
    return root / ".bytecode"


def _unfinished(folder: Path) -> Path:
    return folder.with_name(folder.name + _UNFINISHED)


def _make(folder: Path, toolchain: HostToolchain, wheels: Sequence[WheelFile], kept: Path) -> None:
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
    bytecode.provide(packages, python_of(folder), wheels, kept / toolchain.identity, toolchain.processes)


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
