"""The user's own project as it is installed: built from a copy, so that nothing is written into it.

What it says of itself comes from one build with a CPython of this machine. Where that wheel is pure, it is installed
everywhere, else each CPython builds its own from an archive of the project's files. Wheel or archive lies among the
files of the index, by its hash, so that the project can be installed on another machine as it is on this one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import tarfile
import threading
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from runner import foreign_json
from runner.cache import cache_folder, disk_trouble, passing_folder, read_sealed, write_sealed
from runner.code_digest import code_digest
from runner.environments.file_store import keep, present, sha256_of, stored
from runner.environments.index.connection import without_addresses
from runner.environments.interpreters import HostToolchain, find_interpreters
from runner.environments.lock import OwnPackage
from runner.environments.source_builds import made_in, missing_compiler, not_built
from runner.errors import BuildFailedError, MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runner.environments.interpreters import Interpreter, Toolchain

_OWN_WHEEL = "Build its wheel where there is one, and name that under packages: (./wheels/x.whl) in place of install:"
_LEFT_OUT_ANYWHERE = frozenset({"__pycache__", "node_modules"})
_LEFT_OUT_ABOVE = frozenset({"build", "dist"})
"""What builds leave behind in a project's own folder."""
_LINKED_BYTES = 8 * 1024**2
"""A file of this size is linked, not copied: no builder writes into such a one."""
_SOURCES = frozenset(
    f".{ending}"
    for ending in ("c", "cc", "cfg", "cmake", "cpp", "cu", "cxx", "f", "f90", "h", "hh", "hpp", "in", "pxd", "pxi")
) | {".py", ".pyx", ".rs", ".toml"}
"""The endings of what a compiled package is made of."""
_EXTRA = re.compile(r'extra == "(?P<name>[^"]+)"')
_ALWAYS = 'python_version >= "3"'
_at_work: dict[Path, threading.Lock] = {}


@functools.cache
def own_package(folder: Path, extras: frozenset[str]) -> OwnPackage:
    """What a project's build backend says of it; asked once a process, and of a project that did not change never.

    Raises UsageError with the backend's last words where it can't be built here at all.
    """
    place = _place(folder)
    told = read_sealed(place / "project.json")
    if told is None or not present(foreign_json.loads(told)["sha256"]):
        wheel = _first_build(folder)
        told = json.dumps(_told(wheel, folder)).encode()
        write_sealed(place / "project.json", told)
    said = foreign_json.loads(told)
    return OwnPackage(
        folder=folder,
        name=said["name"],
        version=said["version"],
        sha256=said["sha256"],
        requires=tuple(_required(said["requires"], extras)),
        requires_python=said["requires_python"],
        digest=said["digest"],
        modules=tuple(said["modules"]),
    )


def own_file(own: OwnPackage) -> Path:
    """The wheel, or the archive, that a project is installed from. Raises MachineError where it is not here."""
    file = stored(own.sha256)
    if file is None:
        raise MachineError(f"install: what {own.name} is installed from is not in this machine's cache. Run again.")
    return file


def own_wheel(own: OwnPackage, python: str, toolchain: Callable[[], Toolchain], say: Callable[[str], None]) -> Path:
    """The wheel of a project for a CPython: the pure one, else one that is built with it, once.

    Raises BuildFailedError with the backend's last words.
    """
    file = own_file(own)
    if file.suffix == ".whl":
        return file
    builder = hashlib.sha256(toolchain().identity.encode()).hexdigest()[:12]
    kept = cache_folder() / "own" / f"{own.sha256[:32]}-cp{python.replace('.', '')}-{builder}"
    with _at_work.setdefault(kept, threading.Lock()):
        made = next(kept.glob("*/*.whl"), None)
        if made is not None:
            return made
        say(f"building {own.name} for CPython {python}")
        return _built(own.folder, kept, python, toolchain(), own)


