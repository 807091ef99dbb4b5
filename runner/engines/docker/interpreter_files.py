"""A CPython of this machine as files: its tar file for an image, and the shared libraries that it needs."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import disk_trouble
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runner.environments.interpreters import Interpreter

FIXED_TIME = 1_000_000_000
"""Of every packed file. Not 0: a zip knows no time before 1980."""
_LEFT_OUT_FOLDERS = {
    *("__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test"),
    *("idlelib", "turtledemo", "ensurepip"),
}
_LEFT_OUT_FILES = re.compile(r"^(_tkinter\..*|sitecustomize\.py|.*\.pyc|.*\.a)$")
"""Windows (their libraries are large), this machine's own settings, what is made again or serves to build CPython."""
_QUESTION = """
import json, os, sys, sysconfig
paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
print(json.dumps({"executable": os.path.realpath(sys.executable), "libraries": sorted(paths)}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A shared library: the name that a program asks for, and the file of this machine that it gets."""

    name: str
    path: Path


def write_tar(interpreter: Interpreter, tar: Path) -> str:
    """Pack an interpreter with its standard library, and with libraries that no package of this machine owns.

    Gives the SHA-256 (hex) of the tar, which holds no times, owners or other accidents. Raises MachineError.
    """
    files = {f"usr/local/bin/python{interpreter.minor}": _executable(interpreter)}
    for name, path in _standard_library(interpreter):
        files[f"usr/local/lib/python{interpreter.minor}/{name}"] = path
    libraries = needed_libraries(interpreter)
    for library in set(libraries).difference(owners_of(libraries)):
        files[f"usr/local/lib/{library.name}"] = library.path
    try:
        with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT, dereference=True) as archive:
            for name in sorted(files):
                _add(archive, name, files[name])
        with tar.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise disk_trouble(tar, error, sum(path.stat().st_size for path in files.values())) from error


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    status = path.stat()
    entry.size = status.st_size
    entry.mtime = FIXED_TIME
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    with path.open("rb") as stream:
        archive.addfile(entry, stream)


@functools.cache
def needed_libraries(interpreter: Interpreter) -> tuple[Library, ...]:
    """The shared libraries of an interpreter and of its standard library's modules, sorted."""
    programs = [_executable(interpreter)]
    programs += [path for name, path in _standard_library(interpreter) if name.endswith(".so")]
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    found = re.findall(r"^\s+(\S+) => (/\S+) \(", done.stdout, flags=re.MULTILINE)
    return tuple(Library(name=name, path=Path(path)) for name, path in sorted(set(found)))


def owners_of(libraries: Collection[Library]) -> dict[Library, str]:
    """The Debian package of each library that belongs to one."""
    patterns = sorted({f"*/{library.path.name}" for library in libraries})
    done = subprocess.run(["dpkg", "-S", *patterns], capture_output=True, text=True, check=False)
    owners = {}
    for line in done.stdout.splitlines():
        packages, _, path = line.partition(": ")
        owners[Path(path).resolve()] = packages.partition(",")[0].partition(":")[0]
    return {library: owners[file] for library in libraries if (file := library.path.resolve()) in owners}


def _executable(interpreter: Interpreter) -> Path:
    executable, _ = _places(interpreter)
    return executable


@functools.cache
def _standard_library(interpreter: Interpreter) -> tuple[tuple[str, Path], ...]:
    """The files of the standard library with their names in it."""
    _, folders = _places(interpreter)
    return tuple(sorted({name: path for folder in folders for name, path in _files(folder, "")}.items()))


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in _LEFT_OUT_FOLDERS and not path.name.startswith("config-"):
                yield from _files(path, f"{prefix}{path.name}/")
        elif path.is_file() and not _LEFT_OUT_FILES.match(path.name):
            yield prefix + path.name, path


@functools.cache
def _places(interpreter: Interpreter) -> tuple[Path, tuple[Path, ...]]:
    """Ask an interpreter where it lies."""
    try:
        done = subprocess.run(
            [interpreter.path, "-I", "-c", _QUESTION], capture_output=True, text=True, timeout=20, check=True
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MachineError(f"{interpreter.path} does not say where its standard library is: {error}.") from error
    return Path(said["executable"]), tuple(Path(each) for each in said["libraries"])
