"""The account of an investigation as frozen models: why two cells differ, with every experiment it rests on.

The searches of `investigate` return its parts, `explain` puts them together. It is kept beside the records and is part
of `results.json`; the page and the terminal draw it and add nothing.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PlainSerializer, ValidationError

from runner.check.findings import FindingKind
from runner.errors import UsageError
from runner.outcomes.tried_fix import Fix, StoredModel
from runner.trials.record import Number, Whole  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from runner.own_folder import OwnFolder

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
    """It turned the bad cell good, on, off and on again; and its reverse broke the good cell, or what it sets was seen
    to differ between the two cells."""
    WAY_ROUND = "a way round"
    """It turned the bad cell good, on, off and on again; it is not shown that what it changes makes the difference."""
    GOES_WITH = "goes with"
    """It turned the bad cell good, but its reverse left the good cell good, or repeating it was not conclusive."""
    PARTIAL = "moves some"
    """With it more trials of the bad cell pass than without, and not all."""
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


class Counts(StoredModel):
    """The trials of one combination; every count is of distinct observations."""

    good: Whole = 0
    bad: Whole = 0
    """Trials that failed by the fault in question."""
    other: Whole = 0
    """Trials that failed in another way."""
    trials: Whole = 0
    """Trials that ran."""
    certain: bool = False
    """True where chance plays no part."""
    reason: str = ""
    """Why it can't be put to the test; empty where it can."""


class Side(StoredModel):
    """One of the two cells."""

    values: dict[str, str]
    outcome: str
    converged: Whole
    counted: Whole
    finals: tuple[Number, ...] = ()
    """The final values of the trials that ended in order, in the metric's own units."""


class Factor(StoredModel):
    """One thing in which the two cells differ: an axis, or a package that their locks hold."""

    name: str
    good: str | None
    """Its value in the good cell; None: a package that is not installed there."""
    bad: str | None
    pinned: bool = Field(default=False, exclude=True)
    """True where it is a package to be pinned, not an axis of the matrix; not stored."""


class Tried(StoredModel):
    """One combination that was tried, with the decision about it."""

    values: dict[str, str | None]
    told: Decision
    counts: Counts


class Cause(StoredModel):
    """A smallest set of factors that, moved together, turn the good cell bad."""

    factors: tuple[Factor, ...]
    coupled: tuple[str, ...] = ()
    """Those that may or may not be needed: the others can't be tried without them, so they move together."""
    bystanders: tuple[str, ...] = ()
    """Those that only look guilty: the packages that they bring along do it without them."""
    inseparable: str = ""
    """Why those packages can't be had with the bystanders' good values, in the resolver's words; empty where they can,
    or that was not asked."""
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


class Flip(StoredModel):
    """A step at which the outcome flips, in the direction of the axis; places count from 0."""

    before: Whole
    after: Whole
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


class Bisection(StoredModel):
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
    trials: Whole
    """Trials that ran for this search; recorded ones cost nothing."""
    decisions: Whole
    """Places that were asked for trials."""
    fault: str | None = Field(default=None, exclude=True)
    """The fault that counts as bad; None: any failure. Not stored."""

    @property
    def recorded(self) -> int:
        """All trials that the bisection rests on, recorded ones too."""
        return sum(place.counts.trials for place in self.places)


class Share(StoredModel):
    """One part of a switch that is several made together, and what it does alone."""

    name: str
    does: str
    alone: Counts
    """The bad cell with it alone; without trials where it was not tried alone."""


class SwitchFinding(StoredModel):
    """One intervention: what was changed in the bad cell, and with which result."""

    name: str
    does: str
    how: str
    breadth: Whole
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
    parts: tuple[Share, ...] = ()
    """The switches that it is made of, each of them needed, where it is several together."""


