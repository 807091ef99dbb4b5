"""What a run would do, as a value: one line a cell, from what is on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.engines.protocol import EngineKind, Image
    from runner.environments.model import Lock
    from runner.matrix.model import Cell


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """One cell: `finished` trials are stored, at least `wanted` more would run."""

    cell: Cell
    environment: str
    lock: Lock | None
    image: Image | None
    finished: int
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All cells that are selected, in the matrix's order of environments."""

    engine: EngineKind
    cells: tuple[CellPlan, ...]

    @property
    def to_lock(self) -> int:
        """How many environments have no usable lock."""
        return len({plan.environment for plan in self.cells if plan.lock is None and plan.wanted})

    @property
    def to_build(self) -> int:
        """How many environments have trials to run and are not runnable yet."""
        return len({plan.environment for plan in self.cells if plan.image is None and plan.wanted})

    @property
    def finished(self) -> int:
        """How many finished trials are stored."""
        return sum(plan.finished for plan in self.cells)

    @property
    def wanted(self) -> int:
        """How many trials would run at least."""
        return sum(plan.wanted for plan in self.cells)
