"""A matrix with ranges, `latest` or `era` + what the package index has → the same matrix with concrete versions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.matrix.checks import check_cells, check_values
from runner.matrix.eras import LONGEST_WAIT_DAYS, accepted, of_the_era
from runner.matrix.mistakes import Mistakes, RefusedError
from runner.matrix.model import AxisValue, Became
from runner.matrix.releases import missing_version, unknown_package
from runner.matrix.rules import Era
from runner.matrix.selection import versions_of
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.version import Version

    from runner.matrix.model import Axis, Matrix, Position
    from runner.matrix.releases import Published, Releases
    from runner.matrix.rules import Latest, Range

_SHOWN = 5


def settle(matrix: Matrix, releases: Releases) -> Matrix:
    """The matrix with the versions that its rules mean now; `releases` is asked once per package, and only if needed.

    Raises MatrixError with every mistake that shows only now: an empty range, a package that the index does not know,
    a TensorFlow without a Keras of its era, values and cells that turn out not to be there.
    """
    if matrix.settled:
        return matrix
    mistakes = Mistakes(matrix.path)
    settler = _Settler(matrix=matrix, releases=releases, mistakes=mistakes)
    settled = replace(matrix, axes=tuple(settler.axes()), became=tuple(settler.became))
    mistakes.raise_any()
    for check in (check_values, check_cells):
        check(settled, mistakes)
        mistakes.raise_any()
    return settled


@dataclass(kw_only=True)
class _Settler:
    """Settles the axes of one matrix, the base before those that `era` pairs with it; notes mistakes."""

    matrix: Matrix
    releases: Releases
    mistakes: Mistakes
    became: list[Became] = field(default_factory=list)
    known: dict[str, Sequence[Published] | None] = field(default_factory=dict)
    """What was asked of the index."""

    def axes(self) -> Iterator[Axis]:
        """The axes with concrete values; where a rule gives none, that is noted."""
        base = self.matrix.base
        for axis in self.matrix.axes:
            settled = axis if axis.settled else self._axis(axis, base)
            base = settled if axis.name == base.name else base
            yield settled

    def _axis(self, axis: Axis, base: Axis) -> Axis:
        made = (one for value in axis.values for one in self._made(axis, value, base))
        return replace(axis, values=_merged(made))

    def _made(self, axis: Axis, value: AxisValue, base: Axis) -> list[AxisValue]:
        """The concrete values that one written value becomes."""
        if value.rule is None:
            return [value]
        if isinstance(value.rule, Era):
            made = self._of_the_era(axis, value, base)
        else:
            made = self._chosen(axis, value, value.rule)
        versions = tuple(dict.fromkeys(one.text for one in made))
        self.became.append(Became(axis=axis.name, written=value.text, versions=versions))
        return made

    def _chosen(self, axis: Axis, value: AxisValue, rule: Range | Latest) -> list[AxisValue]:
        releases = self._releases(axis.name, value.position)
        if releases is None:
            return []
        try:
            versions = versions_of(rule, axis.name, releases)
        except RefusedError as error:
            self.mistakes.refuse(error, value.position)
            return []
        return [AxisValue(text=str(version), position=value.position) for version in versions]

    def _of_the_era(self, axis: Axis, value: AxisValue, base: Axis) -> list[AxisValue]:
        """A value for each one of the base, with which alone it goes; those that have none are noted."""
        releases = self._releases(axis.name, value.position)
        if releases is None:
            return []
        made: list[AxisValue] = []
        without: list[Published] = []
        for own, published in self._published(base):
            found = of_the_era(axis.name, published, releases)
            if found is None:
                without.append(published)
            else:
                text, beside = str(found.version), frozenset({own.text})
                made.append(AxisValue(text=text, position=value.position, beside=beside))
        if without:
            self.mistakes.add(value.position, *_no_era(axis.name, base.name, without))
        return made

    def _published(self, base: Axis) -> Iterator[tuple[AxisValue, Published]]:
        """The values of the base with what the index has of them; what it lacks is noted."""
        releases = self._releases(base.name, base.position)
        by_version = {release.version: release for release in releases or ()}
        for value in base.values:
            version = parsed(value.text)
            if version in by_version:
                yield value, by_version[version]
            elif releases is not None:
                self.mistakes.add(value.position, *missing_version(base.name, value.text, releases))

    def _releases(self, package: str, place: Position) -> Sequence[Published] | None:
        if package not in self.known:
            self.known[package] = self.releases(package)
            if self.known[package] is None:
                self.mistakes.add(place, *unknown_package(self.matrix, package))
        return self.known[package]


def _merged(values: Iterable[AxisValue]) -> tuple[AxisValue, ...]:
    """The values without those that come again; one that `era` did not make goes with every value of the base."""
    found: dict[Version | str, AxisValue] = {}
    for value in values:
        meaning = parsed(value.text) or value.text
        twin = found.get(meaning, value)
        if twin.beside is None or value.beside is None:
            found[meaning] = twin if twin.beside is None else value
        else:
            found[meaning] = replace(twin, beside=twin.beside | value.beside)
    return tuple(found.values())


def _no_era(package: str, base: str, without: Sequence[Published]) -> tuple[str, str]:
    """Message and hint for values of the base that have no release of their era."""
    shown = ", ".join(str(published.version) for published in without[:_SHOWN])
    more = f" and {len(without) - _SHOWN} more" if len(without) > _SHOWN else ""
    first = without[0]
    wanted = f"{package}{accepted(package, first.version)}, final and out within {LONGEST_WAIT_DAYS} days"
    return f"there is no {package} of the era of {base} {shown}{more}", f"{first.version} goes with {wanted}"
