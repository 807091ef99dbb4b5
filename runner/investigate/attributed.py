"""What an attribution found: the smallest sets of changes that turn the good cell bad, and how each was tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.investigate.told import Told

if TYPE_CHECKING:
    from runner.investigate.evidence import Evidence
    from runner.investigate.question import Combination
    from runner.investigate.told import Ending


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One thing in which the bad cell differs from the good one: an axis, or a package that their locks hold."""

    name: str
    good: str | None
    """Its value in the good cell; None: a package that is not installed there."""
    bad: str | None
    pinned: bool = False
    """Whether it is a package to be pinned, not an axis of the matrix."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One combination that was tried: which factors had their bad value, and what came of it."""

    moved: frozenset[str]
    combination: Combination
    told: Told
    evidence: Evidence | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A smallest set of factors that, moved together, turn the good cell bad."""

    factors: tuple[str, ...]
    needed: tuple[str, ...]
    """Those without which the others of the set leave the cell good."""
    coupled: tuple[str, ...]
    """Those of which that can't be told, because the others can't be tried without them: they move together."""
    without: Told
    """What all other factors come to, moved without these; good where there is no other cause."""
    probability: float
    """That all decisions are right which the set rests on, each by its own trials (`chance`)."""
    components: Attribution | None = None
    """Where moving the set brought other packages along: the same question, asked of each of them by itself."""

    @property
    def bystanders(self) -> tuple[str, ...]:
        """The factors that only look guilty: what they bring along does it without them."""
        if self.components is None or not self.components.causes:
            return ()
        guilty = {name for cause in self.components.causes for name in cause.factors}
        return tuple(name for name in self.factors if name not in guilty)


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """All that was found between a good and a bad cell."""

    good: Told
    """What the good cell turned out to be: unless good, there is nothing to attribute."""
    bad: Told
    """What the bad cell turned out to be."""
    factors: tuple[Factor, ...]
    causes: tuple[Cause, ...]
    """In the order in which they were found; sets of one first."""
    complete: bool
    """Whether these are all smallest sets, provided that moving more never heals; else there may be others."""
    fault: str | None
    """What counts as bad."""
    tried: tuple[Tried, ...]
    ending: Ending
    trials: int
    """How many trials ran for this search, components included; recorded ones cost nothing."""

    @property
    def alone(self) -> dict[str, Told]:
        """What each factor does when it moves alone, of those that were tried so."""
        return {next(iter(one.moved)): one.told for one in self.tried if len(one.moved) == 1}

    @property
    def narrowest(self) -> frozenset[str]:
        """The smallest set that was tried and is bad: how far a search came whose budget ended before a cause."""
        bad = [one.moved for one in self.tried if one.told is Told.BAD]
        return min(bad, key=len, default=frozenset())
