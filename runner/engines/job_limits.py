"""Limits of a running job, enforced from outside for every engine: time, memory, disk, and the size of its log.

The job is not trusted: no file that it wrote is opened, and no symlink is followed.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from runner.engines.protocol import Cut
from runner.open_folder import OpenFolder
from runner.sized_disk import used_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from threading import Event

    from runner.engines.protocol import Job, JobFolder


POLL_S = 0.25
SLOWEST_SCAN_S = 2.0
BLOCK_BYTES = 4096
DEEPEST = 64
"""Folders nested deeper are taken for an attempt to hide from the watch; each level costs it an open file."""


FILE_SLACK_BYTES = 1024**2
"""A single file may pass the limit of the disk by this much, so that the watch sees it and says so."""


class Running(Protocol):
    """A started job, as its engine sees it."""

    def ended(self, wait_s: float) -> bool:
        """Wait up to `wait_s` for the job's end; whether it has come."""
        ...

    def memory_bytes(self) -> int | None:
        """Memory that all processes of the job hold now, without the page cache; None where it cannot be seen."""
        ...

    def written_bytes(self, *, enough: int, last: bool) -> int:
        """The bytes that the job holds on disk; may stop to count after `enough`. `last`: it has ended."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The findings of the watch: the limit that was exceeded (None: the job ended by itself) and the peak of memory."""

    cut: Cut | None
    peak_memory_bytes: int | None


def watch(job: Job, running: Running, interrupted: Event, *, slowest_scan_s: float = SLOWEST_SCAN_S) -> Seen:
    """Wait for the end of a job, for the first limit that it passes, or for `interrupted`.

    The caller then ends the job where it still runs: the watch itself only looks. What a job leaves on disk is looked
    at once more after its end, so that whether it passed a limit never depends on the moment of a look.
    """
    deadline = time.monotonic() + job.limits.timeout_s
    next_scan = 0.0
    peak: int | None = None
    while True:
        now = time.monotonic()
        memory = running.memory_bytes()
        if memory is not None:
            peak = max(memory, peak or 0)
        cut = _passed(job, memory, interrupted, out_of_time=now >= deadline)
        if cut is None and now >= next_scan:
            cut = _written(job, running, last=False)
            # A big tree is looked at less often, so that watching stays cheap.
            next_scan = now + min(max(POLL_S, 5 * (time.monotonic() - now)), slowest_scan_s)
        wait_s = 0.0 if cut else max(0.0, min(POLL_S, deadline - time.monotonic()))
        if running.ended(wait_s):
            return Seen(cut=_written(job, running, last=True), peak_memory_bytes=peak)
        if cut is not None:
            return Seen(cut=cut, peak_memory_bytes=peak)


def _passed(job: Job, memory: int | None, interrupted: Event, *, out_of_time: bool) -> Cut | None:
    if interrupted.is_set():
        return Cut.INTERRUPTED
    if out_of_time:
        return Cut.TIMEOUT
    if memory is not None and memory > job.limits.memory_bytes:
        return Cut.MEMORY
    return None


def _written(job: Job, running: Running, *, last: bool) -> Cut | None:
    """The limit that the job's files exceed, if any."""
    held = running.written_bytes(enough=job.limits.disk_bytes, last=last)
    if max(_size(job.folder.channel), _size(job.folder.metrics)) > job.limits.channel_bytes:
        return Cut.CHANNEL
    return Cut.DISK if held > job.limits.disk_bytes else None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def disk_bytes(folder: JobFolder, pids: Iterable[int] = (), *, enough: int) -> int:
    """Sum the bytes that a job holds on disk: working directory, HOME, /tmp, and files deleted but still held.

    A file system of its own tells; without one, what is on its way through a socket is not seen.
    Every entry counts as one block at least, so that the sum bounds their number too. Stops soon after `enough`; what
    cannot be looked into counts as more than `enough`.
    """
    held = used_bytes(folder.root)
    if held is not None:
        return held
    total = 0
    linked: set[tuple[int, int]] = set()
    for found in _entries((folder.work, folder.home, folder.tmp)):
        if found is None:
            return enough + 1
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if (identity := (found.st_dev, found.st_ino)) in linked:
                continue
            linked.add(identity)
        total += max(_held_bytes(found), BLOCK_BYTES)
        if total > enough:
            return total
    return total + _deleted_bytes(pids, folder)


def _held_bytes(found: os.stat_result) -> int:
    """The bytes of a file on the disk; its size where the system does not tell."""
    return found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size


