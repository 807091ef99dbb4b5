"""The catalogue as a table in Markdown, which `docs/switches.md` has: made from the switches' own headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runner.preludes import catalogue

if TYPE_CHECKING:
    from runner.preludes import Switch

HEAD: Final = """\
# Switches

Each switch changes one thing in what a script's libraries do. It is a value of the axis `prelude:`; several in one
value, parted by spaces, are made together. A trial tells whether the change was made: where a stack has no such
thing, or does it anyway, it was not. The reverse turns the same thing the other way, often on other stacks. Breadth
says how much a switch changes, from 1 (one default of one kind of object) to 9 (the whole way of execution).

| switch | with it | how | for | reverse | breadth |
| --- | --- | --- | --- | --- | --- |
"""


def table() -> str:
    """The page, as Markdown."""
    return HEAD + "".join(_row(switch) for switch in catalogue().values())


def _row(switch: Switch) -> str:
    stacks = ", ".join(f"`{one}`" for one in switch.applies) or "all"
    reverse = f"`{switch.reverse}`" if switch.reverse else ""
    return f"| `{switch.name}` | {switch.does} | {switch.how} | {stacks} | {reverse} | {switch.breadth} |\n"
