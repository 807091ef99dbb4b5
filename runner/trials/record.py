"""The record: all that is known of one finished trial, in one versioned schema. Made by `read_channel`, stored, judged.

The probe writes JSON lines ("events") into the channel; their JSON Schema is `runner/probe/events.schema.json`. Whoever
reads them here expects an attack: every line is checked, and what does not fit is counted and dropped.
"""

from __future__ import annotations

import hashlib
from array import array
from datetime import datetime
from functools import cached_property
from itertools import groupby
from statistics import median
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from runner.engines.protocol import emulated_of, runtime_of

SCHEMA_VERSION: Literal[1] = 1
PRINTED_PHASE: Final = "printed"
"""The phase of the epochs that patterns found in the output."""

_NON_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def _from_text(value: object) -> object:
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


def _to_text(value: float) -> float | str:
    return value if value - value == 0 else str(value)


Number = Annotated[
    float, Field(allow_inf_nan=True), BeforeValidator(_from_text), PlainSerializer(_to_text, when_used="json")
]
"""A float that is stored as "nan", "inf" or "-inf" where JSON has no number for it."""
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""An integer that a float can be made of."""
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
"""A moment as text in ISO 8601, UTC."""
Stage = Literal["image-build", "install", "import", "build-model", "training", "after-training"]


def process_of(phase: str) -> str:
    """The process that a phase was in, by its name: `child-1` of `child-1:fit-2`; empty for the trial's first one."""
    return phase.rpartition(":")[0]


def kind_of(phase: str) -> str:
    """The kind of a phase, as its name tells it: `fit`, `batches` or `loop`."""
    return phase.rpartition(":")[2].partition("-")[0]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScriptException(_Frozen):
    """The exception that ended the script."""

    type: str
    message: str
    traceback: str
    line: Whole | None = None
    """Line of the script's own innermost frame."""
    file: str | None = None
    """The script or local module that the line is in, relative to the working directory."""
    cell: Whole | None = None
    """The cell that the line is in, where the file is a notebook."""
    source: str | None = None
    stage: Stage
    phase: str
    after_loops: bool = False
    """True where its lines come after what trains in the script's sources: where there was training, it was over."""

    @property
    def training_stage(self) -> Stage:
        """The stage that it belongs to where the script trained in a way of its own."""
        return "after-training" if self.after_loops else "training"


class FileTrouble(_Frozen):
    """A file or module of the project that a trial could not use, as the exception that ended it shows."""

    sought: str
    """How the script named it."""
    lies: str
    """Where it lies in the project."""
    trouble: Literal["not-given", "elsewhere", "not-reached", "read-only"]
    """The trial had no copy of it; it had one in the script's folder and looked in the working directory; it is a
    module in a folder that Python did not look in; it is data that is mounted read-only."""


class Epoch(_Frozen):
    """The report of one epoch of one phase. `epoch` counts from 1 within its phase."""

    phase: str
    epoch: Whole
    logs: dict[str, Number]
    time_s: float | None = None
    learning_rate: Number | None = None
    weight_norm: Number | None = None
    update_norm: Number | None = None
    rss_bytes: Whole | None = None


def _from_runs(value: object) -> object:
    """The epochs of runs; what is no run (an epoch, as records had them one by one) stays as it is."""
    if not isinstance(value, list):
        return value
    return [epoch for one in value for epoch in (_of_run(one) if isinstance(one, dict) and "logs" in one else [one])]


def _of_run(run: dict[str, object]) -> list[object]:
    numbers, logs = run.get("epoch"), run.get("logs")
    if not isinstance(numbers, list) or not isinstance(logs, dict):
        return [run]
    rest = {name: values for name, values in run.items() if name not in {"phase", "epoch", "logs"}}
    columns = [*logs.values(), *rest.values()]
    if not all(isinstance(column, list) and len(column) == len(numbers) for column in columns):
        raise ValueError("the columns of its epochs differ in length")
    return [
        {
            "phase": run.get("phase"),
            "epoch": number,
            "logs": {name: values[at] for name, values in logs.items()},
            **{name: values[at] for name, values in rest.items()},  # type: ignore[index]
        }
        for at, number in enumerate(numbers)
    ]


def _to_runs(epochs: tuple[Epoch, ...]) -> list[dict[str, object]]:
    """The epochs in columns: a run of them has the same phase and the same metrics, each name once."""
    found = []
    for (phase, names), run in groupby(epochs, lambda epoch: (epoch.phase, tuple(epoch.logs))):
        own = list(run)
        others = {name: [getattr(epoch, name) for epoch in own] for name in _OF_EPOCHS}
        found.append(
            {
                "phase": phase,
                "epoch": [epoch.epoch for epoch in own],
                "logs": {name: [_to_text(epoch.logs[name]) for epoch in own] for name in names},
                **{
                    name: [None if value is None else _to_text(value) for value in values]
                    for name, values in others.items()
                    if any(value is not None for value in values)
                },
            }
        )
    return found


