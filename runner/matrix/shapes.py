"""Shapes of a YAML file, each declared once: it reads a tree, notes what is misshapen, and gives its JSON Schema.

A misshapen entry of a section is left out and the rest is read, so that all mistakes are reported together.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeVar, cast

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.nodes import Entries, Items, Nothing, Text, shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from runner.matrix.mistakes import Mistakes, Position
    from runner.matrix.nodes import Node

    JsonSchema = dict[str, Any]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_TOLERANT_DEPTH = 2
"""Down to this depth a misshapen entry is left out alone; below it, what it stands in is left out."""


class MisshapenError(Exception):
    """A node does not have its shape; the mistake is noted already."""


@dataclass(frozen=True, kw_only=True)
class NodePlace:
    """The place of a node: its path from the top, and its line and column."""

    mistakes: Mistakes
    left_out: set[str]
    """The names of what was left out: `axes`, `axes.keras`, `exclude.2`."""
    position: Position
    path: tuple[str | int, ...] = ()

    def below(self, part: str | int, position: Position) -> NodePlace:
        """The place of a key's value or of an item."""
        return dataclasses.replace(self, path=(*self.path, part), position=position)

    @property
    def name(self) -> str:
        """The place as messages call it: `experiment.timeout`, `an entry of exclude`."""
        keys = ".".join(part for part in self.path if isinstance(part, str))
        return f"an entry of {keys}" if self.path and isinstance(self.path[-1], int) else keys

    def leave_out(self) -> None:
        """Note that nothing is read from here."""
        self.left_out.add(".".join(str(part) for part in self.path[:_TOLERANT_DEPTH]))

    def stop(self, message: str, hint: str = "") -> NoReturn:
        """Note a mistake here and raise MisshapenError."""
        self.mistakes.add(self.position, message, hint)
        raise MisshapenError


class Shape(ABC, Generic[T_co]):
    """The shape that a node must have. `takes` is the form of node: text, list or mapping."""

    takes: ClassVar[str]

    def read(self, node: Node, place: NodePlace) -> T_co:
        """The value of a node; raises MisshapenError, with the mistake noted, where it has another shape."""
        if shape(node) not in self.forms:
            wanted = " or ".join(f"a {form}" for form in self.forms)
            got = "empty" if isinstance(node, Nothing) else f"a {shape(node)}"
            place.stop(f"{place.name} must be {wanted}, not {got}", "" if isinstance(node, Nothing) else self.advice)
        return self._value(node, place)

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of nodes that it takes, in the order of the messages."""
        return (self.takes,)

    @property
    def advice(self) -> str:
        """The hint for a node of another form."""
        return ""

    def schema(self) -> JsonSchema:
        """Its JSON Schema."""
        return self._schema()

    @abstractmethod
    def _value(self, node: Node, place: NodePlace) -> T_co:
        """The value of a node that has the right form."""

    @abstractmethod
    def _schema(self) -> JsonSchema: ...


@dataclass(frozen=True)
class Scalar(Shape[Text]):
    """A text, a number or a truth value, kept as it was written; `editor` is what an editor checks of it."""

    takes = "text"
    editor: Mapping[str, Any] = field(default_factory=lambda: {"type": ["string", "number", "boolean"]})
    hint: str = ""

    @property
    def advice(self) -> str:
        """The hint for a node of another form."""
        return self.hint

    def _value(self, node: Node, place: NodePlace) -> Text:  # noqa: ARG002 - every text will do
        return cast("Text", node)

    def _schema(self) -> JsonSchema:
        return dict(self.editor)


@dataclass(frozen=True)
class Reads(Shape[T_co]):
    """A text that a function reads; RefusedError of that function is a mistake."""

    takes = "text"
    function: Callable[[Text], T_co]
    editor: Mapping[str, Any]

    def _value(self, node: Node, place: NodePlace) -> T_co:
        try:
            return self.function(cast("Text", node))
        except RefusedError as error:
            place.stop(f"{place.name}: {error.message}", error.hint)

    def _schema(self) -> JsonSchema:
        return dict(self.editor)


class Word(Reads[T_co]):
    """One of a few words, each with its value."""

    def __init__(self, words: Mapping[str, T_co]) -> None:
        def read(text: Text) -> T_co:
            if text not in words:
                raise RefusedError(f"{quoted(text)} is not a known value", nearest(text, words))
            return words[text]

        super().__init__(read, {"enum": list(words)})


@dataclass(frozen=True)
class ListOf(Shape[tuple[T, ...]]):
    """A list of items that have one shape."""

    takes = "list"
    item: Shape[T]
    least: int = 0
    hint: str = ""

    @property
    def advice(self) -> str:
        """The hint for a node of another form."""
        return self.hint

    def _value(self, node: Node, place: NodePlace) -> tuple[T, ...]:
        items = cast("Items", node)
        _require(items, self.least, place)
        found = ((place.below(number, item.position), self.item, item) for number, item in enumerate(items))
        return tuple(value for _, value in _kept(place, found))

    def _schema(self) -> JsonSchema:
        least = {"minItems": self.least} if self.least else {}
        return {"type": "array", "items": self.item.schema(), **least}


@dataclass(frozen=True)
class OneOrMore(Shape[tuple[T, ...]]):
    """One item, or a list of at least `least`."""

    takes = "list"
    item: Shape[T]
    least: int = 1

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of nodes that it takes, in the order of the messages."""
        return tuple(form for form in ("text", "list", "mapping") if form == "list" or form in self.item.forms)

    def _value(self, node: Node, place: NodePlace) -> tuple[T, ...]:
        if isinstance(node, Items):
            return ListOf(self.item, self.least).read(node, place)
        return (self.item.read(node, place),)

    def _schema(self) -> JsonSchema:
        return {"anyOf": [self.item.schema(), ListOf(self.item, self.least).schema()]}