def _entries(roots: Iterable[Path]) -> Iterator[os.stat_result | None]:
    """The status of every entry under `roots`; None for a folder that cannot be looked into.

    Each folder is opened from its parent's descriptor and never through a symlink, so that a job which swaps a folder
    for a symlink meanwhile leads nowhere.
    """
    for root in roots:
        try:
            folder = _Folder(OpenFolder(root))
        except FileNotFoundError:
            continue
        except OSError:
            yield None
            continue
        yield from _below(folder)


def _below(root: _Folder) -> Iterator[os.stat_result | None]:
    stack = [root]
    try:
        while stack:
            entry = stack[-1].next()
            if entry is None:
                stack.pop().close()
                continue
            try:
                yield entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    if len(stack) == DEEPEST:
                        yield None
                        return
                    stack.append(_Folder(stack[-1].folder.inner(entry.name)))
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone or swapped since it was listed: the next look sees what is there then
            except OSError:
                yield None
    finally:
        for folder in stack:
            folder.close()


class _Folder:
    """An open folder that is being listed."""

    def __init__(self, folder: OpenFolder) -> None:
        self.folder = folder
        self._listing = folder.entries()

    def next(self) -> os.DirEntry[str] | None:
        return next(self._listing, None)

    def close(self) -> None:
        self._listing.close()
        self.folder.close()


def _deleted_bytes(pids: Iterable[int], folder: JobFolder) -> int:
    """Bytes of files that have no name any more but are open or mapped, on the file system of the job's folder."""
    try:
        device = folder.root.stat().st_dev
    except OSError:
        return 0  # the job removed its own folder
    sizes: dict[int, int] = {}
    for pid in pids:
        for found in (*_open_files(pid), *_mapped_files(pid, device)):
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_dev == device:
                sizes[found.st_ino] = _held_bytes(found)
    return sum(sizes.values())


def _open_files(pid: int) -> Iterator[os.stat_result]:
    """The files that a process has open; of one whose first thread has ended, those of its other threads."""
    names = _names(f"/proc/{pid}/fd")
    places = [f"/proc/{pid}/fd/{name}" for name in names]
    if not names:
        task = next((one for one in _names(f"/proc/{pid}/task") if one != str(pid)), None)
        places = [f"/proc/{pid}/task/{task}/fd/{name}" for name in _names(f"/proc/{pid}/task/{task}/fd")]
    yield from _statuses(places)


def _mapped_files(pid: int, device: int) -> Iterator[os.stat_result]:
    """The files without a name that a process has mapped (where the kernel lets this user look at them)."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:  # noqa: PTH123 - not a file of the job
            lines = [line.split(None, 5) for line in file if line.endswith(b"(deleted)\n")]
    except OSError:
        return
    ours = f"{os.major(device):02x}:{os.minor(device):02x}".encode()
    yield from _statuses(f"/proc/{pid}/map_files/{part[0].decode()}" for part in lines if part[3] == ours)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - numbers are wanted, not paths
    except OSError:
        return []  # ended meanwhile, or this machine has no /proc


def _statuses(places: Iterable[str]) -> Iterator[os.stat_result]:
    for place in places:
        try:
            yield os.stat(place)  # noqa: PTH116
        except OSError:
            continue


_LONGEST_LINE_SEARCHED = 4096


class LogFile:
    """A file for one writer; it never holds more than `limit_bytes` and one line that says what is missing."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._file = path.open("w+b", buffering=0)
        self._limit = limit_bytes
        self._head = limit_bytes // 2
        self._size = 0
        self._note = b""
        self._left_out = 0

    @property
    def truncated(self) -> bool:
        """True where anything was left out."""
        return self._left_out > 0

    def write(self, data: bytes) -> None:
        """Append output; all of it is on its way to the disk when this returns.

        Raises OSError where the disk is full.
        """
        while data:
            room = self._limit + len(self._note) - self._size
            taken, data = data[:room], data[room:]
            self._append(taken)
            if data:
                self._leave_out_middle()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self._size += written
            view = view[written:]

    def _leave_out_middle(self) -> None:
        """Make room: of what stands behind the head, only the newest quarter of the limit stays."""
        behind_head = self._head + len(self._note)
        keep = max(0, min(self._limit // 4, self._size - behind_head))
        self._file.seek(self._size - keep)
        tail = _from_line_start(self._file.read(keep) or b"")
        self._left_out += self._size - behind_head - len(tail)
        self._note = b"\n[... %d bytes left out ...]\n" % self._left_out
        self._file.truncate(self._head)
        self._file.seek(self._head)
        self._size = self._head
        self._append(self._note + tail)


def _from_line_start(data: bytes) -> bytes:
    """The data without the rest of the line that it begins in; all of it where no line ends nearby."""
    end = data.find(b"\n", 0, _LONGEST_LINE_SEARCHED)
    return data[end + 1 :]
