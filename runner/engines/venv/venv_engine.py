"""The `venv` engine: locks become uv environments in the cache, jobs become processes of this user.

Nothing contains a job but its limits: it can read what the user can, it has the network, and data is mapped in as
symlinks. The lock, the script's world and the record are those of the `docker` engine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cache import cache_folder
from runner.engines.gpu import gpus_of_this_machine
from runner.engines.protocol import EngineKind, Image, Room, StoredImage
from runner.engines.venv import venv_folder
from runner.environments.interpreters import HostToolchain, download, find_interpreters
from runner.environments.processes import Processes
from runner.environments.target import this_platform
from runner.errors import MachineError, UsageError
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contextlib import AbstractContextManager

    from runner.engines.gpu import Gpu
    from runner.engines.protocol import Ending, Job, JobFolder
    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Interpreter, Toolchain
    from runner.environments.lock import Lock
    from runner.environments.wheelhouse import Wheelhouse


_SUPPORTED = tuple(f"3.{minor}" for minor in range(13, 5, -1))
"""CPython releases that the probe supports, newest first; the docker engine has a base image for each."""
_DOWNLOADABLE = frozenset(f"3.{minor}" for minor in range(8, 14))
"""Those of them that uv can download."""

_MOST_HELD = 256
"""Each environment that is held costs an open file."""


class VenvEngine:
    """Makes environments in the cache and runs jobs in them; several runners may share the cache."""

    kind: EngineKind = EngineKind.VENV
    base = ""
    emulated = ""

    @property
    def platform(self) -> str:
        """This machine's own."""
        return this_platform()

    def __init__(self, interpreters: Callable[[], tuple[Interpreter, ...]] = find_interpreters) -> None:
        """An engine on this machine's cache; `interpreters` finds its CPythons, newest first."""
        self._interpreters = interpreters
        self._root = cache_folder() / "environments"
        self._interrupted = threading.Event()
        self._downloading = threading.Lock()
        self._holding = threading.Lock()
        self._holds: dict[Path, contextlib.ExitStack] = {}
        self._known: dict[str, Interpreter] = {}
        self._processes = Processes()

    def describe(self) -> str:
        """The folder of the environments, in one line."""
        return f"venv: virtual environments in {self._root}, not in containers"

    def check(self) -> None:
        """Do nothing: all that it takes is here."""

    def pythons(self, image: str = "") -> tuple[str, ...]:  # noqa: ARG002 - there are no images
        """The CPython minor releases of this machine and those that uv may download, newest first."""
        here = {interpreter.minor for interpreter in self._interpreters()}
        offered = here | _DOWNLOADABLE if _may_download() else here
        return tuple(python for python in _SUPPORTED if python in offered)

    def base_identity(self, python: str, image: str = "") -> str:  # noqa: ARG002 - as above
        """The interpreter's exact build. Raises MachineError where there is none and none can be had."""
        return self._interpreter(python).identity

    def known_identity(self, python: str, image: str = "") -> str | None:  # noqa: ARG002 - as above
        """The interpreter's exact build where there is one on this machine."""
        interpreter = self._here(python)
        return interpreter.identity if interpreter else None

    def toolchain(self, python: str, image: str = "") -> Toolchain:  # noqa: ARG002 - as above
        """The interpreter with uv beside it. Raises MachineError where there is none and none can be had."""
        return self._toolchain(python)

    def find(self, lock: Lock) -> Image | None:
        """The environment of a lock where it is made already."""
        interpreter = self._here(lock.python)
        if interpreter is None:
            return None
        folder = venv_folder.place(self._root, lock, interpreter.identity)
        made = venv_folder.installed(folder)
        return _image(folder, made) if made else None

    def make(
        self,
        lock: Lock,
        wheelhouse: Wheelhouse,
        say: Callable[[str], None],
        *,
        labels: Mapping[str, str],  # noqa: ARG002 - an environment has none
    ) -> Image:
        """Install a lock, or find it installed.

        Raises BuildFailedError with the installer's last lines, MachineError where the disk is full.
        """
        toolchain = self._toolchain(lock.python)
        interpreter = toolchain.interpreter
        folder = venv_folder.place(self._root, lock, interpreter.identity)
        with venv_folder.held(folder, alone=True, stopping=self._interrupted):
            made = venv_folder.installed(folder)
            if made:
                return _image(folder, made)
            say(f"installing {counted(len(wheelhouse.wheels), 'package')} for CPython {interpreter.version}")
            made = venv_folder.install(
                folder, toolchain=toolchain, lock=lock, wheels=wheelhouse.wheels, stopping=self._interrupted
            )
            return _image(folder, made)

    def disk(self, folder: JobFolder, limit_bytes: int) -> AbstractContextManager[object]:  # noqa: ARG002
        """Give none: what a job without a container writes is watched."""
        return contextlib.nullcontext()

    def use(self, image: Image) -> bool:
        """Keep an environment from being removed by others until this engine closes; false where it is gone."""
        folder = Path(image.reference)
        hold = contextlib.ExitStack()
        with self._holding:
            if folder not in self._holds:
                while len(self._holds) >= _MOST_HELD:
                    self._holds.pop(next(iter(self._holds))).close()
                hold.enter_context(venv_folder.held(folder, alone=False, stopping=self._interrupted))
                self._holds[folder] = hold
            if not venv_folder.installed(folder):
                self._holds.pop(folder).close()
                return False
        venv_folder.touch(folder)
        return True

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of this machine. Raises MachineError where it has none, or no driver."""
        return gpus_of_this_machine()

    def run(self, image: Image, job: Job) -> Ending:
        """Run one job to its end.

        Raises EngineLostError where its supervisor was lost, MachineError where the environment or the disk's space
        is gone.
        """
        from runner.engines.venv import venv_job  # noqa: PLC0415 - a finished run never gets here

        folder = Path(image.reference)
        with venv_folder.held(folder, alone=False, stopping=self._interrupted):
            made = venv_folder.installed(folder)
            if made is None:
                raise MachineError(f"The environment {folder} was removed meanwhile. Run again: it is made anew.")
            venv_folder.touch(folder)
            shared = venv_folder.base_of(folder, made) if made.base else None
            return venv_job.run(job, folder, self._interrupted, shared=shared)

    def images(self) -> tuple[StoredImage, ...]:
        """Every environment that is made, last used last."""
        found = [(folder, venv_folder.installed(folder)) for folder in venv_folder.environments(self._root)]
        stored = [
            StoredImage(
                reference=str(folder),
                lock_name=made.lock_name,
                size_bytes=venv_folder.size_of(folder, made),
                last_used=datetime.fromtimestamp(venv_folder.last_used(folder), UTC),
            )
            for folder, made in found
            if made
        ]
        return tuple(sorted(stored, key=lambda image: image.last_used))

    def push(self, image: Image, registry: str) -> Image:  # noqa: ARG002 - the protocol's
        """Leave it: an environment is a folder of this machine."""
        return image

    def pull(self, lock: Lock, address: str, say: Callable[[str], None]) -> None:
        """None: as above."""

    def recipe(self, lock: Lock, catalog: Catalog) -> str:  # noqa: ARG002 - the engine's signature
        """Refuse: there are no images here."""
        raise UsageError("A Dockerfile makes an image, and the venv engine makes none: use --engine docker.")

    def room(self) -> Room:
        """The cache folder, and how much is free there."""
        return Room(path=cache_folder(), free_bytes=shutil.disk_usage(cache_folder()).free)

    def remove_image(self, reference: str) -> bool:
        """Remove an environment; false where another runner uses it, or a job runs in it, or it is none of this cache."""
        folder = Path(reference)
        with self._holding:
            if folder in self._holds:
                self._holds.pop(folder).close()
        return folder.parent == self._root and venv_folder.remove(folder)

    def shell_command(self, image: Image, job: Job) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command and the environment variables of a shell in an environment, in a job's world."""
        from runner.engines.venv import venv_job  # noqa: PLC0415

        return venv_job.shell_command(Path(image.reference), job)

    def stop_all(self) -> None:
        """End every job of this engine now, those that would start yet, and the programs that make environments."""
        self._interrupted.set()
        self._processes.stop()

    def sweep(self) -> int:
        """End the processes that killed runners left, and remove the environments that they left half made."""
        from runner.engines import orphans  # noqa: PLC0415 - psutil is not needed to find an environment

        return orphans.end_orphans() + venv_folder.remove_unfinished(self._root)

    def forget_kept(self) -> None:
        """Drop nothing: uv's cache is the user's."""

    def close(self) -> None:
        """Let go of the environments."""
        with self._holding:
            while self._holds:
                self._holds.popitem()[1].close()

    def _toolchain(self, python: str) -> HostToolchain:
        return HostToolchain(interpreter=self._interpreter(python), processes=self._processes)

    def _interpreter(self, python: str) -> Interpreter:
        with self._downloading:
            return self._here(python) or download(python, self._processes)

    def _here(self, python: str) -> Interpreter | None:
        """The newest of this machine; looked for once, not for every lock of a big matrix."""
        if python not in self._known:
            self._known |= {found.minor: found for found in reversed(self._interpreters()) if found.minor == python}
        return self._known.get(python)


def _may_download() -> bool:
    return os.environ.get("UV_PYTHON_DOWNLOADS", "automatic") == "automatic" and "UV_OFFLINE" not in os.environ


def _image(folder: Path, made: venv_folder.Installed) -> Image:
    return Image(
        engine=EngineKind.VENV,
        reference=str(folder),
        lock_digest=made.lock_digest,
        base_identity=made.base_identity,
        python_full=made.python_full,
    )
