"""A trial before it runs: one cell, one seed, and the key that hashes all that could change its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.engines.protocol import EngineKind, Mount
    from runner.environments.lock import Lock
    from runner.matrix.model import Cell, Experiment, Resources
    from runner.preludes.prelude import Prelude
    from runner.scripts.script import Script

PROBE = Path(__file__).parents[1] / "probe"


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
    """What is changed before the script begins, in this order."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything here that could change a trial's result."""
        experiment, resources = self.experiment, self.resources
        parts = {
            "lock": self.lock.digest,
            "base": self.base_identity,
            "engine": self.engine.value,
            "script": [self.script.path, self.script.digest],
            "data": self.data_digest,
            "args": experiment.args,
            "network": experiment.network,
            "artifacts": experiment.artifacts,
            "env": self.cell.env,
            "import": self.cell.import_flavour,
            "limits": [
                resources.cpus,
                resources.memory_bytes,
                resources.disk_bytes,
                resources.processes,
                experiment.timeout_s,
            ],
            "seeded": self.seeded,
            "probe": probe_version(),
            "preludes": [(prelude.name, prelude.source) for prelude in self.preludes],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One execution of one cell with one seed."""

    setting: Setting
    seed: int

    @cached_property
    def key(self) -> str:
        """32 hex digits: equal keys mean that nothing that could change the result differs."""
        return hashlib.sha256(f"{self.setting.digest} {self.seed}".encode()).hexdigest()[:32]


@cache
def probe_version() -> str:
    """The first 16 hex digits of the SHA-256 over the probe's sources: what rides into a trial is part of its key."""
    digest = hashlib.sha256()
    for file in sorted(PROBE.rglob("*.py")):
        digest.update(file.relative_to(PROBE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
