"""`results.json` as frozen models: all that a page or a table of the report is made from, in one versioned schema.

Made by `assembly`, written and read back by `result_file`; there its cells lack their trials until `Result.told`.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    model_validator,
)

from runner.matrix.cell_id import CellId
from runner.outcomes.account import Account  # noqa: TC001 - pydantic reads it
from runner.outcomes.outcome import Outcome, OutcomeKind
from runner.outcomes.predicted_change import PredictedChange  # noqa: TC001 - pydantic reads it
from runner.outcomes.tally import SEED_INSENSITIVE
from runner.outcomes.verdict import Label  # noqa: TC001 - pydantic reads it
from runner.trials.record import Count, Number, Whole  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA_VERSION: Literal[2] = 2
"""Version 1 had no description and nothing predicted; cells and failures did not name their accounts. It is read."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


CellKey = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
"""12 hex digits, the same in every report for the same axis values: the cell in names of files and addresses."""


OutcomeField = Annotated[
    Outcome,
    PlainValidator(lambda value: value if isinstance(value, Outcome) else Outcome.parse(str(value))),
    PlainSerializer(str, return_type=str),
]
"""An outcome that is text in JSON."""


class AxisResult(_Frozen):
    """One axis of the matrix, with its values in the order of the file."""

    name: str
    kind: Literal["package", "python", "import", "script", "args", "env", "prelude", "backend"]
    values: tuple[str, ...]
    """Every value that a cell has, included ones too."""


class ExceptionResult(_Frozen):
    """The exception that ended a trial."""

    type: str
    message: str
    traceback: str
    file: str | None = None
    line: Whole | None = None
    cell: Whole | None = None
    """The cell that the line is in, where the file is a notebook."""
    source: str | None = None
    stage: str
    phase: str = ""

    @property
    def place(self) -> str:
        """Where it was raised: `train.py:12`, or `study.ipynb, cell 3, line 4`; empty where no line is known."""
        if self.line is None:
            return ""
        within = f":{self.line}" if self.cell is None else f", cell {self.cell}, line {self.line}"
        return f"{self.file or 'script'}{within}"


class TrialResult(_Frozen):
    """One trial with its verdict; figures are in the metric's own units, None where there is none."""

    key: str
    seed: Whole
    label: Label
    basis: str
    """The rule that gave the label: see docs/verdicts.md."""
    reason: str
    flags: tuple[str, ...] = ()
    copy_of_another: bool = False
    """True where it is a copy of an earlier trial of its cell and so does not count; by weights, else by its series."""
    metric: str = "loss"
    mode: Literal["min", "max"] = "min"
    y0: Number | None = None
    final: Number | None = None
    best: Number | None = None
    scale: Number | None = None
    n: Count = 0
    """The number of values that were judged."""
    first_non_finite_epoch: Whole | None = None
    first_non_finite_step: Whole | None = None
    first_met_epoch: Whole | None = None
    planned_epochs: Whole | None = None
    epochs: tuple[Whole, ...] = ()
    """The epochs that the series below have, from 1: all, or some of a long training."""
    thinned: str = ""
    """What was left out of the record of its epochs, and by which rule; empty where nothing was."""
    curves: dict[str, tuple[Number | None, ...]] = Field(default_factory=dict)
    """The values of every reported metric under the name that Keras gave it, a value an epoch; None: not reported."""
    stage: str
    phase: str = ""
    exit_code: Whole | None = None
    signal: Whole | None = None
    started_at: str
    """ISO 8601, UTC."""
    duration_s: float
    epoch_s: float | None = None
    """Median seconds of an epoch, the first left out."""
    epoch_seconds: tuple[float | None, ...] = ()
    memory_bytes: tuple[Whole | None, ...] = ()
    """Resident memory at the end of each epoch."""
    peak_memory_bytes: Whole | None = None
    processor: str = ""
    device: str = ""
    exception: ExceptionResult | None = None
    message: str = ""
    """Why there was no trial: the resolver's or the builder's words."""
    log: str = ""
    """Its output, head and tail where it is long; ANSI sequences as they came. Kept of one trial a cell: of the
    failure that names the outcome, else of the first."""
    log_bytes: Count = 0
    """The length of the whole log."""
    artifacts: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """True where there was a trial: false where the environment could not be made."""
        return self.stage not in {"image-build", "install"}


