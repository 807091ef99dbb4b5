"""Source distributions built to wheels, once, with the cell's own CPython and the build tools of a fitting time."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from runner.environments.cache import cache_folder, disk_trouble
from runner.environments.index_address import without_addresses
from runner.environments.store import sha256_of
from runner.environments.target import build_tools_date, machine, stamp
from runner.errors import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runner.environments.toolchain import Toolchain

_LAST_LINES = 15
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
    """The wheel of a source distribution. What builds it depends on the sdist and CPython alone, never on a lock.

    Raises BuildFailedError with the builder's last words.
    """
    folder = cache_folder() / "built" / f"{sha256}-cp{python.replace('.', '')}-{machine()}"
    with _at_work.setdefault(folder, threading.Lock()):
        made = _intact(folder)
        if made is not None:
            return made
        say(f"building {sdist.name} for CPython {python}")
        try:
            return _build(sdist, folder, build_tools_date(python, uploaded()), toolchain())
        except OSError as error:
            raise disk_trouble(folder, error, 0) from error


def _intact(folder: Path) -> Path | None:
    """The wheel that was built before; its digest is the name of the folder that it lies in."""
    for wheel in folder.glob("*/*.whl"):
        if sha256_of(wheel) == wheel.parent.name:
            return wheel
        wheel.unlink()
    return None


def _build(sdist: Path, folder: Path, tools: datetime, toolchain: Toolchain) -> Path:
    with tempfile.TemporaryDirectory(prefix="runner-build-") as name:
        work = Path(name)
        shutil.copyfile(sdist, work / sdist.name)
        arguments = ["build", "--wheel", sdist.name, "--out-dir", "made", "--exclude-newer", stamp(tools)]
        done = toolchain.uv(arguments, folder=work)
        wheels = list((work / "made").glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            last = without_addresses(done.stderr).strip().splitlines()[-_LAST_LINES:]
            raise BuildFailedError("install", "\n".join([f"{sdist.name} can't be built:", *last]))
        target = folder / sha256_of(wheels[0]) / wheels[0].name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(wheels[0], part)
        return part.replace(target)
