"""What interventions found: what each switch did to the bad cell, repeated and reversed, and what may be said of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.investigate.told import Told

if TYPE_CHECKING:
    from runner.investigate.evidence import Evidence
    from runner.investigate.question import Combination
    from runner.investigate.told import Ending


class Standing(enum.StrEnum):
    """What may be said of a switch; the order is that of an account."""

    CAUSED_BY = "caused by"
    """It turned the bad cell good, on, off and on again, and its reverse broke the good cell, where that can be."""
    GOES_WITH = "goes with"
    """It turned the bad cell good, but its reverse left the good cell good, or repeating it was not conclusive."""
    NO_EFFECT = "does not matter"
    """The bad cell stays bad with it."""
    AMBIGUOUS = "can't be told"
    """Its seeds disagree."""
    BREAKS = "fails otherwise"
    """The bad cell fails with it in another way than without it, so that nothing can be told."""
    NOT_APPLICABLE = "changed nothing here"
    """It does not apply to the bad cell, or the script can't be put to the test with it."""
    UNTRIED = "not tried"
    """The budget ended first."""


@dataclass(frozen=True, kw_only=True)
class Switching:
    """One switch as it can be tried: the bad cell with it, and the good cell with the switch that does the reverse."""

    name: str
    breadth: int
    """How much it changes, from 1 to 9: of several that flip the outcome the one of least breadth is the narrowest."""
    on: Combination
    does: str = ""
    """What is different with it, in words."""
    how: str = ""
    """The call or setting that makes the difference."""
    reverse_name: str = ""
    reverse: Combination | None = None
    """None: nothing turns it the other way."""
    unless: frozenset[str] = frozenset()
    """Names of narrower switches: where one of them flips the outcome, this one is not tried."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One switch with what came of it."""

    switching: Switching
    standing: Standing
    on: Told
    """The bad cell with it."""
    evidence: Evidence | None
    reverse: Told | None = None
    """The good cell with its reverse; None: not asked, or nothing to ask."""
    reverse_evidence: Evidence | None = None
    repeated: bool = False
    """Whether it was tried on, off and on again, each time with the same end."""

    @property
    def turned(self) -> bool:
        """Whether its reverse broke the good cell: of two that are as narrow that one comes first."""
        return self.reverse is Told.BAD


@dataclass(frozen=True, kw_only=True)
class Interventions:
    """All switches, those that matter first, narrowest first."""

    tested: tuple[Tested, ...]
    good: Evidence | None
    bad: Evidence | None
    ending: Ending
    trials: int

    @property
    def narrowest(self) -> Tested | None:
        """The narrowest switch of the strongest standing that any has; None where no switch flips the outcome."""
        found = [one for one in self.tested if one.standing in {Standing.CAUSED_BY, Standing.GOES_WITH}]
        return found[0] if found else None

    def of(self, standing: Standing) -> tuple[Tested, ...]:
        """The switches of one standing."""
        return tuple(one for one in self.tested if one.standing is standing)
