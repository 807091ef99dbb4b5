"""What a bisection found: every flip along the axis, what could not be told, how sure it is and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.investigate.evidence import Evidence
    from runner.investigate.question import Combination
    from runner.investigate.told import Ending, Told


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of the axis."""

    combination: Combination
    told: Told
    evidence: Evidence | None
    """None: never tried; what is told of it follows from its neighbours."""


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A step at which the outcome flips, in the direction of the axis; the places are indices into it."""

    before: int
    after: int
    breaks: bool
    """Whether it goes from good to bad; else from bad to good."""
    probability: float
    """That both sides of the step are what they are called."""

    @property
    def good(self) -> int:
        """The good side: of a flip that breaks the last good place."""
        return self.before if self.breaks else self.after

    @property
    def bad(self) -> int:
        """The bad side: of a flip that breaks the first bad place."""
        return self.after if self.breaks else self.before

    @property
    def between(self) -> range:
        """The places between the two sides, of which nothing can be told; empty where the step is exact."""
        return range(self.before + 1, self.after)


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """All that was found along an axis."""

    places: tuple[Place, ...]
    flips: tuple[Flip, ...]
    fault: str | None
    """What counts as bad; None: any failure."""
    probability: float
    """That all that is told good and bad is so: then these are all flips, and each is where it is said to be.

    Before any trial 0, 1 and 2 flips are taken to be equally likely, and 15 % of all cells to be flaky (`Chain`,
    `chance`); a span of other outcomes that hides between places that were tried is part of the doubt.
    """
    ending: Ending
    trials: int
    """How many trials ran for this search; recorded ones cost nothing."""
    asked: int
    """How many places were asked for trials."""

    @property
    def recorded(self) -> int:
        """How many trials all that is known of the axis rests on."""
        return sum(place.evidence.trials for place in self.places if place.evidence is not None)
