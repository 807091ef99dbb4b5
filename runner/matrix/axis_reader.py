"""The sections that speak of axes → values of the model: `axes:`, `include:`, `exclude:`, matches in `expect:`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.matrix.axes import RESERVED_AXES, AxisKind, axis_kind, axis_name, canonical, check, same_value
from runner.matrix.declaration import RangeSection
from runner.matrix.mistakes import Position, RefusedError, nearest, quoted
from runner.matrix.model import Axis, AxisValue, Partial
from runner.matrix.nodes import Text
from runner.matrix.releases import VersionRange, read_rule
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.version import Version

    from runner.matrix.mistakes import Mistakes
    from runner.matrix.releases import Rule

    Written = Text | dict[Text, Text]
    """One axis value as it was written; the mapping is a set of environment variables."""


@dataclass(kw_only=True)
class AxisReader:
    """Reads what a matrix says of axes, and notes mistakes. `left_out` names what had the wrong shape."""

    folder: Path
    mistakes: Mistakes
    left_out: frozenset[str]
    known: dict[str, list[str] | None] = field(default_factory=dict)
    """The values of each axis read so far; None for one with rules, or with values that could not be read."""

    @property
    def all_known(self) -> bool:
        """True where every axis and every value was readable, and none is a rule."""
        return not any(name.startswith("axes") for name in self.left_out) and None not in self.known.values()

    def axes(self, written: Mapping[Text, tuple[Written | RangeSection, ...]]) -> tuple[Axis, ...]:
        """The axes in the order of the file; values with a mistake are in them too, so that matches find them."""
        axes = []
        for key, node in written.items():
            name = self._name(key)
            if name is None:
                continue
            if name in self.known:
                self.mistakes.add(
                    key.position, f"the axis {quoted(name)} appears twice", "names are compared as PEP 503 says"
                )
                continue
            values = [self._value(name, key, item) for item in node]
            read = [value for value in values if value is not None]
            concrete = len(read) == len(values) and all(value.rule is None for value in read)
            self.known[name] = [value.text for value in read] if concrete else None
            unique = tuple(self._without_twins(name, read))
            axes.append(Axis(name=name, kind=axis_kind(name), values=unique, position=key.position))
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

    def require_axis(self, word: str) -> str:
        """The name of the axis that a word means. Raises RefusedError where there is none, naming the nearest."""
        name = axis_name(word)
        if name not in self.known and not any(left in {"axes", f"axes.{word}"} for left in self.left_out):
            raise RefusedError(f"there is no axis {quoted(word)}", nearest(name, self.known))
        return name

    def _name(self, key: Text) -> str | None:
        try:
            return axis_name(key)
        except RefusedError as error:
            self.mistakes.refuse(error, key.position)
            return None

    def _value(self, name: str, key: Text, node: Written | RangeSection) -> AxisValue | None:
        """One value of an axis, None where it has no meaning; the mistake is noted."""
        if isinstance(node, RangeSection):
            found = VersionRange(specifiers=str(node.range), every=node.every, prereleases=node.prereleases)
            return AxisValue(text=str(found), position=node.range.position, rule=found)
        place = _place_of(node, key)
        package = axis_kind(name) is AxisKind.PACKAGE
        rule = read_rule(node) if package and isinstance(node, Text) else None
        text = self._checked(name, key, node) if rule is None else str(rule)
        return None if text is None else AxisValue(text=text, position=place, rule=rule)

    def _without_twins(self, name: str, values: Iterable[AxisValue]) -> Iterator[AxisValue]:
        seen: dict[str | Version | Rule, str] = {}
        for value in values:
            version = parsed(value.text) if axis_kind(name) is AxisKind.PACKAGE else None
            meaning = value.rule or version or value.text
            if meaning not in seen:
                seen[meaning] = value.text
                yield value
                continue
            twin = seen[meaning]
            same = "" if twin == value.text else f", the same release as {quoted(twin)}"
            self.mistakes.add(value.position, f"the axis {quoted(name)} has the value {quoted(value.text)} twice{same}")

    def _checked(self, name: str, key: Text, node: Written) -> str | None:
        """The canonical text of a concrete value; a mistake is noted, None is given where there is no text at all."""
        kind = axis_kind(name)
        text: str | None = None
        try:
            text = canonical(kind, node)
            check(kind, text, self.folder)
        except RefusedError as error:
            meant = nearest(name, RESERVED_AXES) if kind is AxisKind.PACKAGE and "PEP 440" in error.message else ""
            hint = f"{error.hint}; or {meant}" if meant.startswith("did you mean") else error.hint
            self.mistakes.add(error.position or _place_of(node, key), f"{name}: {error.message}", hint)
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
        try:
            name = self.require_axis(key)
        except RefusedError as error:
            self.mistakes.refuse(error, key.position)
            return None
        try:
            text = canonical(axis_kind(name), node)
        except RefusedError as error:
            self.mistakes.refuse(error, _place_of(node, key), name)
            return None
        texts = self.known.get(name)
        if texts is not None:
            try:
                require_value(name, text, texts)
            except RefusedError as error:
                self.mistakes.refuse(error, _place_of(node, key))
                return None
        return name, text


def require_value(axis: str, text: str, texts: Iterable[str]) -> None:
    """Raise RefusedError where a text is none of an axis's values, naming the nearest."""
    own = list(texts)
    if not any(same_value(axis, value, text) for value in own):
        raise RefusedError(f"the axis {quoted(axis)} has no value {quoted(text)}", nearest(text, own))


def _place_of(node: Written | Mapping[Text, Written], key: Text | None = None) -> Position:
    """The position of a value; a mapping stands where its first key does, an empty one where `key` does."""
    if isinstance(node, Text):
        return node.position
    first = next(iter(node), key)
    return first.position if first is not None else Position(line=1, column=1)
