"""The account of an investigation as frozen models: why two cells differ, with every experiment it rests on.

The searches of `investigate` return its parts, `explain` puts them together. It is kept beside the records and is part
of `results.json`; the page and the terminal draw it and add nothing.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from runner.errors import UsageError
from runner.trials.record import Number  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "accounts"
"""The folder of accounts, beside the records."""
Probability = Annotated[float, PlainSerializer(lambda value: round(value, 4))]
"""Stored with four digits."""


class Decision(enum.StrEnum):
    """The decision about one cell by its trials."""

    GOOD = "good"
    BAD = "bad"
    AMBIGUOUS = "ambiguous"
    """Its seeds disagree, or are too few, and no more can be had."""
    UNTESTABLE = "untestable"
    """It can't be put to the test, or fails by another fault."""
    UNDECIDED = "untold"
    """Too few trials: the budget ended first."""


class SearchEnding(enum.StrEnum):
    """Why a search ended."""

    SURE = "sure"
    """It is as sure as was asked."""
    BUDGET = "budget"
    """No trials were left."""
    EXHAUSTED = "exhausted"
    """No further trial would add anything."""


class SwitchStanding(enum.StrEnum):
    """The effect of a switch as its trials show it, in the order of an account."""

    CAUSED_BY = "caused by"
    """It turned the bad cell good, on, off and on again, and its reverse broke the good cell, where that can be."""
    GOES_WITH = "goes with"
    """It turned the bad cell good, but its reverse left the good cell good, or repeating it was not conclusive."""
    NO_EFFECT = "does not matter"
    """The bad cell stays bad with it."""
    AMBIGUOUS = "can't be told"
    """Its seeds disagree."""
    BREAKS = "fails otherwise"
    """The bad cell fails with it in another way than without it, which shows nothing."""
    NOT_APPLICABLE = "changed nothing here"
    """It does not apply to the bad cell, or the script can't be put to the test with it."""
    UNTRIED = "not tried"
    """The budget ended first."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Frozen):
    """The trials of one combination; every count is of distinct observations."""

    good: int = 0
    bad: int = 0
    """Trials that failed by the fault in question."""
    other: int = 0
    """Trials that failed in another way."""
    trials: int = 0
    """Trials that ran."""
    certain: bool = False
    """True where chance plays no part."""
    reason: str = ""
    """Why it can't be put to the test; empty where it can."""


class Side(_Frozen):
    """One of the two cells."""

    values: dict[str, str]
    outcome: str
    converged: int
    counted: int
    finals: tuple[Number, ...] = ()
    """The final values of the trials that ended in order, in the metric's own units."""


class Factor(_Frozen):
    """One thing in which the two cells differ: an axis, or a package that their locks hold."""

    name: str
    good: str | None
    """Its value in the good cell; None: a package that is not installed there."""
    bad: str | None
    pinned: bool = Field(default=False, exclude=True)
    """True where it is a package to be pinned, not an axis of the matrix; not stored."""


class Tried(_Frozen):
    """One combination that was tried, with the decision about it."""

    values: dict[str, str | None]
    told: Decision
    counts: Counts


class Cause(_Frozen):
    """A smallest set of factors that, moved together, turn the good cell bad."""

    factors: tuple[Factor, ...]
    coupled: tuple[str, ...] = ()
    """Those that may or may not be needed: the others can't be tried without them, so they move together."""
    bystanders: tuple[str, ...] = ()
    """Those that only look guilty: the packages that they bring along do it without them."""
    brought: tuple[str, ...] = ()
    """The packages that moving the set brought along, where each of them was tried by itself."""
    without: Decision
    """The decision about all other changes without these; good where there is no other cause."""
    probability: Probability
    """That all decisions are right on which the set rests, each by its own trials."""
    components: tuple[Cause, ...] = ()
    """The causes within the environments, where moving the set brought other packages along."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(factor.name for factor in self.factors)

    @property
    def needed(self) -> tuple[str, ...]:
        """The factors without which the others of the set leave the cell good."""
        return tuple(name for name in self.names if name not in self.coupled)


class Flip(_Frozen):
    """A step at which the outcome flips, in the direction of the axis; places count from 0."""

    before: int
    after: int
    breaks: bool
    """True where it goes from good to bad; else from bad to good."""
    probability: Probability
    """That the decisions about both sides are right."""

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
        """The undecided places between the two sides; empty where the step is exact."""
        return range(self.before + 1, self.after)


class Bisection(_Frozen):
    """One axis that was searched from its good to its bad value."""

    axis: str
    places: tuple[Tried, ...]
    """In the order of the axis; a place without trials is decided by its neighbours."""
    flips: tuple[Flip, ...]
    probability: Probability
    """That every place is what it is called: then these are all flips, and each is where it is said to be.

    Before any trial 0, 1 and 2 flips are taken to be equally likely, and 15 % of all cells to be flaky (`FlipChain`,
    `belief`); a span of other outcomes that hides between places that were tried is part of the doubt.
    """
    ending: SearchEnding
    trials: int
    """Trials that ran for this search; recorded ones cost nothing."""
    decisions: int
    """Places that were asked for trials."""
    fault: str | None = Field(default=None, exclude=True)
    """The fault that counts as bad; None: any failure. Not stored."""

    @property
    def recorded(self) -> int:
        """All trials that the bisection rests on, recorded ones too."""
        return sum(place.counts.trials for place in self.places)


class SwitchFinding(_Frozen):
    """One intervention: what was changed in the bad cell, and with which result."""

    name: str
    does: str
    how: str
    breadth: int
    standing: SwitchStanding
    on: Counts
    """The bad cell with it."""
    reverse: str = ""
    """The switch that does the opposite; empty: none that applies."""
    reversed: Decision | None = None
    """The good cell with its reverse; None: not tried."""
    reversed_counts: Counts | None = None
    repeated: bool = False
    """True where it was tried on, off and on again, each time with the same result."""
    off: Counts | None = None
    """The bad cell without it, where it was repeated; trials that ran before it was tried count too."""


class NameLookup(_Frozen):
    """The answer of a cell's own objects about a name."""

    where: str
    """Module and name of the object that has it, or should."""
    there: bool
    """True where an attribute is there, or an argument is in the signature."""
    said: str = ""
    """A notice that the name is deprecated or replaced, in the package's own words; empty where there is none."""
    near: tuple[str, ...] = ()
    """Similar names that the object has."""


