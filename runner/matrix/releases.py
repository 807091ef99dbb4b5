"""Holds a matrix against the package index: which of its versions do not exist, and which existing ones are nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import Mistake
from runner.matrix.mistakes import nearest, quoted
from runner.matrix.model import RESERVED_AXES, AxisKind, Position
from runner.matrix.versions import parsed, same_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runner.matrix.model import Matrix


def missing_versions(matrix: Matrix, releases: Callable[[str], Collection[str] | None]) -> list[Mistake]:
    """One mistake for each version that does not exist, and one for each package that the index does not know.

    `releases` gives all versions of a package, None where the index does not know it; it is asked once per package.
    """
    mistakes = []
    known: dict[str, Collection[str] | None] = {}
    for package, version, place in _versions(matrix):
        if package not in known:
            known[package] = releases(package)
            if known[package] is None:
                names = [axis.name for axis in matrix.axes if axis.name != package]
                meant = nearest(package, [*names, *sorted(RESERVED_AXES)])
                hint = meant if meant.startswith("did you mean") else ""
                mistakes.append(_mistake(matrix, place, f"the package index knows no package {quoted(package)}", hint))
        existing = known[package]
        if existing is not None and not any(version == own or same_version(version, own) for own in existing):
            hint = f"nearest: {', '.join(_neighbours(version, existing))}" if existing else "it has no releases"
            mistakes.append(_mistake(matrix, place, f"{package} {version} does not exist", hint))
    return mistakes


def _versions(matrix: Matrix) -> Iterator[tuple[str, str, Position]]:
    for axis in matrix.axes:
        if axis.kind is AxisKind.PACKAGE:
            for value in axis.values:
                yield axis.name, value.text, value.position
    for include in matrix.include:
        for name, version in include.values.items():
            if name not in RESERVED_AXES:
                yield name, version, include.positions.get(name, include.position)


def _neighbours(version: str, existing: Collection[str]) -> list[str]:
    """Up to two releases on each side of a version; pre-releases only where it is one or there is nothing else."""
    wanted = parsed(version)
    ordered = sorted((release, text) for text in existing if (release := parsed(text)) is not None)
    if wanted is None:
        return [text for _, text in ordered[-3:]]
    final = [pair for pair in ordered if not pair[0].is_prerelease]
    ordered = final if final and not wanted.is_prerelease else ordered
    below = [text for release, text in ordered if release < wanted]
    above = [text for release, text in ordered if release > wanted]
    return below[-2:] + above[:2]


def _mistake(matrix: Matrix, place: Position, message: str, hint: str) -> Mistake:
    return Mistake(file=matrix.path, line=place.line, column=place.column, message=message, hint=hint)
