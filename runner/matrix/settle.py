"""A matrix with ranges, `latest` or `era` + what the package index has → the same matrix with concrete versions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.errors import Mistake
from runner.matrix.axes import RESERVED_AXES, AxisKind
from runner.matrix.matrix_file import check_cells, check_values
from runner.matrix.mistakes import Mistakes, RefusedError, nearest, quoted
from runner.matrix.model import AxisValue, Became
from runner.matrix.releases import (
    ERA_BASES,
    LONGEST_WAIT_DAYS,
    Era,
    accepted,
    neighbours,
    of_the_era,
    versions_of,
)
from runner.matrix.versions import in_range, parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from packaging.version import Version

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.mistakes import Position
    from runner.matrix.model import Axis
    from runner.matrix.releases import Latest, Published, Releases, VersionRange

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
    """The releases that the index was asked for."""

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

    def _chosen(self, axis: Axis, value: AxisValue, rule: VersionRange | Latest) -> list[AxisValue]:
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
            found = of_the_era(axis.name, base.name, published, releases)
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
    wanted = f"{package}{accepted(package, base, first.version)[0]}, final and out within {LONGEST_WAIT_DAYS} days"
    return f"there is no {package} of the era of {base} {shown}{more}", f"{first.version} goes with {wanted}"


def missing_versions(matrix: Matrix, releases: Releases) -> list[Mistake]:
    """One mistake for each version that does not exist, and one for each package that the index does not know.

    For a settled matrix; `releases` is asked once per package.
    """
    mistakes = []
    known: dict[str, Sequence[Published] | None] = {}
    for package, version, place in _versions(matrix):
        if is_given(matrix, package, version):
            continue
        if package not in known:
            known[package] = releases(package)
            if known[package] is None:
                mistakes.append(_mistake(matrix, place, *unknown_package(matrix, package)))
        existing = known[package]
        if existing is not None and all(parsed(version) != release.version for release in existing):
            mistakes.append(_mistake(matrix, place, *missing_version(package, version, existing)))
    return mistakes


def is_given(matrix: Matrix, package: str, version: str) -> bool:
    """True where `packages:` has a wheel file of a version of an axis: the index need not know it."""
    conditions = (condition for one in matrix.packages if one.name == package for condition in one.when)
    return any(one.axis == package and in_range(version, one.specifiers) for one in conditions)


def unknown_package(matrix: Matrix, package: str) -> tuple[str, str]:
    """Message and hint for a package axis that the index does not know."""
    names = [axis.name for axis in matrix.axes if axis.name != package]
    paired = {*ERA_BASES, *(base for bases in ERA_BASES.values() for base in bases)}
    known = () if package in paired else sorted(paired)
    meant = nearest(package, [*names, *known, *sorted(RESERVED_AXES)])
    return f"the package index has no package {quoted(package)}", meant if meant.startswith("did you mean") else ""


def missing_version(package: str, version: str, existing: Collection[Published]) -> tuple[str, str]:
    """Message and hint for a version that is not among the existing releases."""
    wanted = parsed(version)
    near = ", ".join(neighbours(wanted, existing)) if wanted else ""
    return f"{package} {version} does not exist", f"nearest: {near}" if near else "it has no releases"


def _versions(matrix: Matrix) -> Iterator[tuple[str, str, Position]]:
    for axis in matrix.axes:
        if axis.kind is AxisKind.PACKAGE:
            for value in axis.values:
                yield axis.name, value.text, value.position
    for include in matrix.include:
        for name, version in include.values.items():
            if name not in RESERVED_AXES:
                yield name, version, include.positions.get(name, include.position)


def _mistake(matrix: Matrix, place: Position, message: str, hint: str) -> Mistake:
    return Mistake(file=matrix.path, line=place.line, column=place.column, message=message, hint=hint)
