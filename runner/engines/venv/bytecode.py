"""Bytecode that environments share: that of a wheel is compiled once a CPython, kept in the cache, and linked from there.

An interpreter that loads bytecode gives it the path of the source beside it, so that it serves any environment. It is
written by `python -S` (`compile_sources.py`), which runs no code of a package: nothing of one environment can plant
bytecode for another.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from packaging.utils import canonicalize_name

from runner.cache import begun
from runner.engines.venv.shared_base import link
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.environments.processes import Processes
    from runner.environments.wheelhouse import WheelFile

_COMPILER = Path(__file__).with_name("compile_sources.py")
_OLDEST = "python3.6"
"""Its bytecode is valid by the time of its source; that of later ones for good."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Installed:
    """A wheel as it is installed: its sources below the environment's packages, and where its bytecode is kept."""

    sources: tuple[PurePosixPath, ...]
    kept: Path | None
    """None: which wheel it is of is not known, or another wheel wrote over one of its sources, or it over that one's."""

    @property
    def whole(self) -> bool:
        """True where its bytecode is kept."""
        return self.kept is not None and self.kept.is_dir()


def provide(packages: Path, python: Path, wheels: Sequence[WheelFile], kept: Path, processes: Processes) -> None:
    """Have the bytecode of all packages of an environment beside their sources; `kept` is of its CPython alone."""
    installed = list(_installed(packages, {_name(wheel.path.name): wheel.sha256 for wheel in wheels}, kept))
    lacking = [one for one in installed if one.sources and not one.whole]
    if lacking:
        needed = {source.parts[0] for one in lacking for source in one.sources}
        spared = {source.parts[0] for one in installed for source in one.sources} - needed
        _compile(packages, python, spared, processes)
    for one in installed:
        if one.whole:
            _link_kept(one, packages)
        else:
            _keep(one, packages)


def forget_unused(kept: Path) -> None:
    """Remove the bytecode that no environment has a link to any more."""
    for folder in kept.glob("*/*/"):
        with suppress(FileNotFoundError):  # another runner forgets the same one, or has just filled it
            first = next(folder.rglob("*.pyc"), None)
            if first is None or first.stat().st_nlink == 1:
                shutil.rmtree(folder, ignore_errors=True)


def _installed(packages: Path, digests: Mapping[str, str], kept: Path) -> Iterator[_Installed]:
    sources = {record.parent.name: _sources(record) for record in sorted(packages.glob("*.dist-info/RECORD"))}
    owners = Counter(source for each in sources.values() for source in each)
    for name, each in sources.items():
        digest = digests.get(_name(name))
        if any(owners[source] > 1 for source in each):
            digest = None
        elif packages.parent.name == _OLDEST and digest and each:
            digest = f"{digest[:32]}-{max(int((packages / path).stat().st_mtime) for path in each)}"
        yield _Installed(sources=each, kept=kept / f"{digest[:56]}-flat" if digest else None)


def _sources(record: Path) -> tuple[PurePosixPath, ...]:
    with record.open(newline="", encoding="utf-8") as file:
        paths = dict.fromkeys(PurePosixPath(row[0]) for row in csv.reader(file) if row and row[0].endswith(".py"))
    return tuple(path for path in paths if not path.is_absolute() and ".." not in path.parts)


def _name(file: str) -> str:
    return canonicalize_name(file.split("-")[0])


def _compile(packages: Path, python: Path, spared: set[str], processes: Processes) -> None:
    """Write the bytecode, but for the modules and packages in `spared`. Raises MachineError where that can't be done."""
    done = processes.run(
        [python, "-s", "-S", _COMPILER, packages, *sorted(spared)],
        cwd=packages.parent,
        env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
    )
    if done.returncode:
        words = done.stderr.strip().rpartition("\n")[2] or f"its compiler ended with exit code {done.returncode}"
        raise MachineError(f"Bytecode can't be written to {packages}: {words}. Free some of its disk, and start again.")


def _link_kept(one: _Installed, packages: Path) -> None:
    """Link the bytecode of a wheel to its place; what is there already, compiled with a neighbour's, is as good."""
    if one.kept is None:
        return
    with suppress(FileNotFoundError):  # another runner forgot it meanwhile
        for name in os.listdir(one.kept):  # noqa: PTH208 - strings, since there are thousands
            target = f"{packages}/{os.fsdecode(unquote_to_bytes(name))}"
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            with suppress(FileExistsError):
                link(f"{one.kept}/{name}", target)


def _keep(one: _Installed, packages: Path) -> None:
    """Keep the bytecode of a wheel for the next environment, if that can be; another runner may do the same.

    All of it in one folder: a folder for each of the wheel's would take longer than its files.
    """
    if one.kept is None:
        return
    with suppress(OSError):
        one.kept.parent.mkdir(parents=True, exist_ok=True)
        part = begun(one.kept.parent)
        part.mkdir()
        try:
            for compiled in _compiled(one, packages):
                link(packages / compiled, part / quote(os.fsencode(compiled), safe=""))
            part.rename(one.kept)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _compiled(one: _Installed, packages: Path) -> Iterator[PurePosixPath]:
    tag = _tag(packages)
    for source in one.sources:
        file = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        if (packages / file).exists():
            yield file


def _tag(packages: Path) -> str:
    return "cpython-" + packages.parent.name.removeprefix("python").replace(".", "")
