"""A prelude: a declared source file that runs before the script in the same process, so that one thing is changed.

Data to the runner and part of a trial's key. Its source sees the name `prelude`: `prelude.after_import(module,
call)` calls a function with a module right after its import, `prelude.applied(note)` says that the change was made.
It may import the runner's own tools from `_runner_tools`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner.code_digest import code_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

TOOLS = Path(__file__).parents[1] / "probe" / "_runner_tools"
"""What the sources of preludes may import: it rides in every trial, beside the probe."""
_USE = re.compile(
    r"^[ \t]*(?:from (?:_runner_tools|\.) import (?P<names>[\w, ]+)"
    r"|(?:from|import) (?:_runner_tools)?\.(?P<module>\w+))",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Prelude:
    """`name` is unique among the preludes of a trial: lower-case words joined by hyphens."""

    name: str
    source: str
    """Python for CPython 3.6 and later."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the source does, and the tools that it imports."""
        uses = "".join(f" {name} {_tool_digest(name)}" for name in sorted(tools_of(self.source)))
        return hashlib.sha256(f"{code_digest(self.source.encode())}{uses}".encode()).hexdigest()


def lay_out(preludes: Iterable[Prelude], folder: Path) -> None:
    """Write preludes so that the probe runs them in their order."""
    for number, prelude in enumerate(preludes):
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}-{prelude.name}.py").write_text(prelude.source, encoding="utf-8")


def tools_of(source: str) -> frozenset[str]:
    """The names of the tools that a source imports, directly or through one another."""
    found: set[str] = set()
    waiting = [source]
    while waiting:
        for match in _USE.finditer(waiting.pop()):
            for name in (match["module"] or match["names"]).replace(" ", "").split(","):
                if name not in found and (TOOLS / f"{name}.py").is_file():
                    found.add(name)
                    waiting.append((TOOLS / f"{name}.py").read_text("utf-8"))
    return frozenset(found)


@cache
def _tool_digest(name: str) -> str:
    return code_digest((TOOLS / f"{name}.py").read_bytes())
