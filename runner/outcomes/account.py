"""The account of an investigation as frozen models: why two cells differ, with every experiment it rests on.

Made by `explain`, kept beside the records, part of `results.json`; a page and the terminal's words come from it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.errors import UsageError
from runner.trials.record import Number  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "accounts"
"""Where accounts are kept, beside the records."""
Told = Literal["good", "bad", "ambiguous", "untestable", "untold"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Frozen):
    """The trials of one combination; every count is of distinct observations."""

    good: int = 0
    bad: int = 0
    """That failed by the fault that is looked for."""
    other: int = 0
    """That failed otherwise."""
    trials: int = 0
    """How many ran."""
    certain: bool = False
    """Whether chance plays no part."""
    reason: str = ""
    """Why it can't be put to the test; empty where it can."""


class Side(_Frozen):
    """One of the two cells."""

    values: dict[str, str]
    outcome: str
    converged: int
    counted: int
    finals: tuple[Number, ...] = ()
    """What the trials that ended in order came to, in the metric's own units."""


class Factor(_Frozen):
    """One thing in which the two cells differ; None: a package that is not there."""

    name: str
    good: str | None
    bad: str | None


class Tried(_Frozen):
    """One combination that was tried."""

    values: dict[str, str | None]
    told: Told
    counts: Counts


class Cause(_Frozen):
    """A smallest set of changes that turns the good cell bad."""

    factors: tuple[Factor, ...]
    coupled: tuple[str, ...] = ()
    """Those of which it can't be told whether they are needed: they move together with the others."""
    bystanders: tuple[str, ...] = ()
    """Those that only look guilty: what they bring along does it without them."""
    brought: tuple[str, ...] = ()
    """The packages that moving the set brought along, where they were asked about one by one."""
    without: Told
    """What all other changes come to without these."""
    probability: float
    components: tuple[Cause, ...] = ()
    """What in the environments does it, where moving the set brought other packages along."""


class Flip(_Frozen):
    """A step at which the outcome flips; places count from 0."""

    before: int
    after: int
    breaks: bool
    probability: float


class Bisection(_Frozen):
    """One axis that was walked from its good to its bad value."""

    axis: str
    places: tuple[Tried, ...]
    flips: tuple[Flip, ...]
    probability: float
    ending: str
    trials: int
    decisions: int
    """How many places were asked for trials."""


class Switch(_Frozen):
    """One intervention: what was changed in the bad cell, and what came of it."""

    name: str
    does: str
    how: str
    breadth: int
    standing: str
    on: Counts
    reverse: str = ""
    """The switch that does the opposite; empty: none that applies."""
    reversed: Told | None = None
    """The good cell with it."""
    reversed_counts: Counts | None = None
    repeated: bool = False
    off: Counts | None = None
    """The bad cell without it, where it was repeated; trials that ran before it was tried count too."""


class Seen(_Frozen):
    """What a cell's own objects say of a name."""

    where: str
    """The object that has it, or should."""
    there: bool
    said: str = ""
    """In the package's own words; empty where it says nothing."""
    near: tuple[str, ...] = ()
    """Names that are alike."""


class Removed(_Frozen):
    """What the bad cell's failure says is not there."""

    kind: str
    """attribute or argument."""
    owner: str
    name: str
    good: Seen | None = None
    bad: Seen | None = None


class Trace(_Frozen):
    """Where the two first differ, from the same weights on and with the same batches."""

    sentence: str
    """Empty where they could not be compared."""
    step: int
    """The first step that differs; 0 where none does."""
    recorded: int
    """How many steps were compared."""
    last: int
    """The last of them."""
    notes: tuple[str, ...] = ()


class Walk(_Frozen):
    """A bisection that was asked for by itself."""

    bisection: Bisection
    shared: dict[str, str]
    """The other axis values of all its places."""
    telling: str
    sentence: str
    trials: int
    seconds: float


class Account(_Frozen):
    """Why two cells differ. It says no more than its experiments show."""

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
    """What is called good and bad."""
    fault: str
    real: bool
    comparison: str
    """Effect and p value, in words."""
    p: float | None = None
    causes: tuple[Cause, ...] = ()
    tried: tuple[Tried, ...] = ()
    bisections: tuple[Bisection, ...] = ()
    pair: tuple[dict[str, str], dict[str, str]] | None = None
    """The cells that interventions and the trace ran on."""
    removed: Removed | None = None
    switches: tuple[Switch, ...] = ()
    trace: Trace | None = None
    sentences: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    """What remains unknown."""
    trials: int
    """How many trials ran for this account; what was recorded before cost nothing."""
    rests_on: int = 0
    """How many trials all of it rests on, recorded ones too; those of the trace are not among them."""
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