class IntervalResult(_Frozen):
    """A 95 % interval."""

    low: Number
    high: Number


class ComparisonResult(_Frozen):
    """A cell against the baseline."""

    label: str
    """`baseline` of the baseline itself, else `breaks`, `worse`, `better`, `level-differs`, `equivalent`,
    `inconclusive`, `blocked`."""
    reason: str
    p: float | None = None
    """Of how often the two succeed, corrected over the matrix."""
    time: str = ""
    """What pairs of trials say of the time of an epoch."""


class FailureResult(_Frozen):
    """One reason that trials failed for."""

    label: Label
    reason: str
    """The reason in one line."""
    advice: str = ""
    """What a user can do about it; empty where nothing is known."""
    type: str = ""
    message: str = ""
    """Without what varies from trial to trial."""
    stage: str = ""
    frame: str = ""
    cells: tuple[CellKey, ...]
    """The ids of the cells that share it, in the matrix's order."""
    accounts: tuple[str, ...] = ()
    """The ids of the accounts of why one of these cells fails."""
    trials: Count


class PackageResult(_Frozen):
    """One locked release."""

    name: str
    version: str
    layer: Literal["base", "overlay"]


class LockResult(_Frozen):
    """An environment as it was locked."""

    name: str
    python: str
    as_of: str | None
    """The last day that the resolver saw, ISO 8601; None: it saw all."""
    packages: tuple[PackageResult, ...]


class ReproductionCommands(_Frozen):
    """The commands that reproduce a cell."""

    with_runner: tuple[str, ...]
    without_runner: tuple[str, ...]
    """Shell commands that need no more than the files of this repository and of the report."""


class _OfAnOutcome(_Frozen):
    """What has an outcome and its kind."""

    outcome: OutcomeField
    kind: OutcomeKind

    @model_validator(mode="before")
    @classmethod
    def _kind_of_its_outcome(cls, values: Any) -> Any:
        """What an earlier version called untestable, and which breaks, is bad."""
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return {**values, "kind": Outcome.parse(str(values["outcome"])).kind}
        return values


class CellResult(_OfAnOutcome):
    """One cell: its outcome with all the evidence."""

    id: CellKey
    values: dict[str, str]
    reason: str
    converged: Count
    counted: Count
    interval: IntervalResult | None = None
    flags: tuple[str, ...] = ()
    final: Number | None = None
    """The median over the trials of the judged metric's final value; NaN where most ended there."""
    epoch_s: float | None = None
    machine: str = ""
    """The kind that `epoch_s` is of: the one that most of its trials ran on."""
    peak_memory_bytes: Whole | None = None
    exception: ExceptionResult | None = None
    """Of the failure that names the outcome."""
    failures: tuple[Count, ...] = ()
    """The report's failures that its trials have, by position."""
    accounts: tuple[str, ...] = ()
    """The ids of the accounts whose good or bad side it is, or that account for it."""
    comparison: ComparisonResult | None = None
    python: str = ""
    engine: str = ""
    image: str = ""
    base_identity: str = ""
    base_image: str = ""
    runtime: str = ""
    emulated: str = ""
    """The identity of what its environment stands on; base image, runtime and platform, where that is unusual."""
    lock: str = ""
    """The digest of its lock: a key of the report's locks; empty where there is none."""
    imported: dict[str, str] = Field(default_factory=dict)
    """Versions as they were really imported, by module."""
    diff: str = ""
    """The changes of the import flavour to the script, as a unified diff."""
    network: bool = False
    expected: str = ""
    """The outcome that the matrix expects; empty where it expects nothing."""
    as_expected: bool = True
    commands: ReproductionCommands | None = None
    trials: tuple[TrialResult, ...] = ()
    untold: tuple[bool, ...] = Field(default=(), exclude=True)
    """Of each trial that is not among these whether it ran: what is held in memory has none, see `Result.told`."""

    @cached_property
    def cell_id(self) -> CellId:
        """The identity of the cell, by its axis values."""
        return CellId.of(self.values)

    @property
    def copies(self) -> bool:
        """True where it was decided by trials that are copies of one: the seed changes nothing."""
        return SEED_INSENSITIVE in self.flags

    @property
    def told(self) -> str:
        """Its outcome as people read it, with counts where it wavers."""
        return self.outcome.told(self.converged, self.counted)

    @property
    def short(self) -> str:
        """The part of its outcome that a symbol leaves open."""
        return self.outcome.short(self.converged, self.counted, self.exception.type if self.exception else "")

    @property
    def seeds(self) -> int:
        """The number of trials that ran, counted or not."""
        return sum(self.untold) + sum(trial.ran for trial in self.trials)

    def brief(self) -> CellResult:
        """The cell without its trials and commands, as small as it can be; which fields were set is not kept."""
        untold = (*self.untold, *(trial.ran for trial in self.trials))
        fields = {name: getattr(self, name) for name in CellResult.model_fields}
        return CellResult.model_construct(_UNSET, **{**fields, "trials": (), "commands": None, "untold": untold})


