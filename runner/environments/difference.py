"""What two locks differ in: CPython, times and packages, each change once and in the order of names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from runner.environments.model import Lock, LockedPackage


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """A package that both locks have, in another version, in another layer or of other files."""

    one: LockedPackage
    other: LockedPackage

    @property
    def name(self) -> str:
        """The package."""
        return self.one.name

    @property
    def what(self) -> tuple[str, ...]:
        """What of it differs: of `version`, `layer` and `files` those that do; other files come with a version."""
        same_version = self.one.version == self.other.version
        differs = {
            "version": not same_version,
            "layer": self.one.layer is not self.other.layer,
            "files": same_version and sorted(self.one.hashes) != sorted(self.other.hashes),
        }
        return tuple(name for name, is_so in differs.items() if is_so)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExemptionChange:
    """A package that may be newer in one lock only, or up to another time; None where it is not exempt."""

    name: str
    one: datetime | None
    other: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What differs from `one` lock to the `other`. False where nothing that is installed differs."""

    python: tuple[str, str] | None
    """The CPython of both where it differs."""
    as_of: tuple[datetime | None, datetime | None] | None
    """The end of the time that the resolver could see, of both, where it differs; None within: it saw all."""
    exemptions: tuple[ExemptionChange, ...]
    added: tuple[LockedPackage, ...]
    """What the other has and the one has not."""
    removed: tuple[LockedPackage, ...]
    changed: tuple[PackageChange, ...]

    def __bool__(self) -> bool:
        return bool(self.python or self.added or self.removed or self.changed)


def difference(one: Lock, other: Lock) -> Difference:
    """What two locks differ in. How they came about (axes, requirements, resolver) is not compared."""
    mine, theirs = ({package.name: package for package in lock.packages} for lock in (one, other))
    both = (PackageChange(one=mine[name], other=theirs[name]) for name in sorted(mine.keys() & theirs.keys()))
    return Difference(
        python=(one.python, other.python) if one.python != other.python else None,
        as_of=(one.as_of, other.as_of) if one.as_of != other.as_of else None,
        exemptions=tuple(_exemptions(one, other)),
        added=tuple(theirs[name] for name in sorted(theirs.keys() - mine.keys())),
        removed=tuple(mine[name] for name in sorted(mine.keys() - theirs.keys())),
        changed=tuple(change for change in both if change.what),
    )


def _exemptions(one: Lock, other: Lock) -> list[ExemptionChange]:
    mine, theirs = dict(one.exemptions), dict(other.exemptions)
    changes = (
        ExemptionChange(name=name, one=mine.get(name), other=theirs.get(name))
        for name in sorted(mine.keys() | theirs.keys())
    )
    return [change for change in changes if change.one != change.other]