_OF_EPOCHS = ("time_s", "learning_rate", "weight_norm", "update_norm", "rss_bytes")
Epochs = Annotated[
    tuple[Epoch, ...], BeforeValidator(_from_runs), PlainSerializer(_to_runs, when_used="json", return_type=list)
]
"""Epochs that are stored in columns."""


class Phase(_Frozen):
    """One call of `fit` (or one custom loop): `fit-1`, `fit-2`, … in the order they began."""

    name: str
    model: str | None = None
    planned_epochs: Whole | None = None
    steps: Whole | None = None
    initial_weights: str | None = None
    """Digest (SHA-256, hex) of all weights before the phase, None where they can't be seen."""
    final_weights: str | None = None
    finished: bool = False
    raised: bool = False
    """True where an exception left it, caught by the script or not."""
    model_number: Whole | None = None
    """Tells the models of a process apart; None where there is none, and in records from before this was kept."""
    architecture: str | None = None
    """Digest of the classes of the model's layers and of the shapes of its weights, where it was looked at."""
    weight_norm: Number | None = None
    """The norm of all weights at its end, not finite where a weight is not; None where it was not looked at."""
    began_s: float | None = None
    ended_s: float | None = None
    """Seconds since the process began: the first and the latest step of a loop, the two ends of a fit."""
    warnings: tuple[str, ...] = ()
    """What the library said of a training that did not converge (ConvergenceWarning)."""


class ChildProcess(_Frozen):
    """A process that the script started and that trained, was asked for results or raised an exception."""

    name: str
    """`child-1`, … in the order in which they joined; their fits are `child-1:fit-1`, … One that has a rank is
    `rank-0`, or `rank-0-2` where it is the second one of that rank."""
    pid: Whole
    """Its number in the trial's own world."""
    rank: Whole | None = None
    """Its number among the processes that train one model together; None where it trains by itself."""
    began_s: float | None = None
    """Seconds from the start of the trial's first process to its own."""
    command: tuple[str, ...] = ()
    exception: ScriptException | None = None
    """The exception that nothing in it caught."""


class Evaluation(_Frozen):
    """The results of one call of `evaluate` or `score`; `number` counts the calls of its kind from 1."""

    kind: Literal["evaluate", "score"]
    number: Whole
    round: Whole = 0
    """Grows by one where training went on between two calls."""
    model: str | None = None
    model_number: Whole | None = None
    phase: str = ""
    """The phase that trained last before the call; empty where none was seen."""
    process: str = ""
    """The name of the child process that asked; empty where it was none."""
    logs: dict[str, Number]


class Package(_Frozen):
    """A package as it was really imported."""

    version: str
    file: str | None = None


class PreludeRun(_Frozen):
    """The fate of one prelude in a trial."""

    name: str
    applied: bool = False
    """True where it said that its change was made."""
    note: str = ""
    error: str = ""
    """Why it failed; empty where it did not."""


class Printed(_Frozen):
    """The values that one pattern found in the output, each with the number of its line (blank ones not counted)."""

    lines: tuple[Whole, ...] = ()
    values: tuple[Number, ...] = ()
    other: str = ""
    """The first text that it found and that is not a number."""
    cut: Whole = 0
    """The line where the log says that output was left out; 0 where it is whole."""
    problem: str = ""
    """Why it could not be looked for."""


class Table(_Frozen):
    """The numbers in a file that the script wrote: a column for each name, None where a row has none."""

    columns: dict[str, tuple[Number | None, ...]] = Field(default_factory=dict)
    problem: str = ""
    """Why it was not read."""


