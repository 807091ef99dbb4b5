"""Folders as the archives that an engine takes and gives (tar), for one that shares no files with this machine.

`packed` writes one, as a stream. `unpacked` reads one that holds what a job wrote, as if an attacker had made it:
regular files and folders alone, within bounds; no link of any kind, nothing that leads out. `restored` reads uv's.
"""

from __future__ import annotations

import errno
import filecmp
import os
import stat
import sys
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from runner.engines.job_limits import BLOCK_BYTES, DEEPEST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

_Result = TypeVar("_Result")

_CHUNK_BYTES = 1024**2
_END = b"\0" * 1024
_EVERYBODY_READS = 0o444
_UNTOLD = 0o111 if os.name == "nt" else 0
"""Windows does not note of a file that it is a program: there all may be run."""
_OF_THE_DISK = frozenset(getattr(errno, name, errno.ENOSPC) for name in ("ENOSPC", "EDQUOT", "EIO", "EROFS"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One name in an archive: a folder, a file with the content of `source` (None: empty), or a link to `link`."""

    name: str
    kind: bytes
    source: Path | None = None
    link: str = ""
    mode: int = 0o755
    owner: int = 0
    """Number of the user, and of its group."""


def tree(source: Path, place: str, *, owner: int, without: Collection[Path] = ()) -> Iterator[Entry]:
    """A folder at a place in an archive, and what is in it; or, at that place, a single file by its name.

    Everybody may read all of it. Links stay links. Left out is what is neither a file, a folder nor a link, and what is
    at or below `without`.
    """
    yield Entry(name=place, kind=tarfile.DIRTYPE, owner=owner)
    if not source.is_dir():
        yield _entry(source, f"{place}/{source.name}", owner)
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if Path(folder, name) not in without)
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if path not in without and (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
                yield _entry(path, f"{place}/{path.relative_to(source).as_posix()}", owner)


def _entry(path: Path, name: str, owner: int) -> Entry:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        link = os.readlink(path)  # noqa: PTH115 - as it is
        return Entry(name=name, kind=tarfile.SYMTYPE, link=link, owner=owner, mode=0o777)
    if stat.S_ISDIR(mode):
        return Entry(name=name, kind=tarfile.DIRTYPE, owner=owner)
    mode = stat.S_IMODE(mode) & 0o755 | _EVERYBODY_READS | _UNTOLD
    return Entry(name=name, kind=tarfile.REGTYPE, source=path, owner=owner, mode=mode)


def packed(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of an archive, made as they are asked for. Raises OSError where a file can't be read."""
    for entry in entries:
        header = tarfile.TarInfo(entry.name)
        header.type, header.mode, header.linkname = entry.kind, entry.mode, entry.link
        header.uid = header.gid = entry.owner
        if entry.source is None:
            yield _head(header)
            continue
        with entry.source.open("rb") as stream:
            status = os.fstat(stream.fileno())
            header.size, header.mtime = status.st_size, int(status.st_mtime)
            yield _head(header)
            yield from _content(stream, header.size)
    yield _END


def _head(header: tarfile.TarInfo) -> bytes:
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly so many bytes, whatever becomes of the file meanwhile, filled up to whole blocks."""
    left = size
    while left > 0:
        data = stream.read(min(left, _CHUNK_BYTES)) or b"\0" * min(left, _CHUNK_BYTES)
        left -= len(data)
        yield data
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


class Chunks:
    """What an engine sends, as a file to be read; at most `most_bytes` of it."""

    def __init__(self, chunks: Iterable[bytes], most_bytes: int) -> None:
        self._chunks = iter(chunks)
        self._chunk, self._at = b"", 0
        self._left = most_bytes
        self.is_cut = False
        """True where there was more."""

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end. No chunk is copied as a whole: archives are read in small pieces."""
        data = b""
        while len(data) < size:
            if self._at == len(self._chunk):
                more = b"" if self.is_cut else next(self._chunks, b"")
                if not more:
                    break
                self._left -= len(more)
                self.is_cut = self._left < 0
                self._chunk, self._at = more, 0
            piece = self._chunk[self._at : self._at + size - len(data)]
            self._at += len(piece)
            data += piece
        return data


def unpacked(chunks: Iterable[bytes], into: Path, *, most_bytes: int, before: Path | None = None) -> bool:
    """Write what a job's folder held into an empty folder; false where it was more than `most_bytes`, with what fits.

    The first part of each name, which is the folder's own, is dropped. A file that is as it was `before` has the time
    of that one: the archive's are whole seconds. Of a file with several names none is taken. What keeps the engine's
    bytes from coming, or this machine from writing them, is raised as it is: half of a file is no file of the job.
    """
    stream = Chunks(chunks, most_bytes + most_bytes // 2 + _CHUNK_BYTES)
    room = most_bytes
    with suppress(tarfile.TarError), tarfile.open(fileobj=stream, mode="r|", errorlevel=0) as archive:  # type: ignore[call-overload]
        for member in archive:
            room -= max(member.size if member.isreg() else 0, BLOCK_BYTES)
            if room < 0 or stream.is_cut:
                return False
            parts = _parts(member.name)
            if parts is None:
                continue
            if member.islnk():
                if linked := _parts(member.linkname):
                    _unless_odd(partial(into.joinpath(*linked).unlink, missing_ok=True))
            elif member.isdir():
                _unless_odd(partial(into.joinpath(*parts).mkdir, exist_ok=True))
            elif member.isreg() and parts and (content := archive.extractfile(member)) is not None:
                _write(content, into.joinpath(*parts), member, before and before.joinpath(*parts))
    return not stream.is_cut


def heads(chunks: Iterable[bytes], names: Collection[str], most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The files of these names that are right in an archive's folder, each once, and at most so many bytes of each."""
    stream, left = Chunks(chunks, len(names) * most_bytes + 4 * _CHUNK_BYTES), set(names)
    with suppress(tarfile.TarError), tarfile.open(fileobj=stream, mode="r|", errorlevel=0) as archive:  # type: ignore[call-overload]
        for member in archive:
            parts = _parts(member.name)
            if member.isreg() and parts and len(parts) == 1 and parts[0] in left:
                left.discard(parts[0])
                content = archive.extractfile(member)
                yield parts[0], content.read(most_bytes) if content else b""


def _parts(name: str) -> tuple[str, ...] | None:
    """The parts of a member's name below the folder; None for one that leads elsewhere, or too deep."""
    parts = tuple(part for part in name.split("/")[1:] if part not in {"", "."})
    leads_out = name.startswith("/") or ".." in parts or any("\0" in part for part in parts)
    is_odd = os.sep != "/" and any("\\" in part or ":" in part for part in parts)  # there they part and name disks
    return None if leads_out or is_odd or len(parts) > DEEPEST else parts


def _unless_odd(act: Callable[[], _Result]) -> _Result | None:
    """What comes of an act; None for a name that this system has no place for. A full or broken disk is told."""
    try:
        return act()
    except ValueError:
        return None
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise
        return None


def _write(content: IO[bytes], path: Path, member: tarfile.TarInfo, before: Path | None) -> None:
    """Write a new file, where there can be one; with the time of the one that was before, where it is the same."""
    opened = _unless_odd(lambda: path.open("xb"))
    if opened is None:
        return
    with opened as target:
        while data := content.read(_CHUNK_BYTES):
            target.write(data)
    with suppress(OSError, ValueError, OverflowError):
        at = int(member.mtime * 1_000_000_000)
        with suppress(OSError):
            if before is not None and filecmp.cmp(before, path, shallow=False):
                at = before.stat().st_mtime_ns
        os.utime(path, ns=(at, at))


def restored(chunks: Iterable[bytes], into: Path, *, most_bytes: int) -> None:
    """Write an archive of a program of ours into a folder: links within it too (Python's filter `data`).

    The first part of each name is dropped. Raises OSError for what can't be written, TarError for what leads out.
    """
    if sys.version_info >= (3, 12):
        import tarfile as filtering  # noqa: PLC0415 - for an engine elsewhere alone
    else:  # 3.11.4 is the first that filters, and Debian 12 has 3.11.2
        from backports import tarfile as filtering  # noqa: PLC0415 - as above

    stream = Chunks(chunks, most_bytes)
    try:
        with filtering.open(fileobj=cast("Any", stream), mode="r|") as archive:
            for member in archive:
                if parts := _parts(member.name):
                    inner = member.replace(name="/".join(parts), deep=False)
                    if inner.islnk():
                        inner = inner.replace(linkname="/".join(_parts(inner.linkname) or ()), deep=False)
                    archive.extract(inner, into, filter="data")
    except filtering.TarError as error:
        raise tarfile.TarError(str(error)) from error
