"""One of several runners over a fake engine: `python many_runners.py TRIALS ARGUMENT…`, which is the command line.

Every trial appends its cell, its seed and this process to the file TRIALS, and takes a moment.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / "unit"))

from fake_engine import FakeEngine, world_of, write_matrix  # noqa: F401 - for the test beside

from runner.cli.app import run_command_line
from runner.environments.lock import Layer, LockedPackage
from runner.environments.lockfile import finished
from runner.reports import pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.engines.protocol import Job
    from runner.environments.lock import Environment, Lock


def locked(environment: Environment, **_: object) -> Lock:
    """The lock that `write_matrix` gave the environment."""
    version = environment.pins[0][1]
    packages = [LockedPackage(name="six", version=version, layer=Layer.BASE, hashes=(f"sha256:{'0' * 64}",))]
    as_of = datetime(2021, 6, 1, tzinfo=UTC)
    return finished(environment=environment, python="3.11", as_of=as_of, exemptions=(), packages=packages)


def main() -> int:
    """Run one command."""
    trials, *arguments = sys.argv[1:]

    def losses(job: Job, seed: int) -> Sequence[float]:
        with Path(trials).open("a", encoding="utf-8") as told:
            told.write(f"{job.labels['cell']} {seed} {os.getpid()}\n")
        time.sleep(0.05)
        return (1.0, 0.5, 1e-6 * (seed + 1))

    pages.bundle = lambda: b"// a library"
    world = replace(world_of(FakeEngine(losses=losses)), resolve=locked)
    return run_command_line(arguments, world)


if __name__ == "__main__":
    sys.exit(main())
