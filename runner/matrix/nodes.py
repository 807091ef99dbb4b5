"""YAML text → a tree of texts, lists and mappings that know their line and column; nothing is typed here.

Made from the parser's events rather than by PyYAML's own composer: depth, recursion and the size that aliases expand to
are checked before anything walks the tree, and `1.10` stays "1.10".
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Any

import yaml

from runner.errors import MatrixError, Mistake, UsageError
from runner.matrix.mistakes import Position, nearest, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from runner.matrix.mistakes import Mistakes

FILE_LIMIT_BYTES = 1024**2
DEPTH_LIMIT = 20
SIZE_LIMIT = 100_000
"""Values in a file, each alias counted with all that it stands for."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that YAML's escapes can make but no file name, argument or environment variable should hold."""

_UNQUOTED = re.compile(r"(?<=[\[{,:\s-])([>|*!&%@`])[^\s,\]}]*")
"""The beginning of a plain value that YAML takes for something else, such as the range >=1.7."""


class Text(str):
    """A scalar as it was written, with its place."""

    __slots__ = ("position", "style")
    position: Position
    style: str
    """The way it is quoted: "'", '"', "|", ">", or "" for a plain one."""

    @classmethod
    def make(cls, value: str, position: Position, style: str = "") -> Text:
        """A text with its place."""
        text = cls(value)
        text.position = position
        text.style = style
        return text

    def at(self, offset: int) -> Position:
        """The position in the file of the character at `offset`; the text's own place where that can't be told."""
        if self.style in {"|", ">"} or "\n" in self:
            return self.position
        quote = 1 if self.style else 0
        return Position(line=self.position.line, column=self.position.column + quote + offset)


class Nothing:
    """An empty value, as in `exclude:` with nothing after it."""

    size = 1

    def __init__(self, position: Position) -> None:
        self.position = position


class Items(list["Node"]):
    """A list with its place; `size` counts all values in it."""

    def __init__(self, items: list[Node], position: Position) -> None:
        super().__init__(items)
        self.position = position
        self.size = 1 + sum(_size(item) for item in items)


class Entries(dict[Text, "Node"]):
    """A mapping with its place; its keys know theirs. `size` counts all values in it."""

    def __init__(self, entries: dict[Text, Node], position: Position) -> None:
        super().__init__(entries)
        self.position = position
        self.size = 1 + sum(_size(value) for value in entries.values())


Node = Text | Nothing | Items | Entries


def _size(node: Node) -> int:
    return 1 if isinstance(node, Text) else node.size


def shape(node: object) -> str:
    """The form of a node as messages name it: text, list, mapping or nothing."""
    match node:
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case dict():
            return "mapping"
        case _:
            return "nothing"


