"""What resolves and builds with the cell's own interpreter: uv beside one CPython, on the host or in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

REPRODUCIBLE = {"SOURCE_DATE_EPOCH": "315619200", "PYTHONHASHSEED": "0", "CFLAGS": "-g0", "LDFLAGS": "", "CPPFLAGS": ""}
"""What a toolchain sets for uv so that a wheel is built twice with the same bytes: 2 January 1980, since a zip knows no
time before 1980 in any time zone, and no debug information, which names the folder that was built in."""


class Toolchain(Protocol):
    """A CPython of a minor release with uv beside it: resolves, and builds sdists, with the cell's own interpreter."""

    @property
    def python_full(self) -> str:
        """The interpreter's release, such as "3.7.16"."""
        ...

    @property
    def identity(self) -> str:
        """What it builds with, the lock apart: the interpreter's exact build, or the base image's identity."""
        ...

    @property
    def place(self) -> str:
        """Where it builds, such as "on this machine"."""
        ...

    @property
    def with_compiler(self) -> str:
        """What a user does to have a compiler there; completes "or …"."""
        ...

    def uv(self, arguments: Sequence[str], *, folder: Path) -> CompletedProcess[str]:
        """Run `uv ARGUMENTS` with `folder` as working directory; the interpreter is this toolchain's.

        UV_PYTHON, `index_address.network_settings()` and REPRODUCIBLE are set. Paths in the arguments are relative to
        the folder, and nothing outside it is seen.
        """
        ...
