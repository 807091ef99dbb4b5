"""A prelude: a declared source file that runs before the script in the same process, so that one thing is changed.

Data to the runner and part of a trial's key. Its source sees the name `prelude`: `prelude.after_import(module, call)`
calls a function with a module right after its import, `prelude.applied(note)` says that the change was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.code_digest import code_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Prelude:
    """`name` is unique among the preludes of a trial: lower-case words joined by hyphens."""

    name: str
    source: str
    """Python for CPython 3.6 and later."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the source does."""
        return code_digest(self.source.encode())


def lay_out(preludes: Iterable[Prelude], folder: Path) -> None:
    """Write preludes so that the probe runs them in their order."""
    for number, prelude in enumerate(preludes):
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}-{prelude.name}.py").write_text(prelude.source, encoding="utf-8")