def read_text(path: Path) -> str:
    """The text of a file that a user wrote.

    Raises UsageError where it can't be read, MatrixError where it is too large or not UTF-8.
    """
    try:
        with open(path, "rb", opener=_plain) as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} can't be read: {reason or error}") from error
    if len(data) > FILE_LIMIT_BYTES:
        raise MatrixError([Mistake(file=path, line=1, column=1, message="the file is larger than 1 MB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", errors="replace")
        place = _position_in(before)
        message = f"the file is not UTF-8: byte 0x{error.object[error.start]:02x} has no meaning here"
        raise MatrixError([Mistake(file=path, line=place.line, column=place.column, message=message)]) from error


def _plain(path: str, flags: int) -> int:
    """Open a plain file; a pipe, which would be waited for, is none."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        folder = errno.EISDIR, os.strerror(errno.EISDIR)
        raise OSError(*(folder if stat.S_ISDIR(mode) else (errno.EINVAL, "it is no plain file")))
    return descriptor


def _position_in(before: str) -> Position:
    return Position(line=before.count("\n") + 1, column=len(before) - (before.rfind("\n") + 1) + 1)


def compose(text: str, mistakes: Mistakes) -> Node | None:
    """The tree of the one document in a text, None for an empty one.

    Duplicate keys are noted in `mistakes`; what stops the reading raises MatrixError with all that was noted.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        mistakes.stop(
            _position_in(text[: error.position]), f"the character U+{ord(text[error.position]):04X} is not allowed"
        )
    try:
        return _Composer(loader, mistakes).document()
    except yaml.MarkedYAMLError as error:
        place, message, hint = _syntax(error, text)
        mistakes.stop(place, message, hint)
    except (ValueError, OverflowError):  # PyYAML: "\UFFFFFFFF" and the like
        mistakes.stop(_position(loader.get_mark()), "not YAML: a number in it is out of range")


def _position(mark: yaml.Mark) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str, str]:
    mark = error.problem_mark or error.context_mark
    place = _position(mark) if mark else Position(line=1, column=1)
    line = text.splitlines()[place.line - 1] if place.line <= len(text.splitlines()) else ""
    if "\t" in line[: place.column]:
        return place, "not YAML: a tab is used here", "YAML is indented with spaces"
    hint = ""
    unquoted = next(
        (found for found in _UNQUOTED.finditer(line) if found.start(1) < place.column <= found.end() + 1), None
    )
    if unquoted:
        hint = f"put a text that begins with {unquoted[1]} in quotes"
    elif error.context and error.context_mark:
        hint = f"{error.context} that begins on line {error.context_mark.line + 1}"
    return place, f"not YAML: {error.problem or error.context}", hint


class _Composer:
    def __init__(self, loader: yaml.SafeLoader, mistakes: Mistakes) -> None:
        self.loader = loader
        self.mistakes = mistakes
        self.anchors: dict[str, Node | None] = {}
        """None while the anchor's own value is being read."""

    def take(self) -> Any:
        return self.loader.get_event()  # type: ignore[no-untyped-call]

    def next(self) -> Any:
        return self.loader.peek_event()  # type: ignore[no-untyped-call]

    def document(self) -> Node | None:
        self.take()
        if self.loader.check_event(yaml.StreamEndEvent):
            return None
        self.take()
        tree = self.node(0)
        self.take()
        if not self.loader.check_event(yaml.StreamEndEvent):
            place = _position(self.next().start_mark)
            self.mistakes.stop(place, "a second document begins here", "a matrix file holds one document")
        return tree

    def node(self, depth: int) -> Node:
        event = self.take()
        place = _position(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor, place)
        if event.tag is not None:
            self.mistakes.stop(
                place,
                f"the tag {quoted(event.tag)} has no meaning here",
                "leave it out; put a text with ! in quotes",
            )
        if depth > DEPTH_LIMIT:
            self.mistakes.stop(place, f"nested deeper than {DEPTH_LIMIT} levels")
        if event.anchor:
            self.anchors[event.anchor] = None
        node = self.value(event, place, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        if _size(node) > SIZE_LIMIT:
            self.mistakes.stop(place, f"this expands to more than {SIZE_LIMIT:,} values, each alias counted in full")
        return node

    def alias(self, name: str | None, place: Position) -> Node:
        if name is None or name not in self.anchors:
            self.mistakes.stop(
                place, f"the alias {quoted(name or '')} has no anchor before it", nearest(name or "", self.anchors)
            )
        node = self.anchors[name]
        if node is None:
            self.mistakes.stop(place, f"the alias {quoted(name)} is used inside the value that it names")
        return node

    def value(self, event: Any, place: Position, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not self.loader.check_event(yaml.SequenceEndEvent):
                items.append(self.node(depth + 1))
            self.take()
            return Items(items, place)
        if isinstance(event, yaml.MappingStartEvent):
            entries = self.entries(depth)
            self.take()
            return Entries(entries, place)
        return self.scalar(event, place)

    def scalar(self, event: Any, place: Position) -> Text | Nothing:
        if not event.value and not event.style:
            return Nothing(place)
        wrong = _FORBIDDEN.search(event.value)
        if wrong:
            self.mistakes.stop(place, f"the character U+{ord(wrong[0]):04X} is not allowed")
        return Text.make(event.value, place, event.style or "")

    def entries(self, depth: int) -> dict[Text, Node]:
        """The entries of a mapping; what `<<` merges comes first and yields to what is written."""
        merged: dict[Text, Node] = {}
        own: dict[Text, Node] = {}
        first: dict[str, Position] = {}
        while not self.loader.check_event(yaml.MappingEndEvent):
            key = self.key(depth)
            value = self.node(depth + 1)
            if key in first:
                self.mistakes.add(
                    key.position, f"the key {quoted(key)} appears twice", f"first on line {first[key].line}"
                )
            elif key == "<<" and not key.style:
                merged = self.merged(value, key)
            else:
                own[key] = value
            first.setdefault(key, key.position)
        return {**{key: value for key, value in merged.items() if key not in own}, **own}

    def key(self, depth: int) -> Text:
        place = _position(self.next().start_mark)
        key = self.node(depth + 1)
        if not isinstance(key, Text):
            self.mistakes.stop(place, f"a key must be a text, not a {shape(key)}".replace("a nothing", "nothing"))
        return key

    def merged(self, value: Node, key: Text) -> dict[Text, Node]:
        entries: dict[Text, Node] = {}
        for source in value if isinstance(value, Items) else [value]:
            if not isinstance(source, Entries):
                self.mistakes.add(key.position, "`<<` takes a mapping or a list of mappings")
                continue
            for name, node in source.items():
                entries.setdefault(name, node)
        return entries
