"""The files of a job under an engine that shares none with this machine: copied in before it starts, and out again.

What a job writes lies in volumes that go with its container. What many jobs read (probe, data, preludes) is put once
into volumes of this runner, which jobs can't write to. What comes home is read as data that an attacker made.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import shutil
import tarfile
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from runner.cache import disk_trouble
from runner.engines.docker.archive import Entry, heads, packed, restored, tree, unpacked
from runner.engines.docker.container import LAYOUT, OWNER, remove
from runner.engines.docker.daemon import engine_errors
from runner.engines.docker.mounted_files import NOBODY
from runner.engines.world import make_places
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from docker.models.containers import Container
    from docker.types import Mount as DockerMount

    from docker import DockerClient
    from runner.engines.docker.mounted_files import Place
    from runner.engines.protocol import Job
    from runner.engines.world import MappedData, TrialWorld


GIVEN = "/runner/given"
"""The volumes of what a job reads are below it."""
LOOK_S = 1.0
"""What a job says is fetched so often, and seldomer where that takes long."""
SIZES_S = 2.0
_INTO = "/into"
_BYTECODE = "__pycache__"
"""Where a volume is filled."""
_MOST_TOOL_BYTES = 16 * 1024**3


class CopiedFiles:
    """Files that are copied into containers and out of them (a `JobFiles`)."""

    are_here = False

    def __init__(self, client: DockerClient, labels: Mapping[str, str]) -> None:
        """Of an engine; the volumes that it makes there have these labels."""
        self._client = client
        self._labels = dict(labels)
        self._guard, self._sizing = threading.Lock(), threading.Lock()
        self._given: dict[object, str] = {}
        self._next_look: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._sizes_until = 0.0

    def prepare(self, job: Job, world: TrialWorld) -> str:
        """Make the job's folder ready. Raises MachineError for a file that can't be where it is wanted."""
        make_places(job, world)
        for data in world.data:
            if _is_beside(data, world) and not data.source.is_dir():
                raise MachineError(
                    f"{data.source} can't be given at {data.target}: the engine shares no files with this machine, and"
                    " beside the working directory it can be given folders alone. Map its folder, or map it into the"
                    " working directory or below ~/."
                )
        return f"{NOBODY}:{NOBODY}"

    @contextlib.contextmanager
    def given(self, image: str, world: TrialWorld, labels: Mapping[str, str]) -> Iterator[list[DockerMount]]:
        """A volume for each folder that the job writes, filled, and those of what it reads; data are links to them."""
        read, links = [_volume(self._same_volume(image, seen.source), seen.target) for seen in world.read_only], []
        for number, data in enumerate(world.data):
            place = f"{GIVEN}/{number}"
            if _is_beside(data, world):
                place = data.target
            else:
                lies = place if data.source.is_dir() else f"{place}/{data.source.name}"
                links.append(Entry(name=data.target[1:], kind=tarfile.SYMTYPE, link=lies, owner=NOBODY))
            read.append(_volume(self._given_volume(image, data.source), place))
        work, home, tmp, channel, metrics = world.writable
        record = posixpath.dirname(channel.target)
        entries: list[Iterable[Entry]] = [[Entry(name=record[1:], kind=tarfile.DIRTYPE)]]
        entries += [
            [Entry(name=file.target[1:], kind=tarfile.REGTYPE, owner=NOBODY, mode=0o644)] for file in (channel, metrics)
        ]
        without = {data.place for data in world.data}
        entries += [tree(one.source, one.target[1:], owner=NOBODY, without=without) for one in (work, home, tmp)]
        targets = [work.target, home.target, tmp.target, record]
        with self._filled(image, targets, chain(*entries, links), labels) as written:
            yield [*written, *read]

    def look(self, container: Container, job: Job) -> None:
        """Fetch what the job has said up to now, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._next_look.get(job.key, 0.0):
            self._fetch_record(container, job)
            self._next_look[job.key] = time.monotonic() + max(LOOK_S, 5 * (time.monotonic() - now))

    def written_bytes(self, container: Container, job: Job, pids: Iterable[int], *, enough: int, last: bool) -> int:  # noqa: ARG002
        """The size of the job's volumes, as the engine counts; asked for every few seconds at most, and at the end."""
        mounts = container.attrs.get("Mounts") or []
        record = posixpath.dirname(LAYOUT.channel)  # has a limit of its own, as where it is mounted
        volumes = {
            mount["Name"]
            for mount in mounts
            if mount.get("Type") == "volume" and mount.get("RW") and mount["Destination"] != record
        }
        with self._sizing:
            now = time.monotonic()
            if last or now >= self._sizes_until or not volumes <= self._sizes.keys():
                self._sizes |= self._asked_sizes()
                self._sizes_until = time.monotonic() + max(SIZES_S, 5 * (time.monotonic() - now))
            return sum(self._sizes.get(volume, 0) for volume in volumes)

    def bring(self, container: Container, job: Job) -> bool:
        """Fetch what the job said, and its working directory."""
        self._next_look.pop(job.key, None)
        self._fetch_record(container, job)
        sent = job.folder.root / "sent"
        job.folder.work.rename(sent)
        job.folder.work.mkdir()
        try:
            with self._archive(container, LAYOUT.work) as chunks:
                return unpacked(chunks, job.folder.work, most_bytes=job.limits.disk_bytes, before=sent)
        finally:
            shutil.rmtree(sent, ignore_errors=True)

    @contextlib.contextmanager
    def tools(
        self, image: str, tools: Sequence[Place], folders: Sequence[Place], cache: Place | None
    ) -> Iterator[tuple[list[DockerMount], Mapping[str, str]]]:
        """A volume for each folder, filled, a volume with each file, and one of this runner for the cache."""
        mounts, places = [], {}
        if cache is not None:
            empty = [Entry(name=_INTO[1:], kind=tarfile.DIRTYPE, owner=NOBODY)]
            mounts.append(_volume(self._kept_volume(image, cache[0], empty), cache[1], read_only=False))
        for number, (source, target) in enumerate(tools):
            place = f"{GIVEN}/{number}"
            mounts.append(_volume(self._given_volume(image, source), place))
            places[target] = f"{place}/{source.name}"
        entries = chain(*(tree(source, target[1:], owner=NOBODY) for source, target in folders))
        with self._filled(image, [target for _, target in folders], entries, {}) as written:
            yield [*mounts, *written], places

    def tool_user(self, folders: Sequence[Place]) -> str:  # noqa: ARG002 - as all do
        """Nobody: what is copied becomes that user's."""
        return f"{NOBODY}:{NOBODY}"

    def bring_folders(self, container: Container, folders: Sequence[Place]) -> None:
        """Fetch what uv left: these are files of a program of ours, links among them.

        Raises EngineLostError where less than all of it comes, MachineError where it can't be written.
        """
        for source, target in folders:
            try:
                for left in source.iterdir():
                    shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
                with self._archive(container, target) as chunks:
                    restored(chunks, source, most_bytes=_MOST_TOOL_BYTES)
            except tarfile.TarError as error:
                raise EngineLostError(f"The Docker engine sent no whole archive of {target}: {error}.") from error
            except OSError as error:
                raise disk_trouble(source, error, 0) from error

    def close(self) -> None:
        """Remove the volumes of this runner."""
        with self._guard:
            while self._given:
                self._remove_volume(self._given.popitem()[1])

    def _remove_volume(self, name: str) -> None:
        """Remove a volume as far as that can be done now: it has this runner's label, and goes with the next one."""
        with contextlib.suppress(MachineError), engine_errors("removing a volume"):
            self._client.api.remove_volume(name, force=True)

    def _given_volume(self, image: str, source: Path) -> str:
        """The volume with a file or folder of this machine, put there at its first use as it is now."""
        return self._kept_volume(image, (source, *_signs(source)), tree(source, _INTO[1:], owner=0))

    def _same_volume(self, image: str, folder: Path) -> str:
        """The volume with a small folder of sources: one for all that hold the same, as the preludes of many jobs do.

        Bytecode stays here: it comes and goes while whoever else imports them on this machine writes it.
        """
        entries = tree(folder, _INTO[1:], owner=0, without=frozenset(folder.rglob(_BYTECODE)))
        return self._kept_volume(image, _content_of(folder), entries)

    def _kept_volume(self, image: str, key: object, entries: Iterable[Entry]) -> str:
        """A volume of this runner, filled when it is wanted first."""
        with self._guard:
            if key not in self._given:
                with engine_errors("copying files to the engine"):
                    name = self._client.api.create_volume(labels=self._labels)["Name"]
                try:
                    with self._container(image, [_volume(name, _INTO, read_only=False)], {}) as filler:
                        self._put(filler, entries)
                except BaseException:
                    self._remove_volume(name)  # half filled: no job may see it
                    raise
                self._given[key] = name
            return self._given[key]

    @contextlib.contextmanager
    def _filled(
        self, image: str, targets: Sequence[str], entries: Iterable[Entry], labels: Mapping[str, str]
    ) -> Iterator[list[DockerMount]]:
        """New volumes with what belongs into them, for a container that sees them at these places; they go in the end.

        They are those of a container that is never started: into one with a root that can't be written, an engine
        copies nothing that says whose a volume is.
        """
        with self._container(image, [_volume(None, target) for target in targets], labels) as filler:
            self._put(filler, entries)
            names = {mount["Destination"]: mount["Name"] for mount in filler.attrs["Mounts"]}
            yield [_volume(names[target], target, read_only=False) for target in targets]

    @contextlib.contextmanager
    def _container(self, image: str, mounts: list[DockerMount], labels: Mapping[str, str]) -> Iterator[Container]:
        """A container that is never started; it goes in the end, with the volumes that are its own."""
        with engine_errors("copying files to the engine"):
            made = self._client.containers.create(
                image, ["-"], labels={**self._labels, **labels}, mounts=mounts, network_mode="none"
            )
        try:
            yield made
        finally:
            remove(made)

    def _put(self, container: Container, entries: Iterable[Entry]) -> None:
        with engine_errors("copying files to the engine"):
            container.put_archive("/", packed(entries))

    @contextlib.contextmanager
    def _archive(self, container: Container, place: str) -> Iterator[Iterable[bytes]]:
        import docker.errors  # noqa: PLC0415 - imported by now

        with engine_errors("copying files from the engine"):
            try:
                chunks, _ = container.get_archive(place)
            except docker.errors.NotFound:
                raise EngineLostError("Somebody outside of this run removed its container.") from None
            try:
                yield chunks
            finally:
                cast("Generator[bytes]", chunks).close()

    def _fetch_record(self, container: Container, job: Job) -> None:
        files = {posixpath.basename(LAYOUT.channel): job.folder.channel}
        files[posixpath.basename(LAYOUT.metrics)] = job.folder.metrics
        with self._archive(container, posixpath.dirname(LAYOUT.channel)) as chunks:
            for name, content in heads(chunks, files, job.limits.channel_bytes + 1):
                with files[name].open("r+b") as file:
                    file.write(content)
                    file.truncate()

    def _asked_sizes(self) -> dict[str, int]:
        """The bytes of each volume; nothing new where the engine is just being asked by somebody else."""
        api: Any = self._client.api
        try:
            with engine_errors("asking for the size of volumes"):
                told = api._result(api._get(api._url("/system/df"), params={"type": "volume"}), True)  # noqa: SLF001
        except EngineLostError as error:
            if "already running" in str(error):
                return {}
            raise
        return {one["Name"]: (one.get("UsageData") or {}).get("Size", 0) for one in told.get("Volumes") or []}


