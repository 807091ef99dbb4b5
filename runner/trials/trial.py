"""A trial before it runs: one cell, one seed, its data, and the key that hashes all that could change its result."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runner.code_digest import code_digest
from runner.engines.protocol import Mount
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from runner.engines.protocol import EngineKind
    from runner.environments.lock import Lock
    from runner.matrix.model import Cell, DataMapping, Experiment, Resources
    from runner.preludes.prelude import Prelude
    from runner.scripts.script import Script
    from runner.trials.record import Record
    from runner.trials.store import Store


PROBE = Path(__file__).parents[1] / "probe"
_FORMER_PROBE = "2401acdc4658acdc"
"""The probe in keys of version 0.1.0, which hashed its bytes. It reported what the present probe reports."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that the trials of one cell share; `base_identity` is what the lock does not pin (see Image)."""

    cell: Cell
    lock: Lock
    script: Script
    experiment: Experiment
    resources: Resources
    mounts: tuple[Mount, ...]
    data_digest: str
    engine: EngineKind
    base_identity: str
    seeded: bool = True
    preludes: tuple[Prelude, ...] = ()
    """The preludes that run before the script begins, in this order."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything here that could change a trial's result; of code, over what it does."""
        return self._digest_with(
            script=self.script.digest,
            probe=probe_version(),
            preludes=[(prelude.name, prelude.digest) for prelude in self.preludes],
        )

    @property
    def former_digest(self) -> str:
        """The digest as version 0.1.0 made it: of code, over its bytes."""
        return self._digest_with(
            script=self.script.bytes_digest,
            probe=_FORMER_PROBE,
            preludes=[(prelude.name, prelude.source) for prelude in self.preludes],
        )

    def _digest_with(self, *, script: str, probe: str, preludes: list[tuple[str, str]]) -> str:
        experiment, resources = self.experiment, self.resources
        parts = {
            "lock": self.lock.digest,
            "base": self.base_identity,
            "engine": self.engine.value,
            "script": [self.script.path, script, *([experiment.module] if experiment.module else [])],
            "data": self.data_digest,
            "args": [*experiment.args, *self.cell.args],
            "network": experiment.network,
            "artifacts": experiment.artifacts,
            "env": experiment.variables(self.cell),
            "import": self.cell.import_flavour,
            "limits": [
                resources.cpus,
                resources.memory_bytes,
                resources.disk_bytes,
                resources.processes,
                experiment.timeout_s,
                *([["gpus", resources.gpus, resources.trials_per_gpu]] if resources.gpus else []),
            ],
            "seeded": self.seeded,
            "probe": probe,
            "preludes": preludes,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One execution of one cell with one seed."""

    setting: Setting
    seed: int
    pair: str = ""
    """Shared with the trials of other cells that run in turn on the same processors; changes nothing that it does."""

    @cached_property
    def key(self) -> str:
        """32 hex digits: equal keys mean that nothing that could change the result differs."""
        return _key(self.setting.digest, self.seed)


_FEW = 20
"""Settings whose keys are looked for one by one; of more, most are not there, and all that are there are read first."""
_AT_ONCE = 100
"""The records of so many settings are read at once."""


def stored_trials(
    store: Store, settings: Sequence[Setting], seeds: Iterable[int], counts: Callable[[Setting, Record], bool]
) -> Iterator[dict[int, Record]]:
    """The finished trials of each setting by seed, those with a key of version 0.1.0 too, but for what counts not.

    Each is read when it is its turn.
    """
    wanted = list(seeds)
    there = set(store.keys()) if len(settings) > _FEW else None
    former = there is None or _has_others(there, settings, wanted)

    def keys(digest: str) -> dict[str, int]:
        made = {_key(digest, seed): seed for seed in wanted}
        return made if there is None else {key: seed for key, seed in made.items() if key in there}

    for start in range(0, len(settings), _AT_ONCE):
        part = settings[start : start + _AT_ONCE]
        asked = [(keys(setting.former_digest) if former else {}, keys(setting.digest)) for setting in part]
        found = store.get(key for both in asked for one in both for key in one)
        for setting, both in zip(part, asked, strict=True):
            own = [(seed, found[key]) for one in both for key, seed in one.items() if key in found]
            yield {seed: record for seed, record in own if counts(setting, record)}


def _has_others(there: Collection[str], settings: Sequence[Setting], seeds: Sequence[int]) -> bool:
    """True where the store has trials that are none of these by their present keys.

    Else it need not be asked for those of version 0.1.0, whose digests take as long as all else.
    """
    others = sum(not key.startswith("blocked-") for key in there)
    return others > sum(_key(setting.digest, seed) in there for setting in settings for seed in seeds)


def _key(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{digest} {seed}".encode()).hexdigest()[:32]


@cache
def probe_version() -> str:
    """The version of the probe that rides into every trial."""
    return code_version(PROBE)


def code_version(probe: Path) -> str:
    """The first 16 hex digits of a SHA-256 over what the sources of a probe in a folder do, without its tools."""
    digest = hashlib.sha256()
    for file in [*sorted((probe / "_runner_probe").rglob("*.py")), probe / "sitecustomize.py"]:
        digest.update(f"{file.relative_to(probe).as_posix()} {code_digest(file.read_bytes())}\n".encode())
    return digest.hexdigest()[:16]


def mounts_of(data: Sequence[DataMapping], folder: Path) -> tuple[Mount, ...]:
    """The mounts of a matrix's `data:`, relative sources taken from the matrix's folder."""
    return tuple(Mount(source=(folder / mapping.source).resolve(), target=mapping.target) for mapping in data)


def data_digest_of(mounts: Sequence[Mount], store: Store) -> str:
    """SHA-256 over the targets and the contents of all files; a file is read again only when its size or time changed.

    Raises UsageError where a file can't be read.
    """
    digest = hashlib.sha256()
    for mount in mounts:
        for file in files_below(mount.source):
            digest.update(
                f"{mount.target} {file.relative_to(mount.source).as_posix()} {_sha256(file, store)}\n".encode()
            )
    return digest.hexdigest()


def files_below(source: Path) -> Iterator[Path]:
    """The files of a folder, by name, links followed; a file is its own."""
    if not source.is_dir():
        yield source
        return
    seen: set[str] = set()
    for folder, folders, names in os.walk(source, onerror=_refused, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(folders)  # a link that leads back up is walked once
        seen.add(real)
        yield from (file for name in sorted(names) if (file := Path(folder, name)).is_file())


def _refused(error: OSError) -> NoReturn:
    raise UsageError(f"The data folder {error.filename} can't be read: {error.strerror}.") from error


def _sha256(file: Path, store: Store) -> str:
    try:
        stat = file.stat()
        known = store.known_hash(str(file), stat.st_size, stat.st_mtime_ns)
        if known:
            return known
        with file.open("rb") as stream:
            fresh = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"The data file {file} can't be read: {error.strerror}.") from error
    store.keep_hash(str(file), stat.st_size, stat.st_mtime_ns, fresh)
    return fresh