@dataclass(frozen=True, init=False)
class Either(Shape[T_co]):
    """One of several shapes, told apart by the form of the node."""

    takes = ""
    shapes: tuple[Shape[T_co], ...]

    def __init__(self, *shapes: Shape[T_co]) -> None:
        object.__setattr__(self, "shapes", shapes)

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of nodes that it takes, in the order of the messages."""
        return tuple(form for one in self.shapes for form in one.forms)

    def _value(self, node: Node, place: NodePlace) -> T_co:
        return next(one for one in self.shapes if shape(node) in one.forms).read(node, place)

    def _schema(self) -> JsonSchema:
        return {"anyOf": [one.schema() for one in self.shapes]}


@dataclass(frozen=True, kw_only=True)
class Key(Generic[T_co]):
    """One key of a mapping: the shape of its value, and what it means. `example` is shown where it is missing."""

    shape: Shape[T_co]
    description: str
    example: str = ""
    required: bool = False

    def schema(self) -> JsonSchema:
        """The JSON Schema of the key's value."""
        return {"description": self.description, **self.shape.schema()}


@dataclass(frozen=True, kw_only=True)
class MappingOf(Shape[dict[Text, T]]):
    """A mapping whose keys are the user's own, but for some `known` ones."""

    takes = "mapping"
    others: Key[T]
    known: Mapping[str, Key[T]] = field(default_factory=dict)
    names: str = ""
    """A pattern of the keys, for editors."""
    least: int = 0
    empty: str = ""
    """The hint for an empty mapping."""
    without_value: Callable[[str], tuple[str, str]] | None = None
    """Message and hint for a key whose value is empty."""

    def _value(self, node: Node, place: NodePlace) -> dict[Text, T]:
        entries = cast("Entries", node)
        _require(entries, self.least, place, self.empty)
        children = ((_below(place, name, item), self._shape(name, item), item) for name, item in entries.items())
        kept = dict(_kept(place, children))
        _require_keys(self.known, entries, place)
        return {key: kept[key] for key in entries if key in kept}

    def _shape(self, name: Text, node: Node) -> Shape[T]:
        if self.without_value and (isinstance(node, Nothing) or node == []):
            return cast("Shape[T]", _Refused(*self.without_value(name)))
        return self.known.get(name, self.others).shape

    def _schema(self) -> JsonSchema:
        required = [name for name, one in self.known.items() if one.required]
        return {
            "type": "object",
            **({"properties": {name: one.schema() for name, one in self.known.items()}} if self.known else {}),
            "additionalProperties": self.others.schema() if self.others.description else self.others.shape.schema(),
            **({"propertyNames": {"pattern": self.names}} if self.names else {}),
            **({"minProperties": self.least} if self.least else {}),
            **({"required": required} if required else {}),
        }