class RemovedName(_Frozen):
    """The name that the bad cell's failure misses, looked up in both cells; None where its owner was not found."""

    kind: str
    """attribute or argument."""
    owner: str
    name: str
    good: NameLookup | None = None
    bad: NameLookup | None = None

    @property
    def package(self) -> str:
        """The import name of the package that the owner is from; empty where the owner was not found."""
        look = self.good or self.bad
        return re.split(r"\W", look.where, maxsplit=1)[0] if look else ""


class TraceFinding(_Frozen):
    """The first difference of two trainings, started from the same weights, with the same batches."""

    sentence: str
    """Empty where they could not be compared."""
    step: int
    """The first step that differs; 0 where none does."""
    recorded: int
    """The number of steps that were compared."""
    last: int
    """The last of them."""
    notes: tuple[str, ...] = ()


class Walk(_Frozen):
    """A bisection that was asked for by itself."""

    bisection: Bisection
    shared: dict[str, str]
    """The other axis values of all its places."""
    telling: str
    """When a trial passes: cells and releases are good where their trials do."""
    sentence: str
    trials: int
    seconds: float


class Account(_Frozen):
    """Why two cells differ: no more than its experiments show."""

    schema_version: Literal[1] = 1
    id: str
    """12 hex digits, of the question."""
    runner_version: str
    made_at: str
    """ISO 8601, UTC."""
    engine: str
    matrix: str
    """The name of the matrix file."""
    command: str
    good: Side
    bad: Side
    shared: dict[str, str]
    """The axis values that both have."""
    telling: str
    """When a trial passes: cells and releases are good where their trials do."""
    fault: str
    ending: bool = False
    """True where a trial fails by the way that it ends, the fault: with an exception, at a limit."""
    real: bool
    comparison: str
    """Effect and p value, in words."""
    p: float | None = None
    causes: tuple[Cause, ...] = ()
    tried: tuple[Tried, ...] = ()
    bisections: tuple[Bisection, ...] = ()
    pair: tuple[dict[str, str], dict[str, str]] | None = None
    """The cells that interventions and the trace ran on."""
    removed: RemovedName | None = None
    switches: tuple[SwitchFinding, ...] = ()
    trace: TraceFinding | None = None
    sentences: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    """Questions that remain open."""
    trials: int
    """The number of trials that ran for this account; what was recorded before cost nothing."""
    rests_on: int = 0
    """The number of trials all of it rests on, recorded ones too; those of the trace are not among them."""
    seconds: float = Field(ge=0)


def write_account(account: Account, folder: Path) -> Path:
    """Keep an account in a folder, in place of an earlier one of the same question."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{account.id}.json"
    path.write_text(account.model_dump_json(indent=2) + "\n", "utf-8")
    return path


def read_accounts(folder: Path, matrix: str) -> tuple[Account, ...]:
    """The accounts of one matrix file in a folder, the oldest first. Raises UsageError for one that can't be read."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found.append(Account.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            raise UsageError(f"{path} can't be read; delete it, `explain` writes it again: {error}") from error
    return tuple(
        sorted((one for one in found if one.matrix == matrix), key=lambda account: (account.made_at, account.id))
    )
