"""Tree → `MatrixFile`: checks the shape, notes every mistake in it, leaves out what is misshapen, keeps the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from runner.matrix.declaration import ASIDE, SECTIONS, MatrixFile
from runner.matrix.mistakes import Position, nearest, quoted
from runner.matrix.nodes import Entries, Items, Node, Nothing, Text, shape

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from runner.matrix.mistakes import Mistakes

_SHAPES = {"is_instance_of": "text", "dict_type": "mapping", "tuple_type": "list", "list_type": "list"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shaped:
    """What has the right shape, and the names of what was left out: `axes`, `axes.keras`, `exclude.2`."""

    file: MatrixFile
    left_out: frozenset[str]


def shaped(tree: Node | None, mistakes: Mistakes) -> Shaped:
    """The parts of a tree that have the right shape.

    Raises MatrixError where the tree is no mapping at all.
    """
    if tree is None or isinstance(tree, Nothing):
        mistakes.stop(
            Position(line=1, column=1), "the file is empty", "`python -m runner init script.py` writes a matrix"
        )
    if not isinstance(tree, Entries):
        mistakes.stop(tree.position, f"a matrix is a mapping with keys such as axes, not a {shape(tree)}")
    tree = Entries({key: node for key, node in tree.items() if not key.startswith(ASIDE)}, tree.position)
    try:
        return Shaped(file=MatrixFile.model_validate(tree), left_out=frozenset())
    except ValidationError as error:
        left_out: set[str] = set()
        for details in error.errors(include_url=False):
            path, position = _place(tree, details["loc"], key=details["type"] == "extra_forbidden")
            if details["type"] != "too_short" or not details["input"]:  # said too of a list whose items are all wrong
                mistakes.add(position, *_words(details, path))
            left_out.add(".".join(str(part) for part in path[:2]))
    return Shaped(file=MatrixFile.model_validate(_without(tree, left_out)), left_out=frozenset(left_out))


def _place(tree: Entries, loc: tuple[int | str, ...], *, key: bool) -> tuple[tuple[int | str, ...], Position]:
    """The part of pydantic's location that is in the tree (the rest names members of unions), and its position.

    That is the position of the value, or of its `key`.
    """
    path: list[int | str] = []
    node: Node = tree
    position = tree.position
    for part in loc:
        if isinstance(node, Entries) and part in node:
            name = next(name for name in node if name == part)
            node = node[name]
            position = node.position if isinstance(node, (Text, Items)) and not key else name.position
        elif isinstance(node, Items) and isinstance(part, int):
            node = node[part]
            position = node.position
        else:
            continue
        path.append(part)
    return tuple(path), position


def _without(tree: Entries, left_out: set[str]) -> Entries:
    """The tree without the sections, and the entries of sections, that have these names.

    A baseline of which nothing is left goes too: it must not be empty, and what was wrong in it has been said.
    """
    kept = {key: _part_without(key, node, left_out) for key, node in tree.items() if key not in left_out}
    return Entries({key: node for key, node in kept.items() if key != "baseline" or node}, tree.position)


def _part_without(section: Text, node: Node, left_out: set[str]) -> Node:
    match node:
        case Items():
            kept = [item for i, item in enumerate(node) if f"{section}.{i}" not in left_out]
            return Items(kept, node.position)
        case Entries():
            entries = {key: item for key, item in node.items() if f"{section}.{key}" not in left_out}
            return Entries(entries, node.position)
        case _:
            return node


def _words(details: ErrorDetails, path: tuple[int | str, ...]) -> tuple[str, str]:
    """Message and hint for one of pydantic's errors."""
    kind, context = details["type"], details.get("ctx", {})
    name = ".".join(part for part in path if isinstance(part, str))
    name = f"an entry of {name}" if isinstance(path[-1], int) else name
    if kind == "extra_forbidden":
        known = SECTIONS.get(str(path[0]), MatrixFile) if len(path) > 1 else MatrixFile
        return f"unknown key {quoted(str(path[-1]))}", nearest(str(path[-1]), known.model_fields)
    if kind == "refused":
        return f"{name}: {context['message']}", context["hint"]
    if kind == "literal_error":
        words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"{name}: {quoted(str(details['input']))} is no right word here", nearest(str(details["input"]), words)
    got = shape(cast("object", details["input"]))
    if path[0] == "axes" and len(path) == 2 and (kind == "too_short" or got == "nothing"):
        return f"the axis {quoted(str(path[1]))} has no values", "write them as a list, such as [2.2.4, 2.3.1]"
    if kind == "too_short":
        return f"{name} must not be empty", "" if path[0] == "packages" else "it would match every cell"
    wanted = context.get("expected_tags") or _SHAPES.get(kind) or details["msg"]
    wanted = " or ".join(f"a {word}" for word in wanted.replace("'", "").split(", "))
    return f"{name} must be {wanted}, not {'empty' if got == 'nothing' else f'a {got}'}", ""