@dataclass(frozen=True)
class Section(Shape[T]):
    """A mapping with known keys, read into a frozen dataclass whose fields `key` declares.

    A key with nothing after it counts as not written, an unknown one is a mistake.
    """

    takes = "mapping"
    model: type[T]
    aside: str = ""
    """The prefix of keys that are ignored."""

    @property
    def keys(self) -> dict[str, Key[Any]]:
        """The keys, by name."""
        return {one.name: one.metadata["key"] for one in dataclasses.fields(cast("Any", self.model))}

    def _value(self, node: Node, place: NodePlace) -> T:
        entries, keys = cast("Entries", node), self.keys
        children: list[tuple[NodePlace, Shape[Any], Node]] = []
        for name, item in entries.items():
            if self.aside and name.startswith(self.aside):
                continue
            if name not in keys:
                unknown = _Refused(f"unknown key {quoted(name)}", nearest(name, keys))
                children.append((place.below(str(name), name.position), unknown, item))
            elif not isinstance(item, Nothing):
                children.append((_below(place, name, item), keys[name].shape, item))
        found = dict(_kept(place, children))
        _require_keys(keys, entries, place)
        try:
            return self.model(**found)
        except RefusedError as error:
            place.stop(f"{place.name}: {error.message}", error.hint)

    def _schema(self) -> JsonSchema:
        required = [name for name, one in self.keys.items() if one.required]
        return {
            "type": "object",
            "properties": {name: one.schema() for name, one in self.keys.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


def key(shape: Shape[T], description: str, default: T, *, example: str = "", required: bool = False) -> T:
    """Declare a key of a section as a field of its dataclass: shape, meaning and the value where it is not written."""
    declared = Key(shape=shape, description=description, example=example, required=required)
    return field(default_factory=lambda: default, metadata={"key": declared})


class _Refused(Shape[Any]):
    """The shape of what is a mistake whatever its value is."""

    takes = ""

    def __init__(self, message: str, hint: str) -> None:
        self.message, self.hint = message, hint

    def read(self, node: Node, place: NodePlace) -> NoReturn:  # noqa: ARG002 - refused unseen
        place.stop(self.message, self.hint)

    def _value(self, node: Node, place: NodePlace) -> NoReturn:
        self.read(node, place)

    def _schema(self) -> JsonSchema:
        return {"not": {}}


def _below(place: NodePlace, name: Text, node: Node) -> NodePlace:
    """The place of a key's value: where a text or a list begins, else where the key stands."""
    return place.below(str(name), node.position if isinstance(node, (Text, Items)) else name.position)


def _kept(place: NodePlace, children: Iterable[tuple[NodePlace, Shape[Any], Node]]) -> Iterator[tuple[Any, Any]]:
    """The values of the children that have their shape, each with its key or number; the others are left out.

    Raises MisshapenError where there are others and the whole must be left out with them.
    """
    failed = False
    for at, one, node in children:
        try:
            yield at.path[-1], one.read(node, at)
        except MisshapenError:
            failed = True
            at.leave_out()
    if failed and len(place.path) >= _TOLERANT_DEPTH:
        raise MisshapenError


def _require(node: Collection[object], least: int, place: NodePlace, hint: str = "") -> None:
    if len(node) < least:
        place.stop(f"{place.name} must not be empty", hint)


def _require_keys(keys: Mapping[str, Key[Any]], entries: Entries, place: NodePlace) -> None:
    written = {str(name) for name, node in entries.items() if not isinstance(node, Nothing)}
    for name, one in keys.items():
        if one.required and name not in written:
            place.stop(f"{place.name} has no {name}", f"such as {one.example}" if one.example else "")
