"""The sections that speak of axes → values of the model: `axes:`, `include:`, `exclude:`, matches in `expect:`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.model import RESERVED_AXES, Axis, AxisKind, AxisValue, Partial, Position, axis_kind, same_value
from runner.matrix.nodes import Text
from runner.matrix.values import axis_name, canonical, check
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from runner.matrix.mistakes import Mistakes

    Written = Text | dict[Text, Text]
    """One axis value as it was written; the mapping is a set of environment variables."""


@dataclass(kw_only=True)
class AxisReader:
    """Reads what a matrix says of axes, and notes mistakes. `left_out` names what had the wrong shape."""

    folder: Path
    mistakes: Mistakes
    left_out: frozenset[str]
    known: dict[str, list[str] | None] = field(default_factory=dict)
    """The values of each axis read so far; None for one of which some could not be read, so that any may be its own."""

    @property
    def all_known(self) -> bool:
        """Whether every axis and every value was readable."""
        return not any(name.startswith("axes") for name in self.left_out) and None not in self.known.values()

    def axes(self, written: Mapping[Text, Text | tuple[Written, ...] | dict[Text, Text]]) -> tuple[Axis, ...]:
        """The axes in the order of the file; values with a mistake are in them too, so that matches find them."""
        axes = []
        for key, node in written.items():
            name = self._name(key)
            if name is None:
                continue
            if name in self.known:
                self.mistakes.add(
                    key.position, f"the axis {quoted(name)} is there twice", "names are compared as PEP 503 says"
                )
                continue
            before = len(self.mistakes.found)
            values = self._values(name, key, node if isinstance(node, tuple) else (node,))
            readable = values or len(self.mistakes.found) == before
            self.known[name] = [value.text for value in values] if readable else None
            axes.append(Axis(name=name, kind=axis_kind(name), values=values, position=key.position))
        return tuple(axes)

    def includes(self, entries: Iterable[Mapping[Text, Written]]) -> tuple[Partial, ...]:
        """The entries of `include:`; their axes and values become known to what is read after them."""
        return tuple(self._include(entry) for entry in entries)

    def matches(self, entries: Iterable[Mapping[Text, Written]]) -> tuple[Partial, ...]:
        """Partial matches, as in `exclude:`; each axis and each value must be known."""
        return tuple(self.match(entry, _place_of(entry)) for entry in entries)

    def match(self, entry: Mapping[Text, Written], place: Position) -> Partial:
        """One partial match; what is mistaken in it is left out of it."""
        values, positions = {}, {}
        for key, node in entry.items():
            found = self._known_value(key, node)
            if found:
                name, text = found
                values[name] = text
                positions[name] = _place_of(node, key)
        return Partial(values=values, position=place, positions=positions)

    def _name(self, key: Text) -> str | None:
        try:
            return axis_name(key)
        except RefusedError as error:
            self.mistakes.add(key.position, error.message, error.hint)
            return None

    def _values(self, name: str, key: Text, nodes: Iterable[Written]) -> tuple[AxisValue, ...]:
        values: dict[str | Version, AxisValue] = {}
        for node in nodes:
            text = self._checked(name, key, node)
            place = _place_of(node, key)
            if text is None:
                continue
            meaning = (parsed(text) if axis_kind(name) is AxisKind.PACKAGE else None) or text
            if meaning in values:
                twin = values[meaning].text
                same = "" if twin == text else f", the same release as {quoted(twin)}"
                self.mistakes.add(place, f"the axis {quoted(name)} has the value {quoted(text)} twice{same}")
                continue
            values[meaning] = AxisValue(text=text, position=place)
        return tuple(values.values())

    def _checked(self, name: str, key: Text, node: Written) -> str | None:
        """The canonical text of a value; a mistake in it is noted, None is given where there is no text at all."""
        kind = axis_kind(name)
        text: str | None = None
        try:
            text = canonical(kind, node)
            check(kind, text, self.folder)
        except RefusedError as error:
            hint = error.hint
            if kind is AxisKind.PACKAGE and "PEP 440" in error.message:
                meant = nearest(name, RESERVED_AXES)
                hint = f"{hint}; or {meant}" if meant.startswith("did you mean") else hint
            self.mistakes.add(_place_of(node, key), f"{name}: {error.message}", hint)
        return text

    def _include(self, entry: Mapping[Text, Written]) -> Partial:
        values, positions = {}, {}
        for key, node in entry.items():
            name = self._name(key)
            text = self._checked(name, key, node) if name else None
            if name is None or text is None:
                continue
            values[name] = text
            positions[name] = _place_of(node, key)
            texts = self.known.setdefault(name, [])
            if texts is not None:
                texts.append(text)
        return Partial(values=values, position=_place_of(entry), positions=positions)

    def _known_value(self, key: Text, node: Written) -> tuple[str, str] | None:
        name = self._name(key)
        if name is None:
            return None
        if name not in self.known and not any(left in {"axes", f"axes.{key}"} for left in self.left_out):
            self.mistakes.add(key.position, f"there is no axis {quoted(key)}", nearest(name, self.known))
            return None
        try:
            text = canonical(axis_kind(name), node)
        except RefusedError as error:
            self.mistakes.add(_place_of(node, key), f"{name}: {error.message}", error.hint)
            return None
        texts = self.known.get(name)
        if texts is not None and not any(same_value(name, own, text) for own in texts):
            message = f"the axis {quoted(name)} has no value {quoted(text)}"
            self.mistakes.add(_place_of(node, key), message, nearest(text, texts))
            return None
        return name, text


def _place_of(node: Written | Mapping[Text, Written], key: Text | None = None) -> Position:
    """Where a value stands; a mapping stands where its first key does, an empty one where `key` does."""
    if isinstance(node, Text):
        return node.position
    first = next(iter(node), key)
    return first.position if first is not None else Position(line=1, column=1)
