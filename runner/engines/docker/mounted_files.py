"""The files of a job under an engine that shares this machine's: they are mounted where they lie.

`JobFiles` is the face of this and of `copied_files`, for an engine whose files are elsewhere.
"""

from __future__ import annotations

import functools
import os
import stat
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runner.engines.job_limits import disk_bytes
from runner.engines.world import make_places
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from docker.models.containers import Container
    from docker.types import Mount as DockerMount

    from runner.engines.protocol import Job, JobFolder
    from runner.engines.world import TrialWorld

    Place = tuple[Path, str]
    """A file or folder of this machine, and where a container sees it."""


NOBODY = 65532
"""Runs the trials of a runner that is root, and those whose files are copied."""


class JobFiles(Protocol):
    """The way in which files get into containers and out of them. May be used from several threads."""

    are_here: bool
    """True where containers see the files of this machine themselves."""

    def prepare(self, job: Job, world: TrialWorld) -> str:
        """Make the job's folder ready; the user that its container runs as.

        Raises MachineError where that user may not read some of it.
        """
        ...

    def given(
        self, image: str, world: TrialWorld, labels: Mapping[str, str]
    ) -> AbstractContextManager[list[DockerMount]]:
        """All that is mounted in the container of a job, made of `image`; to be left when that is gone."""
        ...

    def look(self, container: Container, job: Job) -> None:
        """Have at home what the job has said of itself up to now."""
        ...

    def written_bytes(self, container: Container, job: Job, pids: Iterable[int], *, enough: int, last: bool) -> int:
        """The bytes that a job holds on disk; may stop to count after `enough`. `last`: it has ended."""
        ...

    def bring(self, container: Container, job: Job) -> bool:
        """Have at home what an ended job left; false where that is more than its disk may hold."""
        ...

    def tools(
        self, image: str, tools: Sequence[Place], folders: Sequence[Place], cache: Place | None
    ) -> AbstractContextManager[tuple[list[DockerMount], Mapping[str, str]]]:
        """What a container of uv is given: files to read, folders to write, uv's cache; where each file is in it."""
        ...

    def tool_user(self, folders: Sequence[Place]) -> str:
        """The user that a container of uv runs as, to whom these folders are given."""
        ...

    def bring_folders(self, container: Container, folders: Sequence[Place]) -> None:
        """Have at home what an ended container of uv left in its folders."""
        ...

    def close(self) -> None:
        """Remove from the engine what was put there for all jobs."""
        ...


class MountedFiles:
    """Files that containers see where they lie (a `JobFiles`)."""

    are_here = True

    def prepare(self, job: Job, world: TrialWorld) -> str:
        """Make the places of all that is mounted, or the engine would make them, as root; the container's user.

        Where the runner is root, what is in the job's folder is given to that user. Raises MachineError where it may
        not read the data.
        """
        make_places(job, world)
        for data in world.data:
            if data.source.is_dir():
                data.place.mkdir(exist_ok=True)
            else:
                data.place.touch()
        if (mine := _not_root()) is not None:
            return mine
        for seen in (*world.read_only, *world.data):
            _check_open(seen.source)
        for path in _everything(job.folder):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return f"{NOBODY}:{NOBODY}"

    def given(
        self,
        image: str,  # noqa: ARG002 - as all do
        world: TrialWorld,
        labels: Mapping[str, str],  # noqa: ARG002
    ) -> AbstractContextManager[list[DockerMount]]:
        """All of this machine that is seen in the container: the job's folder, probe, preludes and mapped data."""
        return nullcontext(
            [
                _bound(some.source, some.target, read_only=read_only)
                for read_only, seen in ((False, world.writable), (True, (*world.read_only, *world.data)))
                for some in seen
            ]
        )

    def look(self, container: Container, job: Job) -> None:
        """Nothing: what the job says is written here."""

    def written_bytes(self, container: Container, job: Job, pids: Iterable[int], *, enough: int, last: bool) -> int:  # noqa: ARG002
        """The bytes that the job holds on this machine's disk."""
        return disk_bytes(job.folder, pids, enough=enough)

    def bring(self, container: Container, job: Job) -> bool:  # noqa: ARG002
        """True: all is here, and the watch has looked at it."""
        return True

    def tools(
        self,
        image: str,  # noqa: ARG002 - as all do
        tools: Sequence[Place],
        folders: Sequence[Place],
        cache: Place | None,
    ) -> AbstractContextManager[tuple[list[DockerMount], Mapping[str, str]]]:
        """The files and folders where they lie."""
        written = (*folders, *filter(None, [cache]))
        mounts = [_bound(source.resolve(), target, read_only=False) for source, target in written]
        mounts += [_bound(source.resolve(), target, read_only=True) for source, target in tools]
        return nullcontext((mounts, {target: target for _, target in tools}))

    def tool_user(self, folders: Sequence[Place]) -> str:
        """This user; where that is root, nobody, whose the folders become."""
        if (mine := _not_root()) is not None:
            return mine
        for folder, _ in folders:
            os.chown(folder, NOBODY, NOBODY)
            for place, inner, files in os.walk(folder):
                for name in (*inner, *files):
                    os.chown(Path(place, name), NOBODY, NOBODY, follow_symlinks=False)
        return f"{NOBODY}:{NOBODY}"

    def bring_folders(self, container: Container, folders: Sequence[Place]) -> None:
        """Nothing: all is here."""

    def close(self) -> None:
        """Nothing was put there."""


def _bound(source: Path, target: str, *, read_only: bool) -> DockerMount:
    from docker.types import Mount  # noqa: PLC0415 - imported by now

    return Mount(target=target, source=str(source), type="bind", read_only=read_only)


def _not_root() -> str | None:
    """This user and group by number; None for root. A system without numbers maps files to whoever asks (Windows)."""
    if not hasattr(os, "getuid"):
        return f"{NOBODY}:{NOBODY}"
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() != 0 else None


@functools.cache
def _check_open(source: Path) -> None:
    """Raise MachineError where only owner or group may read some of what a trial is to see."""
    everything = (Path(place, name) for place, _, files in os.walk(source) for name in ("", *files))
    for path in (source,) if source.is_file() else everything:
        if not _is_open(path):
            raise MachineError(
                f"{path} can't be read by trials: the runner is root and trials are not, and only owner or group may"
                f" read it. Let everybody read it (`chmod -R o+rX {source}`), or start the runner as another user."
            )


def _is_open(path: Path) -> bool:
    """True where everybody may read a file, or enter and list a folder; a link that leads nowhere is no obstacle."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed == needed


def _everything(folder: JobFolder) -> Iterator[Path]:
    yield from (folder.channel, folder.metrics)
    for root in (folder.work, folder.home, folder.tmp):
        yield root
        for place, folders, files in os.walk(root):
            yield from (Path(place, name) for name in (*folders, *files))
