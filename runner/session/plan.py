"""The plan of a run as a value: environments with their cells, from what is on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.environments.cuda_libraries import FOR_GPUS

if TYPE_CHECKING:
    from runner.engines.protocol import EngineKind, Image, Room
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import DiskNeed, LockSizes
    from runner.matrix.model import Became, Cell

_OF_GPUS = ("nvidia-", "cuda-", "triton")
"""How the names of packages begin that only a GPU needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellPlan:
    """One cell: `finished` trials are stored, at least `wanted` more would run."""

    cell: Cell
    finished: int
    wanted: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentPlan:
    """One environment: its lock and image where they are made already, else (where there is a lock) how large it is."""

    name: str
    lock: Lock | None
    image: Image | None
    sizes: LockSizes | None
    cells: tuple[CellPlan, ...]
    base_image: str = ""
    """The name of the base image that it stands on, where it has one."""

    @property
    def finished(self) -> int:
        """The number of finished trials that are stored."""
        return sum(plan.finished for plan in self.cells)

    @property
    def wanted(self) -> int:
        """The least number of trials that would run."""
        return sum(plan.wanted for plan in self.cells)

    @property
    def is_to_make(self) -> bool:
        """True where a run would install it, by a lock that is there."""
        return self.wanted > 0 and self.sizes is not None

    @property
    def has_gpu_packages(self) -> bool:
        """True where its lock has packages that only a GPU needs, which no trial asks for."""
        if self.lock is None or self.lock.environment.flavour == FOR_GPUS:
            return False
        return any(package.name.startswith(_OF_GPUS) for package in self.lock.packages)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All cells that are selected, by environment, in the matrix's order."""

    engine: EngineKind
    environments: tuple[EnvironmentPlan, ...]
    left_out: int = 0
    """The number of cells that are not among these, because few are chosen."""
    became: tuple[Became, ...]
    """The versions of ranges, `latest` and `era`."""
    room: Room | None
    """The place where images are kept, and how much is free there."""
    emulated: str = ""
    """The platform that trials would run on, where the engine emulates it."""

    @property
    def cells(self) -> int:
        """The number of cells."""
        return sum(len(environment.cells) for environment in self.environments)

    @property
    def names_base_images(self) -> bool:
        """True where containers stand on base images that the matrix names."""
        return self.engine.value == "docker" and any(one.base_image for one in self.environments)

    @property
    def to_lock(self) -> int:
        """The number of environments that have no usable lock."""
        return sum(plan.lock is None and plan.wanted > 0 for plan in self.environments)

    @property
    def to_build(self) -> int:
        """The number of environments that have trials to run and are not runnable yet."""
        return sum(plan.image is None and plan.wanted > 0 for plan in self.environments)

    @property
    def finished(self) -> int:
        """The number of finished trials that are stored."""
        return sum(plan.finished for plan in self.environments)

    @property
    def wanted(self) -> int:
        """The least number of trials that would run."""
        return sum(plan.wanted for plan in self.environments)

    @property
    def disk_need(self) -> DiskNeed | None:
        """The disk space for the environments to make that have a lock; None where there are none."""
        sizes = [plan.sizes for plan in self.environments if plan.is_to_make and plan.sizes]
        if not sizes:
            return None
        from runner.environments.wheelhouse import total  # noqa: PLC0415 - where nothing is to be made it is not needed

        return total(sizes)

    @property
    def for_gpus(self) -> tuple[str, ...]:
        """The names of the environments to make that have packages which only a GPU needs."""
        return tuple(plan.name for plan in self.environments if plan.is_to_make and plan.has_gpu_packages)
