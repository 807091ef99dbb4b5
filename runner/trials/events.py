"""The lines of the record channel as values, strictly as `runner/probe/events.schema.json` has them.

`parse` takes one line of a file that a stranger wrote and gives an event, or None where it is anything else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from runner.trials.record import Count, Number, Whole  # noqa: TC001 - pydantic reads annotations at run time

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_BYTES = 1024**2
"""A longer line is no event: the probe's longest, a configuration of 64 KiB, is far below."""

Finite = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False)]
"""Seconds, however many: sums and differences of them are finite too."""
Natural = Annotated[int, Field(ge=1, le=2**63 - 1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Short = Annotated[str, StringConstraints(max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ScriptStage = Literal["import", "build-model", "training", "after-training"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    t: Finite
    """Seconds since the probe started in the process that tells."""
    process: Count | None = None
    """The number of a process that the script started; None: the one that the trial began with."""


class Start(_Event):
    """The probe is there."""

    event: Literal["start"]
    probe: Annotated[str, StringConstraints(max_length=20)]
    python: Annotated[str, StringConstraints(max_length=50)]
    implementation: Annotated[str, StringConstraints(max_length=50)]
    executable: Annotated[str, StringConstraints(max_length=4096)]
    argv: Annotated[list[Text], Field(max_length=100)]
    pid: Count
    time: Finite
    rank: Count | None = None


class Seeding(_Event):
    """True where the trial's seed was set."""

    event: Literal["seeding"]
    mode: Literal["seeded", "as-written"]
    seed: Whole | None


class PreludeState(_Event):
    """A prelude made its change, or failed."""

    event: Literal["prelude"]
    name: Name
    state: Literal["applied", "failed"]
    note: Text


class StageChange(_Event):
    """The script went on."""

    event: Literal["stage"]
    stage: ScriptStage
    phase: Short


class PhaseBegin(_Event):
    """A fit or a loop begins."""

    event: Literal["phase"]
    name: Name
    model: Short | None
    model_number: Natural | None
    architecture: Digest | None
    planned_epochs: Whole | None
    steps: Count | None
    initial_weights: Digest | None
    weight_norm: Number | None


class PhaseEnd(_Event):
    """A fit or a loop is over."""

    event: Literal["phase-end"]
    name: Name
    final_weights: Digest | None
    weight_norm: Number | None
    error: bool


class EpochEnd(_Event):
    """An epoch of a fit, or of a loop whose epochs show, is over."""

    event: Literal["epoch"]
    phase: Name
    epoch: Natural
    logs: Annotated[dict[Short, Number], Field(max_length=100)]
    time_s: Finite | None
    learning_rate: Number | None
    weight_norm: Number | None
    update_norm: Number | None
    rss_bytes: Count | None


class StepLosses(_Event):
    """Losses of consecutive batches."""

    event: Literal["steps"]
    phase: Name
    first: Natural
    losses: Annotated[list[Number], Field(max_length=256)]


class Loop(_Event):
    """The state of a loop; its numbers stand for epochs where it tells none."""

    event: Literal["loop"]
    phase: Name
    steps: Count
    seconds: Finite
    block: Count
    logs: Annotated[dict[Short, Annotated[list[Number], Field(max_length=64)]], Field(max_length=100)]
    weight_norm: Number | None


class Evaluated(_Event):
    """A model was asked for results."""

    event: Literal["evaluation"]
    kind: Literal["evaluate", "score"]
    round: Count
    model: Short | None
    model_number: Natural | None
    phase: Short
    logs: Annotated[dict[Short, Number], Field(max_length=100)]


class Config(_Event):
    """A live configuration."""

    event: Literal["config"]
    phase: Name
    what: Literal["model", "optimizer", "loss"]
    config: Annotated[str, StringConstraints(max_length=65536)]


class NotConverged(_Event):
    """A library said itself that a training did not converge."""

    event: Literal["warning"]
    phase: Name
    message: Text


class Uncaught(_Event):
    """An exception that nothing caught."""

    event: Literal["exception"]
    type: Annotated[str, StringConstraints(max_length=500)]
    message: Annotated[str, StringConstraints(max_length=8000)]
    traceback: Annotated[str, StringConstraints(max_length=33000)]
    file: Text | None
    line: Count | None
    source: Text | None
    stage: ScriptStage
    phase: Short


class ImportedPackage(BaseModel):
    """Version and file of one module."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[str, StringConstraints(max_length=100)]
    file: Text | None


class Packages(_Event):
    """The packages that were really imported."""

    event: Literal["packages"]
    packages: Annotated[dict[Short, ImportedPackage], Field(max_length=2000)]


class Exit(_Event):
    """The interpreter shut down in order."""

    event: Literal["exit"]
    kind: Literal["normal", "exception"]


class UnseenStart(_Event):
    """The script starts a Python that the probe can't ride in."""

    event: Literal["unseen"]
    argv: Annotated[list[Text], Field(max_length=100)]


class ProbeError(_Event):
    """A failure of the probe's own."""

    event: Literal["probe-error"]
    place: Short
    message: Annotated[str, StringConstraints(max_length=2000)]


Event = (
    Start
    | Seeding
    | PreludeState
    | StageChange
    | PhaseBegin
    | PhaseEnd
    | EpochEnd
    | StepLosses
    | Loop
    | Evaluated
    | Config
    | NotConverged
    | Uncaught
    | Packages
    | Exit
    | UnseenStart
    | ProbeError
)

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def parse(line: bytes) -> Event | None:
    """The event in one line; None where the line is not one, however it was made. Never raises."""
    try:
        return _EVENTS.validate_python(_loaded(line, parse_constant=_refuse))
    except (ValueError, RecursionError, ValidationError):
        return None


def parse_metrics(line: bytes) -> dict[str, Any] | None:
    """The object in one line of $RUNNER_METRICS; NaN and Infinity may stand bare, as `json.dumps` writes them."""
    try:
        found = _loaded(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _loaded(line: bytes, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    r"""What a line of JSON says; half a character (`\udcff`: a name of a file may hold it) is a question mark.

    Raises ValueError or RecursionError.
    """
    found = json.loads(line.decode("utf-8"), parse_constant=parse_constant)
    if b"\\ud" not in line.lower():
        return found
    return json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))


def _refuse(token: str) -> NoReturn:
    message = f"JSON has no {token}"
    raise ValueError(message)
