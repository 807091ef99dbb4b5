"""The engines of a cluster's workers as one `Engine` at home: what it is and has is known here, what it does is not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NoReturn

from runner.engines.venv.venv_engine import VenvEngine
from runner.environments.lock import Ground
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Ending, Image, Job, JobFolder, StoredImage
    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import Wheelhouse
    from runner.laboratory.cluster.cluster import Cluster


class ClusterEngine:
    """What home asks an engine, answered by all workers; images are made and jobs run by the cluster's executor."""

    def __init__(self, cluster: Cluster) -> None:
        """The engine of a cluster, which is connected to for that."""
        self.kind, self.base = cluster.way()
        self._cluster = cluster
        self._here = VenvEngine()

    @property
    def platform(self) -> str:
        """The platform that all workers make images for."""
        return self._cluster.any_facts().platform

    @property
    def emulated(self) -> str:
        """That platform where a worker emulates it."""
        return next(filter(None, (one.emulated for one in self._cluster.facts().values())), "")

    def describe(self) -> str:
        """What the workers have, in one line."""
        return self._cluster.describe()

    def check(self) -> None:
        """Do nothing: every worker has tried its own engine."""

    def pythons(self, image: str = "") -> tuple[str, ...]:
        """The CPython minor releases that every worker can provide, newest first."""
        return self._cluster.pythons(image)

    def base_identity(self, python: str, image: str = "") -> str:
        """The identity of all that a lock does not pin, the same on every worker."""
        return self._cluster.base_identity(Ground(python, image))

    def known_identity(self, python: str, image: str = "") -> str | None:
        """`base_identity` where every worker knew it at the start, or was asked since."""
        return self._cluster.known_identity(Ground(python, image))

    def toolchain(self, python: str, image: str = "") -> Toolchain:  # noqa: ARG002 - the engine's signature
        """The means of this machine to resolve for a CPython: locks are made at home."""
        return self._here.toolchain(python)

    def find(self, lock: Lock) -> Image | None:
        """The image of a lock where a worker has it."""
        return self._cluster.find(lock)

    def use(self, image: Image) -> bool:  # noqa: ARG002 - the engine's signature
        """Leave it to the workers, which note it as they use it."""
        return True

    def gpus(self) -> tuple[Gpu, ...]:
        """Those of all workers."""
        return tuple(gpu for one in self._cluster.facts().values() for gpu in one.gpus)

    def room(self) -> None:
        """Nothing: every worker has a disk of its own."""

    def stop_all(self) -> None:
        """End everything of this run on every worker."""
        self._cluster.stop()

    def sweep(self) -> int:
        """Leave it to the workers, which sweep as they open their engines."""
        return 0

    def images(self) -> tuple[StoredImage, ...]:
        """None: what workers keep is theirs."""
        return ()

    def forget_kept(self) -> None:
        """Leave it to the workers."""

    def close(self) -> None:
        """Let go of the cluster."""
        self._cluster.close()

    def make(
        self, lock: Lock, wheelhouse: Wheelhouse, say: Callable[[str], None], *, labels: Mapping[str, str]
    ) -> NoReturn:
        """Refuse: environments are made by the workers' benches."""
        raise _refused(lock, wheelhouse, say, labels)

    def recipe(self, lock: Lock, catalog: Catalog) -> NoReturn:
        """Refuse."""
        raise _refused(lock, catalog)

    def push(self, image: Image, registry: str) -> NoReturn:
        """Refuse."""
        raise _refused(image, registry)

    def pull(self, lock: Lock, address: str, say: Callable[[str], None]) -> NoReturn:
        """Refuse."""
        raise _refused(lock, address, say)

    def disk(self, folder: JobFolder, limit_bytes: int) -> AbstractContextManager[object]:  # noqa: ARG002
        """Give none here."""
        return contextlib.nullcontext()

    def run(self, image: Image, job: Job) -> Ending:
        """Refuse."""
        raise _refused(image, job)

    def remove_image(self, reference: str) -> bool:
        """Refuse."""
        raise _refused(reference)

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        """Refuse."""
        raise _refused(image, job)


def _refused(*_asked: object) -> UsageError:
    return UsageError(
        "That needs an engine on this machine: leave out --cluster. On a cluster, environments are made and trials run"
        " (`run`, `explain`, `bisect`, `build`)."
    )
