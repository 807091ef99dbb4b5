"""What the matrix asks of the package index, behind a function, and which versions it names that the index lacks.

Asked only when something must be resolved, or when a matrix has ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runner.errors import Mistake
from runner.matrix.mistakes import nearest, quoted
from runner.matrix.model import RESERVED_AXES, AxisKind
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from packaging.version import Version

    from runner.matrix.model import Matrix, Position

    Releases = Callable[[str], Sequence["Published"] | None]
    """All releases of a package; None where the index does not know it."""


class Published(Protocol):
    """One release of a package on the index."""

    @property
    def version(self) -> Version:
        """Its version."""

    @property
    def uploaded(self) -> datetime:
        """When it came out, with a time zone."""

    @property
    def yanked(self) -> bool:
        """Whether it was taken back."""


def missing_versions(matrix: Matrix, releases: Releases) -> list[Mistake]:
    """One mistake for each version that does not exist, and one for each package that the index does not know.

    For a settled matrix; `releases` is asked once per package.
    """
    mistakes = []
    known: dict[str, Sequence[Published] | None] = {}
    for package, version, place in _versions(matrix):
        if package not in known:
            known[package] = releases(package)
            if known[package] is None:
                mistakes.append(_mistake(matrix, place, *unknown_package(matrix, package)))
        existing = known[package]
        if existing is not None and all(parsed(version) != release.version for release in existing):
            mistakes.append(_mistake(matrix, place, *missing_version(package, version, existing)))
    return mistakes


def unknown_package(matrix: Matrix, package: str) -> tuple[str, str]:
    """Message and hint for a package axis that the index does not know."""
    names = [axis.name for axis in matrix.axes if axis.name != package]
    meant = nearest(package, [*names, *sorted(RESERVED_AXES)])
    return f"the package index knows no package {quoted(package)}", meant if meant.startswith("did you mean") else ""


def missing_version(package: str, version: str, existing: Collection[Published]) -> tuple[str, str]:
    """Message and hint for a version that is not among the existing releases."""
    wanted = parsed(version)
    near = ", ".join(neighbours(wanted, existing)) if wanted else ""
    return f"{package} {version} does not exist", f"nearest: {near}" if near else "it has no releases"


def neighbours(wanted: Version, existing: Collection[Published]) -> list[str]:
    """Up to two releases on each side of a version; pre-releases only where it is one or there is nothing else."""
    ordered = sorted(release.version for release in existing if not release.yanked)
    final = [version for version in ordered if not version.is_prerelease]
    ordered = final if final and not wanted.is_prerelease else ordered
    below = [str(version) for version in ordered if version < wanted]
    above = [str(version) for version in ordered if version > wanted]
    return below[-2:] + above[:2]


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