class NameLookup(StoredModel):
    """The answer of a cell's own objects about a name."""

    where: str
    """Module and name of the object that has it, or should."""
    there: bool
    """True where an attribute is there, or an argument is in the signature."""
    said: str = ""
    """A notice that the name is deprecated or replaced, in the package's own words; empty where there is none."""
    near: tuple[str, ...] = ()
    """Similar names that the object has."""


class RemovedName(StoredModel):
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


class ForeseenChange(StoredModel):
    """A change between the two cells that concerns the script, as the history and the known changes say: not run."""

    kind: FindingKind
    path: str
    file: str
    line: Whole
    package: str
    since: str
    """The release of the border; empty where it is not known."""
    message: str
    certain: bool = True
    """False where it depends on values that only a run has."""
    instead: str = ""
    """What to write instead; empty where nobody knows."""

    @property
    def sure(self) -> bool:
        """True where it concerns the script for certain, and is more than another default."""
        return self.certain and self.kind is not FindingKind.CHANGES


class TraceFinding(StoredModel):
    """The first difference of two trainings, started from the same weights, with the same batches."""

    sentence: str
    """Empty where they could not be compared."""
    step: Whole
    """The first step that differs; 0 where none does."""
    recorded: Whole
    """The number of steps that were compared."""
    last: Whole
    """The last of them."""
    notes: tuple[str, ...] = ()
    given: bool = False
    """True where what the calls were given differs already, before the model."""

    @property
    def agrees(self) -> bool:
        """True where the two trainings agree over all steps that were compared."""
        return bool(self.recorded and not self.step and not self.given)


class Walk(StoredModel):
    """A bisection that was asked for by itself."""

    bisection: Bisection
    shared: dict[str, str]
    """The other axis values of all its places."""
    telling: str
    """When a trial passes: cells and releases are good where their trials do."""
    sentence: str
    trials: Whole
    seconds: float


class Account(StoredModel):
    """Why two cells differ: no more than its experiments show."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern="^[0-9a-f]{12}$")
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
    leveled: bool = False
    """True where both cells come to rest, at different levels, and that is what tells them apart."""
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
    foreseen: tuple[ForeseenChange, ...] = ()
    """What changes for the script between the two cells of `pair`, by what is known without running anything."""
    switches: tuple[SwitchFinding, ...] = ()
    spared: Whole = 0
    """The number of switches that were not tried, since the cause was proven by then, or lies before the model."""
    trace: TraceFinding | None = None
    sentences: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    """Questions that remain open."""
    fixes: tuple[Fix, ...] = ()
    """What may mend the bad cell, that which was seen to work first; empty where it was not asked."""
    advice: tuple[str, ...] = ()
    """What to do, in sentences that say no more than the fixes were seen to do."""
    trials: Whole
    """The number of trials that ran for this account; what was recorded before cost nothing."""
    rests_on: Whole = 0
    """The number of trials all of it rests on, recorded ones too; those of the trace are not among them."""
    seconds: float = Field(ge=0)
    ended: bool = False
    """True where the budget ended before all was asked."""
    cells: tuple[dict[str, str], ...] = ()
    """The cells of the matrix that it accounts for: they fail for this reason, behind the same step."""


def write_account(account: Account, folder: OwnFolder) -> None:
    """Keep an account in a folder, in place of an earlier one of the same question."""
    folder.write(f"{account.id}.json", f"{account.model_dump_json(indent=2)}\n".encode())


def read_accounts(folder: OwnFolder, matrix: str) -> tuple[Account, ...]:
    """The accounts of one matrix file in a folder, the oldest first. Raises UsageError for one that can't be read."""
    found = []
    for name in folder.names():
        try:
            found += [Account.model_validate_json(folder.read(name) or b"")] if name.endswith(".json") else []
        except ValidationError as error:
            place = folder.path / name
            raise UsageError(f"{place} can't be read; delete it, `explain` writes it again: {error}") from error
    ours = [one for one in found if one.matrix == matrix]
    return tuple(sorted(ours, key=lambda account: (account.made_at, account.id)))
