"""What a caller may choose beside the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.outcomes.result import Result
    from runner.session.shards import Shard


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a matrix is run; none of it changes what a trial does, except the engine."""

    engine: str = "auto"
    """`docker`, `venv`, or `auto`: docker where an engine answers, else venv."""
    base: str = "registry"
    """Where base images come from: `registry` or `offline` (made from Debian's packages and the host's CPythons)."""
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
    prune_images: bool = False
    """Whether an image is removed as soon as its cells are decided, so that a large matrix needs little disk."""

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that mean nothing."""
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more.")