_UNSET: set[str] = set()
"""One for all brief cells: a set of its own would be most of what each takes."""


class NeighbourChange(_Frozen):
    """A place where the outcome of neighbours along one axis differs, all else equal."""

    axis: str
    before: CellKey
    """The id of the cell with the earlier value."""
    after: CellKey


class PastCell(_OfAnOutcome):
    """One cell as a past run knew it."""

    final: Number | None = None
    epoch_s: float | None = None
    machine: str = ""


class PastRun(_Frozen):
    """One published run, as a later report remembers it."""

    made_at: str
    cells: dict[str, PastCell | None]
    """The cells as it knew them, by their ids: of those that the run before knew otherwise; None: the cell is no
    more."""
    left_out: tuple[str, ...] = ()
    """The cells that it did not choose to run, of those that the run after it has."""


class Result(_Frozen):
    """The result of one matrix."""

    schema_version: Annotated[Literal[2], BeforeValidator(lambda old: 2 if old == 1 else old)] = SCHEMA_VERSION
    runner_version: str
    made_at: str
    """ISO 8601, UTC."""
    title: str
    description: str = ""
    matrix: str
    """The text of the matrix file."""
    sources: dict[str, str] = Field(default_factory=dict)
    """The SHA-256 of the script's files, by their paths in the matrix's folder, as they were when it was published."""
    commit: str = ""
    """The commit that holds the matrix file and all of them as they are; empty where none does."""
    axes: tuple[AxisResult, ...]
    base: str
    """The name of the axis that environments are resolved around."""
    criterion: tuple[str, ...] = ()
    metric: str = "loss"
    complaint: str = ""
    """Why this is not green whatever was expected; empty where it may be."""
    sentences: tuple[str, ...] = ()
    """The findings of the matrix, in ranges."""
    changes: tuple[NeighbourChange, ...] = ()
    baseline: CellKey | Literal[""] = ""
    """The id of the cell that others are compared with; empty without one."""
    baseline_reason: str = ""
    control: str = ""
    """The findings of the A/A control; empty where there was none."""
    times: tuple[str, ...] = ()
    cells: tuple[CellResult, ...]
    failures: tuple[FailureResult, ...] = ()
    locks: dict[str, LockResult] = Field(default_factory=dict)
    """By digest."""
    accounts: tuple[Account, ...] = ()
    """The accounts of why cells differ, the oldest first."""
    advice: tuple[str, ...] = ()
    """Up to which stack the script works as it is, and up to which with a fix that was run."""
    predicted: tuple[PredictedChange, ...] = ()
    """What a static look finds for the cells; empty where nobody looked."""
    history: tuple[PastRun, ...] = ()
    """Earlier published runs, the oldest first."""

    _tell: Callable[[CellResult], CellResult] | None = PrivateAttr(default=None)

    def told(self, cell: CellResult) -> CellResult:
        """One of its cells with trials and commands, read where they lack. UsageError where they were removed."""
        return cell if self._tell is None else self._tell(cell)

    def told_cells(self) -> Iterator[CellResult]:
        """All cells so, one after another."""
        return map(self.told, self.cells)

    def telling(self, cells: tuple[CellResult, ...], tell: Callable[[CellResult], CellResult] | None) -> Result:
        """The same with these cells and another way to tell them; None: they have their trials."""
        made = self.model_copy(update={"cells": cells})
        made._tell = tell  # noqa: SLF001 - of its own copy
        return made

    def in_full(self) -> Result:
        """The same with the trials of all cells in memory."""
        return self.telling(tuple(self.told_cells()), None)
