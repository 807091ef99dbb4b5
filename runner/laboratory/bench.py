"""The bench: where environments are made and trials run on one machine, with its engine, its index and its files.

What is asked of it comes as one value, and what it gives is one: so a bench may stand on a machine of a cluster as well
as on this one.
"""

from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runner.engines.protocol import EngineKind
from runner.errors import BuildFailedError, MachineError, StoppedError
from runner.laboratory.executor import Threads
from runner.matrix.cell_id import CellId

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engines.protocol import Image, Slot
    from runner.environments.lock import Lock
    from runner.laboratory.equipment import Equipment
    from runner.laboratory.executor import Executor, TrialOrder
    from runner.matrix.model import Resources
    from runner.trials.record import Record

ENVIRONMENTS_AT_ONCE = 3
"""One is installed at a time; the files of the next two are fetched meanwhile."""


@dataclass(frozen=True, kw_only=True)
class ImageOrder:
    """An environment that is to be made runnable."""

    lock: Lock
    purpose: str = ""
    """The matrix that the image's labels name."""
    again: bool = False
    """Make a container image anew even where it is there."""
    address: str = ""
    """The registry's name and digest, where another engine pushed it."""


def nothing() -> None:
    """Do nothing: nobody wants to hear of it."""


class Workshop(Protocol):
    """Where environments are made and trials run: a bench here, or those of a cluster."""

    @property
    def environments_at_once(self) -> int:
        """The number of environments that it is worth asking for side by side."""

    def image(self, order: ImageOrder, installing: Callable[[], None] = nothing) -> Image:
        """A lock made runnable; `installing` is called where its files are here and its installation begins.

        Raises BuildFailedError where it can't be made.
        """

    def executor(self, resources: Resources, jobs: int | None) -> Executor:
        """What runs trials of these needs, `jobs` at once; None: as many as fit."""


class Bench:
    """The bench of one equipment (a `Workshop`)."""

    environments_at_once = ENVIRONMENTS_AT_ONCE

    def __init__(self, equipment: Equipment) -> None:
        """Open nothing yet."""
        self._equipment = equipment
        self._making = threading.Lock()

    def image(self, order: ImageOrder, installing: Callable[[], None] = nothing) -> Image:
        """A lock made runnable on the engine; layers that other images need stay."""
        lock, engine = order.lock, self._equipment.engine
        image = engine.find(lock)
        made_anew = order.again and image and image.engine is EngineKind.DOCKER
        say = functools.partial(self._equipment.say, lock.environment.name)
        if made_anew and image and engine.remove_image(image.reference):
            say("making the image again, for the control")
        elif image and engine.use(image):
            return image
        elif order.address and not order.again and (pulled := self._pulled(order, say)):
            return pulled
        from runner.environments.wheelhouse import fetch  # noqa: PLC0415 - not needed where all is made

        say("fetching files" if engine.known_identity(*lock.ground) else f"fetching files, and CPython {lock.ground}")
        builder = functools.partial(engine.toolchain, *lock.ground)  # the image's own, whatever the host has
        with ThreadPoolExecutor(1, "base") as beside:
            beside.submit(engine.base_identity, *lock.ground)  # made meanwhile; why it can't be, `make` says again
            wheelhouse = fetch(lock, catalog=self._equipment.catalog, toolchain=builder, say=say)
        labels = _labels(order)
        with self._making:  # the next environment's files are fetched meanwhile, its installation waits
            say("installing")
            installing()
            image = engine.make(lock, wheelhouse, say, labels=labels)
            while not engine.use(image):  # another runner's `clean` was quicker
                image = engine.make(lock, wheelhouse, say, labels=labels)
        say("ready")
        return image

    def _pulled(self, order: ImageOrder, say: Callable[[str], None]) -> Image | None:
        """An image that another engine pushed; None where it can't be had, and is to be made here."""
        engine = self._equipment.engine
        try:
            engine.base_identity(*order.lock.ground)  # what comes must stand on the same as what is made here
            image = engine.pull(order.lock, order.address, say)
        except (MachineError, BuildFailedError) as error:
            say(f"made here: {error}")
            return None
        return image if image and engine.use(image) else None

    def run(self, order: TrialOrder, slot: Slot) -> Record:
        """Run a trial to its end; its log and artifacts lie in the workplace then. Raises StoppedError on the way."""
        equipment = self._equipment
        if equipment.stopping.is_set():
            raise StoppedError
        from runner.trials.execution import execute  # noqa: PLC0415 - a finished matrix runs nothing

        return execute(
            order.trial, image=order.image, engine=equipment.engine, workplace=equipment.workplace, slot=slot
        )

    def executor(self, resources: Resources, jobs: int | None) -> Executor:
        """Threads of this machine. Raises MachineError where trials need GPUs that it can't give."""
        gpus = self._equipment.engine.gpus() if resources.gpus else ()
        return Threads(self.run, resources, jobs, gpus)


def _labels(order: ImageOrder) -> dict[str, str]:
    """The labels of an image: what it was made for; another matrix may use it later."""
    cell = str(CellId(order.lock.environment.pins))
    return {"convergence-matrix.matrix": order.purpose, "convergence-matrix.cell": cell}
