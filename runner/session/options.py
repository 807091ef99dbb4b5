"""The choices of a caller beside the matrix, those of its last run, and the observer that watches a run.

The last run is kept beside the records, under the name of the matrix file, so that whoever looks sees what it came to;
`--engine`, `--base` and `--seeds` say otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.engines.protocol import EngineKind, runtime_of
from runner.environments.times import undated_in
from runner.errors import UsageError
from runner.laboratory.laboratory import Named
from runner.laboratory.request import Silence, Stored, Watcher, ground_under
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from distributed import Client

    from runner.engines.protocol import Engine
    from runner.environments.lock import Ground
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.result import Result
    from runner.outcomes.verdict import Verdict
    from runner.own_folder import OwnFolder
    from runner.trials.record import Record


class Observer(Watcher, Protocol):
    """Hears of everything that a user would want to see, in the order in which it happens to a cell."""

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        """Take the cells that the run is about, and what those that have finished trials already come to by them."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Take note that a trial ended and its record is kept."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Take note that a cell needs no more trials."""


class Unwatched(Silence):
    """An observer that says nothing."""

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        """Ignore it."""

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Ignore it."""

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Ignore it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts; `index` counts from 1."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


def parse_shard(text: str) -> Shard | None:
    """`3/8` as a shard; nothing for an empty text. Raises UsageError for what is neither."""
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text} names no part. Write it like 3/8, the third of eight parts.")
    return Shard(int(found[1]), int(found[2]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The way a matrix is run; none of it changes what a trial does, except the engine."""

    engine: str = "auto"
    """`docker`, `venv`, or `auto`: docker where an engine answers and has base images, else venv."""
    base: str = "auto"
    """The source of base images: `registry`, `offline` (made from Debian's packages and the host's CPythons), or
    `auto`: the first of the two that works, else venv."""
    runtime: str = ""
    """The Docker engine's runtime of containers (`runsc` of gVisor, `kata-runtime`); empty: its default one."""
    only: str | None = None
    shard: Shard | None = None
    """Only this part of the selected cells."""
    seeds: int | None = None
    """A fixed number of seeds per cell in place of the matrix's `seeds:`."""
    jobs: int | None = None
    """Trials at once; None: as many as the processors and the matrix's `resources:` allow."""
    fail_fast: bool = False
    earlier: Result | None = None
    """A result to hold this one against: cells that look different from it get the trials that it takes to be sure."""
    again: tuple[str, ...] | None = None
    """Selections of cells whose stored trials run once more, and no other cells; of none all; None: no trial does."""
    pair: bool = False
    """True where the trials of all selected cells run in turn on the same processors, so that times can be compared;
    on a cluster those of one worker."""
    registry: str = ""
    """The registry, such as `10.0.0.1:5000/cm`, in which a cluster's workers share images; empty: each makes them."""
    cluster: str | Client | None = None
    """The address of a Dask scheduler, or a client of one: trials run on its workers; None: on this machine."""
    prune_images: bool = False
    """True where an image is removed as soon as its cells are decided, so that a large matrix needs little disk."""

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that mean nothing."""
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more.")
        if self.pair and self.jobs not in {None, 1}:
            raise UsageError(f"--pair runs one trial at a time, in turn; leave --jobs {self.jobs} out.")

    def named(self, matrix: Matrix) -> Named:
        """What a laboratory of a matrix is opened with."""
        last = read_last_run(Workplace.beside(matrix.folder).files, matrix)
        return Named(
            engine=self.engine,
            base=self.base,
            runtime=self.runtime,
            platform=matrix.platform,
            before=last.way if last and last.found else None,
            undated=undated_in(matrix.as_of, matrix.dates),
            indexes=matrix.indexes,
            registry=self.registry,
            cluster=self.cluster,
            pair=self.pair,
        )


class LastRun(BaseModel):
    """How a matrix was run last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    engine: EngineKind
    base: Literal["registry", "offline", ""]
    found: bool
    """True where engine and base were not named, but found by what works."""
    seeds: int | None
    pair: bool = False
    identities: dict[str, str]
    """What the lock does not pin, by CPython and named base image: where the trials of this run ran."""

    @property
    def way(self) -> tuple[str, str]:
        """Engine and base, as they are chosen."""
        return self.engine.value, self.base

    @property
    def stored(self) -> Stored:
        """The records of this run's engine and base images."""
        return Stored(engine=self.engine, identities=tuple(sorted(self.identities.items())))

    def is_meant(self, options: Options) -> bool:
        """True where options name no other engine, base images or runtime than this run's."""
        same_base = options.base in {"auto", self.base} or self.engine is EngineKind.VENV
        runtimes = {runtime_of(identity) for identity in self.identities.values()}
        contained = self.engine is EngineKind.DOCKER and runtimes <= {options.runtime}
        same_runtime = not options.runtime or options.engine == "venv" or contained
        return options.engine in {"auto", self.engine.value} and same_base and same_runtime


def read_last_run(files: OwnFolder, matrix: Matrix) -> LastRun | None:
    """How a matrix was run last; None where nobody knows."""
    try:
        return LastRun.model_validate_json(files.read(_file(matrix)) or b"")
    except ValidationError:
        return None


def keep_last_run(
    files: OwnFolder, matrix: Matrix, engine: Engine, grounds: Iterable[Ground], options: Options
) -> None:
    """Keep how a matrix is run now, of what its locks stand on."""
    before = read_last_run(files, matrix)
    way = (engine.kind.value, engine.base)
    known = dict(before.identities) if before and before.way == way else {}
    told = {ground_under(engine.kind, one): engine.known_identity(*one) for one in grounds}
    known |= {ground: identity for ground, identity in told.items() if identity}
    found = options.engine == "auto" and options.base == "auto"
    run = LastRun.model_validate(
        {
            "engine": engine.kind,
            "base": engine.base,
            "found": found,
            "seeds": options.seeds,
            "pair": options.pair,
            "identities": known,
        }
    )
    if run != before:
        files.write(_file(matrix), run.model_dump_json().encode())


def _file(matrix: Matrix) -> str:
    return f"runs/{matrix.path.name}.json"
