"""The folders that this tool keeps beside a matrix (`.runner`, `locks`, `reports/site`), reached through no link.

Whoever gave a matrix's folder away may have laid links into it: git keeps them. So what is written, emptied or removed
there is opened name by name from the descriptor of the folder above, and a link on the way is a mistake that is told.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import secrets
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runner.errors import MachineError, UsageError
from runner.open_folder import OpenFolder
from runner.runner_mark import is_dead, this_runner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BEGUN, _JOINT = ".begun-", "+"
_MOST_BYTES = 64 * 1024**2
_ELSEWHERE = "to keep it on another disk, put the folder of the matrix there"


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """The folder `name` below `above`, which is the user's: links lead as far as that.

    Paths are relative to it, with `/`. Every method raises UsageError for a link on the way; those that write or remove
    raise it for a folder that is another user's too, and MachineError where the system refuses.
    """

    above: Path
    name: str = ""
    """May be several folders deep; empty for all of `above`."""
    elsewhere: str = _ELSEWHERE
    """How to have the folder in another place, as a message ends."""

    @classmethod
    def at(cls, path: Path) -> OwnFolder:
        """The folder of this path, which may be a link in no part but the ones above it."""
        return cls(above=path.parent, name=path.name)

    def inner(self, name: str) -> OwnFolder:
        """A folder in this one."""
        return OwnFolder(above=self.above, name=f"{self.name}/{name}", elsewhere=self.elsewhere)

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.above / self.name

    def checked(self, path: str = "") -> Path:
        """The path of a file or folder for whoever takes nothing but paths; it need not be there.

        Raises UsageError for a link, and for what is neither a file nor a folder.
        """
        place = self.above
        for name in _parts(self.name, path):
            place /= name
            try:
                mode = place.lstat().st_mode
            except OSError:
                break  # nothing is there, or whoever opens it hears why it can't be
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise self._mistake(place, mode)
        return self.path / path

    def read(self, path: str) -> bytes | None:
        """The content of a file, None where there is none. Raises UsageError where it is larger than any of ours."""
        with self._told(path):
            try:
                with self.checked(path).open("rb") as stream:
                    if os.fstat(stream.fileno()).st_size > _MOST_BYTES:
                        raise UsageError(f"{self.path / path} is larger than any file that is kept there. Delete it.")
                    return stream.read(_MOST_BYTES)
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes, *, synced: bool = True) -> None:
        """Write a file so that nobody ever sees a part of it; the folders above it are made.

        Not `synced`, a power loss may leave it empty: enough for what is compared when it is written again.
        """
        folder, _, name = path.rpartition("/")
        self.checked(path)
        with self._told(path), self.opened(folder, make=True) as inside:
            write_file(name, inside, content, synced=synced)

    def write_parts(self, path: str, parts: Iterable[bytes]) -> bool:
        """Write a file of any size in the same way, and leave one alone that has this content; whether it changed."""
        folder, _, name = path.rpartition("/")
        self.checked(path)
        with self._told(path), self.opened(folder, make=True) as inside:
            part = begun_name()
            try:
                inside.save(part, parts)
                with suppress(FileNotFoundError):
                    if filecmp.cmp(self.checked(path), self.path / folder / part, shallow=False):
                        return False
                inside.move(part, inside, name, replacing=True)
                return True
            finally:
                with suppress(FileNotFoundError):
                    inside.unlink(part)

    def held(self, path: str) -> IO[str]:
        """A file that is open to be read and written in place, made where it is missing."""
        folder, _, name = path.rpartition("/")
        self.checked(path)
        with self._told(path), self.opened(folder, make=True) as inside:
            descriptor = inside.open(name, os.O_RDWR | os.O_CREAT)
            return os.fdopen(descriptor, "r+", encoding="ascii", errors="replace")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder, which is made if need be, until another process that holds it is done."""
        import portalocker  # noqa: PLC0415 - a command that only looks holds nothing

        with self._told(""), ExitStack() as holding:
            held: int | IO[str] | None = holding.enter_context(self.opened(make=True)).held
            if held is None:
                name = hashlib.sha256(os.fsencode(self.path.absolute())).hexdigest()[:32]
                held = holding.enter_context(Path(tempfile.gettempdir(), f"convergence-matrix-{name}.lock").open("a"))
            with suppress(portalocker.LockException):  # some file systems of a network lock no folders
                portalocker.lock(held, portalocker.LockFlags.EXCLUSIVE)
            yield

    def names(self, path: str = "") -> list[str]:
        """The names in a folder, sorted; none where it is not there."""
        with self._told(path):
            try:
                with self.opened(path) as inside:
                    return sorted(inside.names())
            except FileNotFoundError:
                return []

    def sweep(self, *paths: str) -> None:
        """Remove what killed runners left half written in some folders; "" is the folder itself."""
        for path in paths:
            with self._told(path), suppress(FileNotFoundError), self.opened(path):
                forget_begun(self.checked(path))

    def remove(self, path: str) -> bool:
        """Remove a file or a folder with all that is in it; false where something of it stays (see `remove_tree`)."""
        folder, _, name = path.rpartition("/")
        with self._told(path):
            try:
                with self.opened(folder) as inside:
                    return remove_tree(name, inside)
            except FileNotFoundError:
                return True

    def new_folder(self, path: str) -> Path:
        """Make a folder that is empty: what is there of its name is removed, or put aside where that can't be."""
        folder, _, name = path.rpartition("/")
        with self._told(path), self.opened(folder, make=True) as inside:
            if not remove_tree(name, inside):
                inside.move(name, inside, f"left-{secrets.token_hex(8)}")
            inside.make(name)
        return self.path / path

    @contextmanager
    def opened(self, path: str = "", *, make: bool = False) -> Iterator[OpenFolder]:
        """A folder, opened, in which to write or remove; made where it is missing, if wanted.

        Raises OSError where the system refuses.
        """
        self.checked(path)
        with ExitStack() as opening:
            if make:
                self.above.mkdir(parents=True, exist_ok=True)
            inside = opening.enter_context(OpenFolder(self.above, links=True))
            owners = {user_number(), inside.status().st_uid}
            for name in _parts(self.name, path):
                if make:
                    with suppress(FileExistsError):
                        inside.make(name)
                inside = opening.enter_context(inside.inner(name))
                if (owner := inside.status().st_uid) not in owners:
                    raise self._not_ours(name, owner)
            yield inside

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Raise MachineError, with what to do, where the system refuses."""
        try:
            yield
        except OSError as error:
            raise MachineError(
                f"{self.path / path} can't be read or written ({error.strerror or error}). Make it writable, or free"
                f" some of its disk; {self.elsewhere}."
            ) from error

    def _mistake(self, place: Path, mode: int) -> UsageError:
        what = "a link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
        return UsageError(
            f"{place} is {what}, which may lead to any file of yours: nothing is read or written there. Delete it;"
            f" {self.elsewhere}."
        )

    def _not_ours(self, name: str, owner: int) -> UsageError:
        return UsageError(
            f"{name} in {self.above} belongs to another user ({owner}), who could change what is kept there. Make it"
            " yours (`chown`), or copy the matrix to a folder of your own."
        )


def _parts(*paths: str) -> Iterator[str]:
    for path in paths:
        for name in filter(None, path.split("/")):
            if name in {".", ".."} or "\0" in name:
                raise UsageError(f"{path!r} is no name of a file here.")
            yield name


def has_locked(file: IO[str] | int, path: Path, *, alone: bool) -> bool:
    """Lock the open file of a path, `alone` or together with others, unless another process stands in the way.

    True where it is locked. The lock ends with the process, however that ends. Raises MachineError where the file
    system locks nothing.
    """
    import portalocker  # noqa: PLC0415 - a command that only looks locks nothing

    kind = portalocker.LockFlags.EXCLUSIVE if alone else portalocker.LockFlags.SHARED
    try:
        portalocker.lock(file, kind | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        reason = error.__cause__ or error
        raise MachineError(
            f"{path} can't be locked ({getattr(reason, 'strerror', None) or reason}): its folder must be on a file"
            " system that locks files."
        ) from error
    return True


def write_file(name: str, folder: OpenFolder, content: bytes, *, synced: bool = True) -> None:
    """Write a file into an open folder so that nobody ever sees a part of it. Raises OSError."""
    part = begun_name()
    try:
        folder.save(part, [content], synced=synced)
        folder.move(part, folder, name, replacing=True)
    finally:
        with suppress(FileNotFoundError):
            folder.unlink(part)


def begun_name() -> str:
    """A new name for what will be moved into place once it is whole; it tells whose it is."""
    return f"{_BEGUN}{this_runner().replace(':', _JOINT)}{_JOINT}{secrets.token_hex(4)}"


def forget_begun(folder: Path) -> None:
    """Remove what dead runners began in a folder. Raises OSError where it can't be looked into."""
    for path in folder.glob(f"{_BEGUN}*"):
        if is_dead(path.name.removeprefix(_BEGUN).rpartition(_JOINT)[0].replace(_JOINT, ":")):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder as far as that can be done (see `remove_tree`)."""
    with suppress(OSError), OpenFolder(path.parent, links=True) as folder:
        remove_tree(path.name, folder)


def remove_tree(name: str, folder: OpenFolder) -> bool:
    """Remove a file below an open folder, or a folder with all that is in it; whether it is gone.

    No path is put together, no link followed and no mount entered, so that neither length nor depth nor rights that
    somebody left there matter: what lies deeper is moved up and removed there. What the system protects (immutable
    files, mounts) stays.
    """
    try:
        folder.unlink(name)
    except FileNotFoundError:
        return True
    except OSError:
        pass  # a folder
    else:
        return True
    with suppress(OSError):
        with _entered(name, folder) as top:
            with suppress(OSError):
                top.allow()
            _empty(top)
        folder.remove_empty(name)
        return True
    return False


def _empty(top: OpenFolder) -> None:
    """Remove what is in an open folder, as far as that can be done: passes until one changes nothing."""
    fresh = (f"{secrets.token_hex(8)}-{number}" for number in count())
    changed = True
    while changed:
        changed = False
        with top.entries() as entries:
            for entry in entries:
                changed |= _taken(entry.name, top, fresh)


def _taken(name: str, top: OpenFolder, fresh: Iterator[str]) -> bool:
    """Remove a name in `top`, a folder's content moved there first; whether anything became of it."""
    try:
        top.unlink(name)
    except OSError:
        pass  # a folder
    else:
        return True
    changed = False
    with suppress(OSError):
        with _entered(name, top) as inner, inner.entries() as entries:
            for entry in entries:
                changed |= _moved_up(entry.name, inner, top, next(fresh))
        top.remove_empty(name)
        changed = True
    return changed


def _moved_up(name: str, inner: OpenFolder, top: OpenFolder, fresh: str) -> bool:
    """Move a name from an inner folder to `top`; whether that could be done. What is mounted can't be moved."""
    try:
        inner.move(name, top, fresh)
    except PermissionError:
        pass
    except OSError:
        return False
    else:
        return True
    with suppress(OSError):
        inner.allow()
        with suppress(NotADirectoryError):
            inner.allow_inner(name)  # whoever moves a folder needs the right to write in it
        inner.move(name, top, fresh)
        return True
    return False


def _entered(name: str, folder: OpenFolder) -> OpenFolder:
    """A folder, opened, that may have forbidden to be looked into. Raises OSError where it is none."""
    try:
        return folder.inner(name)
    except PermissionError:
        folder.allow_inner(name)
        return folder.inner(name)


def user_number() -> int:
    """The number of the user that this process acts as; 0 where users have none, as files have there."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
