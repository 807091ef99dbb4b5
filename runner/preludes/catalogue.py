"""The catalogue of switches: preludes that each change one thing in what a script's libraries do.

A switch is a function in one of the tools' modules of switches; its docstring says what it does, how, on which
stacks, and which other switch turns the same thing the other way.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from runner.preludes.prelude import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FIELD = re.compile(r"^(?P<key>how|applies|reverse|breadth): (?P<value>.+)$", re.MULTILINE)
_HEAD: Final = """\
# Switches

Each switch changes one thing in what a script's libraries do. It is a value of the axis `prelude:`; several in one
value, parted by spaces, are made together. A trial tells whether the change was made: where a stack has no such
thing, or does it anyway, it was not. The reverse turns the same thing the other way, often on other stacks. Breadth
says how much a switch changes, from 1 (one default of one kind of object) to 9 (the whole way of execution).

| switch | with it | how | for | reverse | breadth |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueSwitch:
    """One switch; its `name` is what the axis `prelude` takes."""

    name: str
    does: str
    """The difference that it makes, as a clause."""
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
def catalogue() -> dict[str, CatalogueSwitch]:
    """All switches by name, sorted."""
    found = (switch for path in TOOLS.glob("*_switches.py") for switch in _switches(path))
    return {switch.name: switch for switch in sorted(found, key=lambda switch: switch.name)}


def table() -> str:
    """The catalogue as a page in Markdown, which `docs/switches.md` has."""
    return _HEAD + "".join(_row(switch) for switch in catalogue().values())


def _switches(path: Path) -> Iterator[CatalogueSwitch]:
    """The switches of one module; it is read, not run: it belongs into a trial."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            fields = {match["key"]: match["value"].strip() for match in _FIELD.finditer(text)}
            yield CatalogueSwitch(
                name=node.name.replace("_", "-"),
                does=text.partition("\n")[0],
                how=fields["how"],
                applies=tuple(one.strip() for one in fields.get("applies", "").split(";") if one.strip()),
                reverse=fields.get("reverse", ""),
                breadth=int(fields["breadth"]),
                source=f"from _runner_tools import {path.stem}\n\n{path.stem}.{node.name}(prelude)\n",
            )


def _row(switch: CatalogueSwitch) -> str:
    stacks = ", ".join(f"`{one}`" for one in switch.applies) or "all"
    reverse = f"`{switch.reverse}`" if switch.reverse else ""
    return f"| `{switch.name}` | {switch.does} | {switch.how} | {stacks} | {reverse} | {switch.breadth} |\n"