def forget_volumes(client: DockerClient, is_left: Callable[[dict[str, str]], bool]) -> None:
    """Remove the volumes with such labels of ours, as far as nothing uses them."""
    import docker.errors  # noqa: PLC0415 - imported by now

    with engine_errors("looking for volumes that were left"):
        for volume in client.volumes.list(filters={"label": OWNER}):
            if is_left(volume.attrs.get("Labels") or {}):
                with contextlib.suppress(docker.errors.APIError):
                    volume.remove(force=True)


def _volume(name: str | None, target: str, *, read_only: bool | None = None) -> DockerMount:
    from docker.types import Mount  # noqa: PLC0415 - imported by now

    fixed = name is not None if read_only is None else read_only
    return Mount(target=target, source=name, type="volume", read_only=fixed, no_copy=True)


def _is_beside(data: MappedData, world: TrialWorld) -> bool:
    """True for data whose place is in no folder of the job."""
    return not any(data.target.startswith(f"{binding.target}/") for binding in world.writable[:2])


def _content_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if _BYTECODE not in path.parts):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.relative_to(folder).as_posix()!r} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _signs(source: Path) -> Iterator[tuple[str, int, int]]:
    """What shows that a file, or something in a folder, has changed."""
    for path in sorted(source.rglob("*")) if source.is_dir() else (source,):
        status = path.lstat()
        yield path.name, status.st_size, status.st_mtime_ns
