"""Wheels of source distributions, built once, with the cell's own CPython and the build tools of a fitting time."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import threading
from typing import TYPE_CHECKING

from runner.cache import begun, cache_folder, disk_trouble, passing_folder, read_sealed, write_sealed
from runner.environments.file_store import sha256_of
from runner.environments.index.connection import UNANSWERED, without_addresses
from runner.environments.target import build_tools_date, stamp
from runner.environments.times import UNDATED
from runner.errors import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from runner.environments.interpreters import Toolchain


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
        wheels = made_in(work)
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


def made_in(work: Path) -> list[Path]:
    """The wheels that a builder left; a link that it left in their place leads nowhere."""
    made = work / "made"
    if made.is_symlink():
        return []
    return [file for file in made.glob("*.whl") if stat.S_ISREG(file.lstat().st_mode)]


_OTHER_RELEASE = (
    "Choose another release of the package, or another CPython (`python:`), for which the index has a wheel"
)


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
