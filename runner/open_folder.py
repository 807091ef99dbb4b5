"""A folder that is held open: what is done in it goes by its descriptor, so that nobody can lay a link on the way.

Where the system has no such calls (Windows), it goes by paths, each looked at just before: a link that is laid in that
moment is followed. `BY_DESCRIPTOR` says which of the two it is.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


BY_DESCRIPTOR = {os.open, os.stat, os.unlink, os.mkdir, os.rmdir, os.rename} <= os.supports_dir_fd and hasattr(
    os, "O_NOFOLLOW"
)
"""True where a folder's own descriptor leads to what is in it, and opening can refuse links."""


def _flags(*names: str) -> int:
    """Flags of `os.open` together, those alone that this system has."""
    return sum(getattr(os, name, 0) for name in names)


_PLAIN = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_ANY_FOLDER = os.O_RDONLY | _flags("O_DIRECTORY", "O_CLOEXEC")
_FOLDER = _ANY_FOLDER | _flags("O_NOFOLLOW")


class OpenFolder:
    """A folder that is held open. Its methods raise OSError where the system refuses; no link in it is followed."""

    def __init__(self, path: Path, *, links: bool = False) -> None:
        """Open the folder of a path; with `links`, one that is a link is what it leads to."""
        self._path = path
        self._descriptor: int | None = None
        if BY_DESCRIPTOR:
            self._descriptor = os.open(path, _ANY_FOLDER if links else _FOLDER)
        elif not stat.S_ISDIR((path if links else _no_link(path)).stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def held(self) -> int | None:
        """The descriptor by which it is held; None where the system has none of folders."""
        return self._descriptor

    def inner(self, name: str) -> OpenFolder:
        """A folder in it, opened."""
        if self._descriptor is None:
            return OpenFolder(self._path / name)
        folder = OpenFolder.__new__(OpenFolder)
        folder._path = self._path / name  # noqa: SLF001 - of this class
        folder._descriptor = os.open(name, _FOLDER, dir_fd=self._descriptor)  # noqa: SLF001
        return folder

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """The descriptor of a file in it; nothing is waited for."""
        if self._descriptor is None:
            return os.open(_no_link(self._path / name), flags | _PLAIN, 0o644)
        return os.open(name, flags | _PLAIN, 0o644, dir_fd=self._descriptor)

    def status(self, name: str = "") -> os.stat_result:
        """The status of what has a name in it, or its own."""
        if name:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        return self._path.stat() if self._descriptor is None else os.fstat(self._descriptor)

    def names(self) -> list[str]:
        """The names in it."""
        return os.listdir(self._path if self._descriptor is None else self._descriptor)  # noqa: PTH208 - of a descriptor

    def entries(self) -> os._ScandirIterator[str]:
        """The entries in it, to be closed."""
        return os.scandir(str(self._path) if self._descriptor is None else self._descriptor)

    def make(self, name: str) -> None:
        """Make a folder in it."""
        os.mkdir(self._at(name), dir_fd=self._descriptor)

    def move(self, name: str, to: OpenFolder, new: str, *, replacing: bool = False) -> None:
        """Give what has a name in it a name in another, and with `replacing` in the place of what has that."""
        act = os.replace if replacing else os.rename
        act(self._at(name), to._at(new), src_dir_fd=self._descriptor, dst_dir_fd=to._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file or a link from it."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def remove_empty(self, name: str) -> None:
        """Remove an empty folder from it."""
        os.rmdir(self._at(name), dir_fd=self._descriptor)

    def allow(self) -> None:
        """Give its owner every right to it."""
        if self._descriptor is None:
            self._path.chmod(0o700)
        else:
            os.fchmod(self._descriptor, 0o700)

    def allow_inner(self, name: str) -> None:
        """Give its owner every right to a folder in it; an error where that is none."""
        if self._descriptor is None:
            self.inner(name).allow()
        elif os.chmod in os.supports_follow_symlinks:
            os.chmod(name, 0o700, dir_fd=self._descriptor, follow_symlinks=False)
        else:
            handle = os.open(name, os.O_PATH | _FOLDER, dir_fd=self._descriptor)
            try:
                os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101 - as above
            finally:
                os.close(handle)

    def save(self, name: str, chunks: Iterable[bytes], *, synced: bool = False) -> None:
        """Write a new file. FileExistsError where there is one of that name."""
        descriptor = self.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
            if synced:
                stream.flush()
                os.fsync(descriptor)  # else a power loss may leave the name without the content

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)


def open_plain(path: Path) -> int:
    """The descriptor of a regular file, to be read: no link is followed and nothing is waited for. Raises OSError."""
    descriptor = os.open(path if BY_DESCRIPTOR else _no_link(path), os.O_RDONLY | _PLAIN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return descriptor


def _no_link(path: Path) -> Path:
    """The path, where no link is there. Raises OSError as opening does that refuses links."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", False):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return path
