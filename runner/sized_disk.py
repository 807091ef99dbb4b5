"""A file system of a fixed size for what a job writes, mounted in the job's folder: its limit is the kernel's own.

Nothing is hidden from it: files without a name, mapped, held by a thread or on their way through a socket count like
all others. It takes root and a loop device; where there is none, what a job writes is watched from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


DISK = "disk"
"""The name of the mounted file system in the job's folder."""
ENTRY_BYTES = 4096
_IMAGE = "disk.img"
_SPARE_BYTES = 16 * 1024**2
_INODE_BYTES = 256
_MOST_ENTRIES = 2_000_000
_LOOP_MAJOR = 7
_MS_BIND, _MNT_DETACH = 0x1000, 2
_MKFS = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard")
_OPTIONS = "loop,nosuid,nodev,noatime,nobarrier"
"""Nothing on it is to survive a power loss: nobody waits for the disk below."""
_PLACE = re.compile(rb"^\d+ \d+ (?P<major>\d+):\d+ \S+ (?P<point>\S+) ", re.MULTILINE)
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@functools.cache
def why_watched() -> str:
    """Why there can be no file system of a fixed size here; empty where there can."""
    if not Path("/proc/self/mountinfo").exists():
        return "only Linux mounts one"
    if os.geteuid() != 0:
        return "only root can mount one"
    missing = [name for name in (_MKFS[0], "mount") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    return "" if Path("/dev/loop-control").exists() else "there are no loop devices"


@contextlib.contextmanager
def sized(root: Path, names: Sequence[str], limit_bytes: int) -> Iterator[bool]:
    """Have the folders of these names below a job's folder on one file system of their own, and empty, for a while.

    Yields whether it is so: where a file system can't be made, they are as they were.
    """
    try:
        yield not why_watched() and _mounted(root, names, limit_bytes)
    finally:
        unmount_below(root)


def _mounted(root: Path, names: Sequence[str], limit_bytes: int) -> bool:
    image, disk = root / _IMAGE, root / DISK
    entries = min(limit_bytes // ENTRY_BYTES + 64, _MOST_ENTRIES)
    try:
        disk.mkdir(mode=0o755)
        with image.open("xb") as file:
            file.truncate(limit_bytes + limit_bytes // 32 + entries * _INODE_BYTES + _SPARE_BYTES)
        _run(*_MKFS, "-N", str(entries), str(image))
        _run("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(disk))
        image.unlink()  # the loop device holds it, as long as it is mounted
        (disk / "lost+found").rmdir()
        for name in names:
            (disk / name).mkdir()
            (root / name).mkdir(exist_ok=True)
            _bind(disk / name, root / name)
    except (OSError, subprocess.SubprocessError):
        unmount_below(root)
        image.unlink(missing_ok=True)
        return False
    return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _bind(source: Path, target: Path) -> None:
    """Mount a folder at another place, which keeps what the first mount does not allow."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_MS_BIND), None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def used_bytes(root: Path) -> int | None:
    """What a job holds on the file system of its own; each entry counts as one block at least. None without one."""
    disk = root / DISK
    if not os.path.ismount(disk):
        return None
    status = os.statvfs(disk)
    held = (status.f_blocks - status.f_bfree) * status.f_frsize
    return max(held, (status.f_files - status.f_ffree) * ENTRY_BYTES)


def unmount_below(folder: Path) -> None:
    """Take away the loop devices' file systems that are mounted below a folder: also what dead runners left."""
    try:
        text = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return
    below = os.fsencode(folder.parent.resolve() / folder.name) + b"/"  # the kernel names mounts by no link and no `..`
    points = [
        _ESCAPED.sub(lambda code: bytes([int(code[1], 8)]), found["point"])
        for found in _PLACE.finditer(text)
        if int(found["major"]) == _LOOP_MAJOR
    ]
    libc = ctypes.CDLL(None, use_errno=True)
    for point in reversed([point for point in points if point.startswith(below)]):
        libc.umount2(point, _MNT_DETACH)
