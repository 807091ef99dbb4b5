"""Wheels built from source, once: source distributions of the index, and the user's own project.

A source distribution is built with the cell's own CPython and the build tools of a fitting time. The project is built
from a copy, so that nothing is written into it. What it says of itself comes from one build with a CPython of this
machine; where that wheel is pure, it is installed everywhere, else each CPython builds its own.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import stat
import threading
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from runner import foreign_json
from runner.cache import begun, cache_folder, disk_trouble, passing_folder, read_sealed, write_sealed
from runner.code_digest import code_digest
from runner.environments.file_store import sha256_of
from runner.environments.index.connection import UNANSWERED, without_addresses
from runner.environments.interpreters import HostToolchain, find_interpreters
from runner.environments.lock import OwnPackage
from runner.environments.target import build_tools_date, stamp
from runner.environments.times import UNDATED
from runner.errors import BuildFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from runner.environments.interpreters import Interpreter, Toolchain


_COMPILER = r"(?:[\w./+-]*/)?(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|c89|c99)(?:-[\d.]+)?"
_MISSING = re.compile(
    rf"""
      command\ '{_COMPILER}'\ failed:\ No\ such\ file        # setuptools
    | ^{_COMPILER}\ .*\n.*command\ '{_COMPILER}'\ failed\ with\ exit\ status\ 1$
                                      # distutils of CPython up to 3.8, where the compiler itself said not a word
    | unable\ to\ execute\ '?{_COMPILER}'?:\ No\ such\ file  # the same where it warns
    | No\ such\ file\ or\ directory:\ '{_COMPILER}'          # what starts it without a shell
    | (?:^|\s){_COMPILER}:\ (?:command\ )?not\ found         # a shell: numpy's own distutils
    | Unknown\ compiler\(s\):                                # meson
    | No\ CMAKE_C\w*_COMPILER\ could\ be\ found              # CMake
    | linker\ `\w+`\ not\ found                              # Rust, which links with the C compiler
    | fatal\ error:\ Python\.h:\ No\ such\ file              # a CPython without its headers compiles nothing either
    """,
    re.VERBOSE | re.MULTILINE,
)


def missing_compiler(said: str) -> str | None:
    """The last line of a builder's output that shows that there is no compiler; None where it failed without one."""
    ends = [found.end() for found in _MISSING.finditer(said)]
    if not ends:
        return None
    start, end = said.rfind("\n", 0, ends[-1]) + 1, said.find("\n", ends[-1])
    return said[start : end if end >= 0 else None].strip()


_ESSENTIAL = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^.*\b(?:fatal error|error): (?:.*\.h(?:pp)?: No such file or directory|.*not declared\b.*)$",  # compilers
        r"^\s*(?:[A-Za-z_]\w*\.)*(?!CalledProcessError)[A-Z]\w*(?:Error|Exception|NotFound)\b: .+$",
        r"^\s*(?:\S+: )?(?:fatal )?error: (?!.*(?:exit (?:code|status)|returned non-zero)).+$",
    )
)
"""Lines of a builder's output that say why it failed, the most telling kind first."""
_LONGEST_ESSENTIAL = 200


def essential_line(said: str) -> str:
    """The line of a builder's output that says why it failed; empty where none does."""
    for pattern in _ESSENTIAL:
        if found := pattern.findall(said):
            return str(found[-1]).strip()[:_LONGEST_ESSENTIAL]
    return ""


_LAST_LINES = 15
_LACKING = "no-compiler"
"""Beside what was built: the message of a builder that has no compiler and never will; it is not asked again."""
_at_work: dict[Path, threading.Lock] = {}


def built(
    sdist: Path,
    *,
    sha256: str,
    uploaded: Callable[[], datetime],
    python: str,
    toolchain: Callable[[], Toolchain],
    say: Callable[[str], None],
) -> Path:
    """The wheel of a source distribution. What builds it depends on sdist and toolchain alone, never on a lock.

    Raises BuildFailedError with the builder's last words, or where nothing may be built.
    """
    builder = hashlib.sha256(toolchain().builder.identity.encode()).hexdigest()[:12]
    folder = cache_folder() / "built" / f"{sha256}-cp{python.replace('.', '')}-{builder}"
    with _at_work.setdefault(folder, threading.Lock()):
        made = _intact(folder)
        if made is not None:
            return made
        if refusal := toolchain().builder.refusal:
            why = f"{sdist.name} must be built, for there is no wheel of it: {refusal}."
            raise BuildFailedError("install", why, passing=True)
        if (told := read_sealed(folder / _LACKING)) is not None:
            raise BuildFailedError("install", told.decode(), passing=True)
        say(f"building {sdist.name} for CPython {python}")
        try:
            return _build(sdist, folder, _tools_until(python, uploaded()), python, toolchain().builder)
        except OSError as error:
            raise disk_trouble(folder, error, 0) from error


def _intact(folder: Path) -> Path | None:
    """The wheel that was built before; its digest is the name of the folder that it lies in."""
    for wheel in folder.glob("*/*.whl"):
        if sha256_of(wheel) == wheel.parent.name:
            return wheel
        wheel.unlink()
    return None


def _tools_until(python: str, uploaded: datetime) -> list[str]:
    """The option that says up to when the build tools may be from; an index without times offers none by time."""
    return [] if uploaded == UNDATED else ["--exclude-newer", stamp(build_tools_date(python, uploaded))]


