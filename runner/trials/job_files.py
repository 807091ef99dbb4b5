"""The folders of trials; and the files that a trial wrote, found and opened as if an attacker had laid them there.

Regular files only, no link of any kind is followed, and whoever reads bounds number and size.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO, TYPE_CHECKING

from runner.engines.protocol import JobFolder
from runner.open_folder import OpenFolder
from runner.own_folder import OwnFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runner.trials.trial import Trial


STORE_FILE = "records.sqlite"
DEEPEST = 64
"""Folders nested deeper are not looked into."""
MAX_FILES = 1000
"""So many artifacts of one trial are kept."""
KEPT_BYTES = 4 * 1024**3
"""So many bytes of them are taken from another store, whatever `keep:` said there."""
LONGEST_PATH = 1024
"""The path of an artifact that is kept has at most so many bytes: programs find it by its path."""
_CHUNK_BYTES = 1024**2
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})
"""What opening a folder gives that a script removed, replaced or closed to everybody."""
_NO_SUCH_NAME = frozenset({errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ, errno.EINVAL})
"""What making a file gives whose name can't be had where it is to be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """The folders of trials beside the matrix: `jobs/` (gone when a trial ends), `logs/` and `artifacts/` (kept)."""

    root: Path

    @classmethod
    def beside(cls, folder: Path) -> Workplace:
        """That of the matrices in a folder."""
        return cls(root=folder.absolute() / ".runner")

    @property
    def files(self) -> OwnFolder:
        """All of it, for whoever writes or removes."""
        return OwnFolder.at(self.root)

    @property
    def store(self) -> Path:
        """The file of the records. Raises UsageError where it, or a file that SQLite puts beside it, is a link."""
        for beside in ("-wal", "-shm", "-journal"):
            self.files.checked(f"{STORE_FILE}{beside}")
        return self.files.checked(STORE_FILE)

    def job(self, trial: Trial) -> JobFolder:
        """The folder of a trial while it runs."""
        return JobFolder(root=self.root / "jobs" / trial.key)

    def new_job(self, name: str) -> JobFolder:
        """The folder of a job that is to run, with its working directory and channels, empty."""
        folder = JobFolder(root=self.files.new_folder(f"jobs/{name}"))
        folder.work.mkdir()
        folder.channel.touch()
        folder.metrics.touch()
        return folder

    def end_job(self, name: str) -> bool:
        """Remove the folder of a job, whatever the job left in it; false where something of it stays."""
        return self.files.remove(f"jobs/{name}")

    def log(self, key: str) -> Path:
        """The log that a finished trial left. Raises UsageError where a link leads to it."""
        return self.files.checked(f"logs/{key}.log")

    def artifacts(self, key: str) -> Path:
        """The folder of the artifacts that a finished trial left. Raises UsageError where a link leads to it."""
        return self.files.checked(f"artifacts/{key}")

    def forget(self, key: str) -> None:
        """Remove the log and the artifacts of a trial."""
        self.files.remove(f"logs/{key}.log")
        self.files.remove(f"artifacts/{key}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The artifacts that were kept, by their paths relative to the working directory, sorted."""

    paths: tuple[str, ...] = ()
    left_out: int = 0
    """The number of files that were to be kept and were not: too much, too many, or no name for them."""


def collect(work: Path, patterns: Sequence[str], into: OwnFolder, target: str, most_bytes: int) -> Kept:
    r"""Copy the files below `work` that match a pattern to the folder `target`, which is made anew.

    A pattern matches the whole relative path; `*` also matches `/`. Bytes count as they are read: a hole counts too.
    A name that is not UTF-8 is kept with its other bytes written out (`\xff`). Raises MachineError where the disk is
    full.
    """
    if not patterns:
        return Kept()
    into.remove(target)
    taken: list[str] = []
    left_out, room = 0, most_bytes
    with opened_folder(work) as root:
        if root is None:
            return Kept()
        for path in files_below(root):
            if any(fnmatchcase(path, pattern) for pattern in patterns):
                name = shown_path(path)
                copied = _copy(root, path, into, f"{target}/{name}", room) if len(taken) < MAX_FILES else None
                if copied is None:
                    left_out += 1
                else:
                    room -= copied
                    taken.append(name)
    return Kept(paths=tuple(sorted(taken)), left_out=left_out)


def shown_path(path: str) -> str:
    """A path as text that can be written anywhere: bytes that are no UTF-8 are written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def opened_folder(folder: Path) -> Iterator[OpenFolder | None]:
    """A folder, opened, while it is looked into; None where a script took it away, or its rights."""
    try:
        root = OpenFolder(folder)
    except OSError as error:
        if error.errno not in _GONE:
            raise
        yield None
        return
    with root:
        yield root


def files_below(folder: OpenFolder, prefix: str = "") -> Iterator[str]:
    """The regular files below an open folder, by their paths relative to it, sorted folder by folder."""
    for name in sorted(folder.names()):
        try:
            mode = folder.status(name).st_mode
            if stat.S_ISREG(mode):
                yield prefix + name
            elif stat.S_ISDIR(mode) and prefix.count("/") < DEEPEST:
                with folder.inner(name) as inner:
                    yield from files_below(inner, f"{prefix}{name}/")
        except OSError:
            continue  # it vanished, or its permissions were taken away: not there for us


def excerpt(path: Path, most: int) -> str:
    """Head and tail of a log, `most` bytes of it, more of its last words; empty where there is no log."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            return stream.read().decode("utf-8", "replace")
        head = stream.read(most // 4).decode("utf-8", "replace")
        stream.seek(most // 4 - most, os.SEEK_END)
        tail = stream.read().decode("utf-8", "replace")
    return f"{head}\n[… {size - most:,} bytes left out …]\n{tail}"


def opened(root: OpenFolder, path: str) -> IO[bytes] | None:
    """A file below an open folder, to be read; None where it is not a regular one that has this name alone."""
    *folders, name = path.split("/")
    try:
        with ExitStack() as opening:
            inner = root
            for folder in folders:
                inner = opening.enter_context(inner.inner(folder))
            file = inner.open(name)
    except OSError:
        return None
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        return None
    return os.fdopen(file, "rb")


def _copy(root: OpenFolder, path: str, into: OwnFolder, target: str, room: int) -> int | None:
    """Copy one file; its bytes, None where it is not to be had, does not fit or can have no such name."""
    source = opened(root, path)
    if source is None:
        return None
    with source:
        size = os.fstat(source.fileno()).st_size
        if size > room or len(target.encode()) > LONGEST_PATH:
            return None
        folder, _, name = target.rpartition("/")
        try:
            with into.opened(folder, make=True) as inside:
                inside.save(name, _chunks(source, size))
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                return None
            raise
        return size


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (data := stream.read(min(size, _CHUNK_BYTES))):
        size -= len(data)
        yield data
