"""The choices of a caller beside the matrix, and the observer that watches a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runner.errors import UsageError
from runner.laboratory.request import Silence, Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.result import Result
    from runner.outcomes.verdict import Verdict
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
    prune_images: bool = False
    """True where an image is removed as soon as its cells are decided, so that a large matrix needs little disk."""

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that mean nothing."""
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more.")
