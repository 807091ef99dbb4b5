"""The catalogue of switches: preludes that each change one thing in what a script's libraries do.

A switch is one source file here; the comment lines at its top say what it does, how, on which stacks, which other
switch turns the same thing the other way, and with which part of `tools` before it it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "catalogue"
PARTS = Path(__file__).parent / "tools"
_LINE = re.compile(r"^# (?P<key>does|how|applies|reverse|breadth|with): (?P<value>.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """One switch; its `name` is what the axis `prelude` takes."""

    name: str
    does: str
    """What is different with it, in words."""
    how: str
    """The call or setting that makes the difference."""
    applies: tuple[str, ...]
    """The stacks that it is for, as requirements that must all hold (PEP 508); none: all."""
    reverse: str
    """The switch that does the opposite; empty where there is none."""
    breadth: int
    """How much it changes, from 1 (one default of one kind of object) to 9 (the whole way of execution)."""
    source: str


@cache
def catalogue() -> dict[str, Switch]:
    """All switches by name, sorted."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.py"))}


def _read(path: Path) -> Switch:
    source = path.read_text(encoding="utf-8")
    said = {match["key"]: match["value"].strip() for match in _LINE.finditer(source)}
    return Switch(
        name=path.stem,
        does=said["does"],
        how=said["how"],
        applies=tuple(one.strip() for one in said.get("applies", "").split(";") if one.strip()),
        reverse=said.get("reverse", ""),
        breadth=int(said["breadth"]),
        source=(PARTS / f"{said['with']}.py").read_text(encoding="utf-8") + source if "with" in said else source,
    )