def _build(sdist: Path, folder: Path, tools: list[str], python: str, toolchain: Toolchain) -> Path:
    with passing_folder() as work:
        shutil.copyfile(sdist, work / sdist.name)
        done = toolchain.build(sdist.name, tools, folder=work)
        wheels = _made(work)
        if done.returncode or len(wheels) != 1:
            said = without_addresses(done.stderr)
            error = not_built(sdist.name, said, python, toolchain)
            if toolchain.is_fixed and missing_compiler(said):
                write_sealed(folder / _LACKING, str(error).encode())
            raise error
        target = folder / sha256_of(wheels[0]) / wheels[0].name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = begun(target.parent)
        shutil.copyfile(wheels[0], part)
        return part.replace(target)


def _made(work: Path) -> list[Path]:
    """The wheels that a builder left; a link that it left in their place leads nowhere."""
    made = work / "made"
    if made.is_symlink():
        return []
    return [file for file in made.glob("*.whl") if stat.S_ISREG(file.lstat().st_mode)]


_OTHER_RELEASE = (
    "Choose another release of the package, or another CPython (`python:`), for which the index has a wheel"
)
_OWN_WHEEL = "Build its wheel where there is one, and name that under packages: (./wheels/x.whl) in place of install:"


def not_built(
    name: str, said: str, python: str, toolchain: Toolchain, advice: str = _OTHER_RELEASE
) -> BuildFailedError:
    """The error for what can't be built: the lack of a compiler with advice, else the builder's last words."""
    if (line := missing_compiler(said)) is None:
        first = f"{name} can't be built: {essential_line(said)}".rstrip()
        why = "\n".join([first, *said.strip().splitlines()[-_LAST_LINES:]])
        return BuildFailedError("install", why, passing=any(sign in said.lower() for sign in UNANSWERED))
    why = (
        f"{name} must be compiled for CPython {python}, and there is no compiler {toolchain.place}.\n"
        f"{advice}; or {toolchain.with_compiler}.\nIts builder said: {line}"
    )
    return BuildFailedError("install", why, passing=True)


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


@functools.cache
def own_package(folder: Path, extras: frozenset[str]) -> OwnPackage:
    """What a project's build backend says of it; asked once a process, and of a project that did not change never.

    Raises UsageError with the backend's last words where it can't be built here at all.
    """
    place = _place(folder)
    told = read_sealed(place / "told.json")
    if told is None or not list(place.glob("any/*/*.whl")):
        wheel = _first_build(folder, place)
        told = json.dumps(_told(wheel, folder)).encode()
        write_sealed(place / "told.json", told)
    said = foreign_json.loads(told)
    return OwnPackage(
        folder=folder,
        name=said["name"],
        requires=tuple(_required(said["requires"], extras)),
        requires_python=said["requires_python"],
        digest=said["digest"],
        modules=tuple(said["modules"]),
    )


def own_wheel(own: OwnPackage, python: str, toolchain: Callable[[], Toolchain], say: Callable[[str], None]) -> Path:
    """The wheel of a project for a CPython: the pure one, else one that is built with it, once.

    Raises BuildFailedError with the backend's last words.
    """
    place = _place(own.folder)
    wheel = next(place.glob("any/*/*.whl"), None)
    if wheel is not None and _is_pure(wheel):
        return wheel
    builder = hashlib.sha256(toolchain().identity.encode()).hexdigest()[:12]
    kept = place / f"cp{python.replace('.', '')}-{builder}"
    with _at_work.setdefault(kept, threading.Lock()):
        made = next(kept.glob("*/*.whl"), None)
        if made is not None:
            return made
        say(f"building {own.name} for CPython {python}")
        version = str(parse_wheel_filename(wheel.name)[1]) if wheel is not None else "0"
        told = f"Metadata-Version: 2.1\nName: {own.name}\nVersion: {version}\n"
        return _built(own.folder, kept, python, toolchain(), told)


@functools.cache
def _place(folder: Path) -> Path:
    """The place in the cache of a project as it stands: another size or time of a file is another place."""
    digest = hashlib.sha256(str(folder).encode())
    for file in _files(folder):
        status = file.stat()
        digest.update(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return cache_folder() / "own" / digest.hexdigest()[:32]


def _first_build(folder: Path, place: Path) -> Path:
    """The wheel that says what the project is: by this process's CPython, else by the oldest one of this machine."""
    failure: BuildFailedError | None = None
    for interpreter in _builders():
        try:
            toolchain = HostToolchain(interpreter=interpreter)
            return _built(folder, place / "any", interpreter.minor, toolchain)
        except BuildFailedError as error:
            failure = failure or error
    raise UsageError(f"install: {failure or 'there is no CPython on this machine that could build the project.'}")


def _builders() -> Iterator[Interpreter]:
    import platform  # noqa: PLC0415 - most matrices install no project

    here = find_interpreters()
    own = next((one for one in here if one.version == platform.python_version()), None)
    yield from [own] if own else []
    yield from [one for one in here[-1:] if one != own]


def _built(folder: Path, kept: Path, python: str, toolchain: Toolchain, told: str = "") -> Path:
    """The wheel that a project's backend makes of a copy; `told` stands in for the repository, which may be unseen."""
    with passing_folder() as work:
        _copy(folder, work / "project")
        if told:
            (work / "project" / "PKG-INFO").write_text(told, "utf-8")
        elif (folder / ".git").exists():
            (work / "project" / ".git").symlink_to((folder / ".git").resolve())
        done = toolchain.build("project", [], folder=work)
        wheels = _made(work)
        if done.returncode or len(wheels) != 1:
            said = without_addresses(done.stderr).replace(str(work / "project"), str(folder))
            if missing_compiler(said) and (other := toolchain.compiling) is not None:
                return _built(folder, kept, python, other, told)
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
    return {
        "name": str(canonicalize_name(str(metadata["Name"]))),
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