@functools.cache
def _place(folder: Path) -> Path:
    """The place in the cache of a project as it stands: another size or time of a file is another place."""
    digest = hashlib.sha256(str(folder).encode())
    for file in _files(folder):
        status = file.stat()
        digest.update(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return cache_folder() / "own" / digest.hexdigest()[:32]


def _first_build(folder: Path) -> Path:
    """The wheel that says what the project is: by this process's CPython, else by the oldest one of this machine."""
    failure: BuildFailedError | None = None
    for interpreter in _builders():
        try:
            toolchain = HostToolchain(interpreter=interpreter)
            return _built(folder, cache_folder() / "files", interpreter.minor, toolchain)
        except BuildFailedError as error:
            failure = failure or error
    raise UsageError(f"install: {failure or 'there is no CPython on this machine that could build the project.'}")


def _builders() -> Iterator[Interpreter]:
    import platform  # noqa: PLC0415 - most matrices install no project

    here = find_interpreters()
    own = next((one for one in here if one.version == platform.python_version()), None)
    yield from [own] if own else []
    yield from [one for one in here[-1:] if one != own]


def _built(folder: Path, kept: Path, python: str, toolchain: Toolchain, own: OwnPackage | None = None) -> Path:
    """The wheel that a project's backend makes of a copy; what is `own` is known, and copied from its archive.

    What is known of it stands in for the repository, which may be unseen.
    """
    with passing_folder() as work:
        if own:
            _unpack(own_file(own), work / "project")
            told = f"Metadata-Version: 2.1\nName: {own.name}\nVersion: {own.version}\n"
            (work / "project" / "PKG-INFO").write_text(told, "utf-8")
        else:
            _copy(folder, work / "project")
            if (folder / ".git").exists():
                (work / "project" / ".git").symlink_to((folder / ".git").resolve())
        done = toolchain.build("project", [], folder=work)
        wheels = made_in(work)
        if done.returncode or len(wheels) != 1:
            said = without_addresses(done.stderr).replace(str(work / "project"), str(folder))
            if missing_compiler(said) and (other := toolchain.compiling) is not None:
                return _built(folder, kept, python, other, own)
            raise not_built(str(folder), said, python, toolchain, _OWN_WHEEL)
        target = kept / sha256_of(wheels[0]) / wheels[0].name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return Path(shutil.move(wheels[0], target))
        except OSError as error:
            raise disk_trouble(target, error, wheels[0].stat().st_size) from error


def _files(folder: Path) -> Iterator[Path]:
    """The files of a project: no hidden folders, no environments, nothing that builds leave behind."""
    for here, folders, names in os.walk(folder):
        above = Path(here) == folder
        folders[:] = sorted(one for one in folders if not _is_left_out(Path(here, one), above=above))
        yield from (file for name in sorted(names) if (file := Path(here, name)).is_file())


def _is_left_out(folder: Path, *, above: bool) -> bool:
    name = folder.name
    left = name in _LEFT_OUT_ANYWHERE or name.startswith(".") or name.endswith(".egg-info")
    return left or (above and name in _LEFT_OUT_ABOVE) or (folder / "pyvenv.cfg").exists()


def _copy(folder: Path, target: Path) -> None:
    for file in _files(folder):
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.stat().st_size >= _LINKED_BYTES:
            try:
                os.link(file, copy)
            except OSError:
                shutil.copy2(file, copy)
        else:
            shutil.copy2(file, copy)


def _pack(folder: Path, name: str) -> str:
    """Keep an archive of a project's files among those of the index, times and modes included; its SHA-256."""
    with passing_folder() as work:
        file = work / f"{name}.tar"
        try:
            with tarfile.open(file, "w", dereference=True) as archive:
                for one in _files(folder):
                    archive.add(one, one.relative_to(folder).as_posix(), filter=_of_nobody)
        except OSError as error:
            raise disk_trouble(file, error, sum(one.stat().st_size for one in _files(folder))) from error
        sha256 = sha256_of(file)
        keep(file, sha256)
    return sha256


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _unpack(file: Path, target: Path) -> None:
    """Lay out what `_pack` packed, on whatever machine."""
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                one = target / member.name
                one.parent.mkdir(parents=True, exist_ok=True)
                if content := archive.extractfile(member):
                    with one.open("wb") as copy:
                        shutil.copyfileobj(content, copy)
                one.chmod(member.mode)
                os.utime(one, (member.mtime, member.mtime))
    except OSError as error:
        raise disk_trouble(target, error, file.stat().st_size) from error


def _told(wheel: Path, folder: Path) -> dict[str, Any]:
    """What a wheel says of its project: name, needs, CPythons, modules, and a digest of what it does."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_bytes(archive.read(next(one for one in names if one.endswith(".dist-info/METADATA"))))
        content = [name for name in names if ".dist-info/" not in name or name.endswith("/entry_points.txt")]
        code = [(name.rpartition(".dist-info/")[2], archive.read(name)) for name in content if not name.endswith("/")]
    if not _is_pure(wheel):
        sources = [file for file in _files(folder) if file.suffix in _SOURCES]
        code = [*((file.relative_to(folder).as_posix(), file.read_bytes()) for file in sources)]
    name, version = str(canonicalize_name(str(metadata["Name"]))), str(parse_wheel_filename(wheel.name)[1])
    return {
        "name": name,
        "version": version,
        "sha256": wheel.parent.name if _is_pure(wheel) else _pack(folder, f"{name}-{version}"),
        "requires": [str(line) for line in metadata.get_all("Requires-Dist") or []],
        "requires_python": str(metadata.get("Requires-Python") or ""),
        "modules": sorted({_module(name) for name in content if ".dist-info/" not in name}),
        "digest": _digest(code),
    }


def _module(name: str) -> str:
    return name.partition("/")[0].partition(".")[0]


def _digest(code: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over names and contents; of Python sources over what they do."""
    digest = hashlib.sha256()
    for name, content in sorted(code):
        one = code_digest(content) if name.endswith(".py") else hashlib.sha256(content).hexdigest()
        digest.update(f"{name} {one}\n".encode())
    return digest.hexdigest()


def _is_pure(wheel: Path) -> bool:
    return wheel.name.endswith("-none-any.whl") and "py3" in wheel.name.rsplit("-", 3)[1].split(".")


def _required(lines: Iterable[str], extras: frozenset[str]) -> Iterator[str]:
    """The requirements (PEP 508) without extras, and those of the extras that are asked for."""
    for line in lines:
        whole = str(Requirement(line))
        text, _, marker = whole.partition("; ")
        named = {canonicalize_name(found["name"]) for found in _EXTRA.finditer(marker)}
        if not named:
            yield whole
        elif extras & named:
            rest = _EXTRA.sub(lambda found: _stands_for(found["name"], extras), marker)
            rest = rest.removesuffix(f" and {_ALWAYS}")
            yield text if rest == _ALWAYS else f"{text}; {rest}"


def _stands_for(extra: str, extras: frozenset[str]) -> str:
    """A marker that always holds for an extra that is asked for, and never for another one."""
    return _ALWAYS if canonicalize_name(extra) in extras else 'python_version < "3"'