class Record(_Frozen):
    """One finished trial. `key` hashes all that could change it; `cell` is the cell's axis values."""

    schema_version: Literal[1] = 1
    key: str
    cell: dict[str, str]
    seed: Whole
    engine: Literal["docker", "venv"]
    image: str | None = None
    base_identity: str | None = None
    lock: str | None = None
    """Name of the lock, and its digest."""
    lock_digest: str | None = None
    started_at: Moment
    duration_s: float
    stage: Stage
    phase: str = ""
    exit_code: Whole | None = None
    signal: Whole | None = None
    orderly: bool | None = None
    """True where the interpreter shut down in order, after `sys.exit` and after an exception too; not so after
    `os._exit`, a signal or an abort. None where the probe never started, and in records from before this was kept."""
    oom_killed: bool = False
    timed_out: bool = False
    disk_full: bool = False
    probe_started: bool = False
    peak_memory_bytes: Whole | None = None
    probe: str | None = None
    """The version of the probe, as it said itself; None in records from before results and children were told."""
    python: str | None = None
    """The interpreter's exact release, as it said itself."""
    processor: str | None = None
    """The model of the processors that it ran on; times are compared only where it, and the device, are the same."""
    device: str | None = None
    """The model of its GPUs, empty where it could see none; None in records from before trials were kept from GPUs."""
    pair: str = ""
    """Shared by the trials of several cells that ran in turn on the same processors (`--pair`)."""
    exception: ScriptException | None = None
    file_trouble: FileTrouble | None = None
    """What of the project it lacked."""
    unresolvable: bool = False
    """No set of releases satisfies the cell; `message` has the resolver's reason."""
    passing: bool = False
    """Why there was no trial is no property of the cell, and may be over by now: the network, the disk."""
    message: str | None = None
    """Why there was no trial: the resolver's or the builder's words."""
    epochs: Epochs = ()
    thinned: str = ""
    """What of the epochs was left out, and by which rule; empty where all are here."""
    steps: dict[str, tuple[Number, ...]] = Field(default_factory=dict)
    """Per-step losses by phase, where asked for."""
    phases: tuple[Phase, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    children: tuple[ChildProcess, ...] = ()
    unseen: tuple[tuple[str, ...], ...] = ()
    """The command lines of Pythons that the script started so that nothing of them could be seen (`-I`, `-E`, `-S`)."""
    packages: dict[str, Package] = Field(default_factory=dict)
    configs: dict[str, str] = Field(default_factory=dict)
    """Live configs of model, optimizer and loss as JSON text, by phase."""
    seeding: str | None = None
    """`seeded` or `as-written`: whether the trial's seed was set by the probe."""
    network: bool = False
    log_truncated: bool = False
    bad_lines: Whole = 0
    """Lines of the channel that did not fit the schema."""
    artifacts: tuple[str, ...] = ()
    artifacts_left_out: Count = 0
    """The number of files that were to be kept and were not: more than `keep:`, too many, or no name for them."""
    log_tail: str = ""
    printed: dict[str, Printed] = Field(default_factory=dict)
    """The values in the output by the pattern that found them; a pattern that is not here was never looked for."""
    tables: dict[str, Table] = Field(default_factory=dict)
    """The tables and event files that the script wrote, by their path in its working directory."""
    loop: str = ""
    """The line of the script that looks like its training loop, as `train.py:12: for epoch in range(10):`."""
    preludes: tuple[PreludeRun, ...] = ()
    worker: str = ""
    """The worker of a cluster that it ran on; empty on one machine."""
    lost_workers: tuple[str, ...] = ()
    """The workers that went while they ran it, before that one."""
    rewritten: str = ""
    """The changes of the import flavour to the script, as a unified diff."""

    @property
    def ran(self) -> bool:
        """True where there was a trial: false for the record of an environment that could not be made."""
        return self.stage not in {"image-build", "install"}

    @property
    def may_have_had_gpus(self) -> bool:
        """True where nobody kept it from the GPUs of its machine, or noted that it had some."""
        return self.ran and self.engine == "venv" and self.device is None and self.processor is None

    @property
    def epoch_s(self) -> float | None:
        """The median seconds of an epoch, the first, which also builds and traces, left out; None of fewer than 2."""
        later = [epoch.time_s for epoch in self.epochs[1:] if epoch.time_s is not None]
        return median(later) if later else None

    @property
    def runtime(self) -> str:
        """The runtime of its container, where that was not the usual one."""
        return runtime_of(self.base_identity or "")

    @property
    def emulated(self) -> str:
        """The platform that its container emulated; empty where it ran as it is. Its times say nothing."""
        return emulated_of(self.base_identity or "")

    @cached_property
    def identity(self) -> bytes | None:
        """A hash of the values that identical trials share: short, as it is kept of every trial of a large matrix.

        Initial and final weights of every phase, else the reported series bit for bit. None where neither was seen:
        then no trial is known to be a copy. What was printed is rounded, and shows none.
        """
        others = {child.name for child in self.children if child.rank}  # they join in any order
        own = (phase for phase in self.phases if process_of(phase.name) not in others)
        weights = tuple((phase.initial_weights, phase.final_weights) for phase in own)
        if weights and all(initial is not None and final is not None for initial, final in weights):
            return _hash(weights)
        seen = [one for one in self.epochs if one.phase != PRINTED_PHASE and process_of(one.phase) not in others]
        names = [(one.phase, one.epoch, *sorted(one.logs)) for one in seen]
        values = array("d", [one.logs[name] for one in seen for name in sorted(one.logs)])
        return _hash((weights, names), values.tobytes()) if seen else None


def _hash(values: object, numbers: bytes = b"") -> bytes:
    return hashlib.blake2b(repr(values).encode() + numbers, digest_size=16).digest()
