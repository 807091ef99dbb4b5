"""The first outcome of every cell of the founding matrix, from an empty cache, against what no order can spare.

The rival is all downloads (the files of all its locks, each once, nothing beside) and one run of each cell, one after
the other, as long as the trial took in ours. Needs the package index; `--engine venv` unless told otherwise. Long.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from figures import tell

from runner.environments.index.catalog import Catalog
from runner.environments.interpreters import HostToolchain, newest_of
from runner.environments.lockfile import lock_path, read
from runner.environments.wheelhouse import fetch
from runner.laboratory.setup import Setup, groups_of
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix

ROOT = Path(__file__).parents[1]
ENDED = re.compile(r"^\[ *(?P<at>[\d.]+) s\] (?P<cell>\S+) seed \d+: .*\((?P<took>[\d.]+) s\)$", re.MULTILINE)
"""The line that `run` writes when a trial has ended."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--engine", default="venv")
    words.add_argument("--matrix", default="matrix.yaml")
    chosen = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("experiments", "locks"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / chosen.matrix, folder / "matrix.yaml")
        os.environ["RUNNER_CACHE"] = str(folder / "empty")
        first, took = ran(folder, chosen.engine)
        os.environ["RUNNER_CACHE"] = str(folder / "downloads")
        downloads = fetched(Matrix.load(folder / "matrix.yaml"))
    print(f"{len(first)} cells; their first trials took {sum(took.values()):.0f} s, the downloads {downloads:.0f} s")
    tell("first-outcomes", max(first.values()), downloads + sum(took.values()))


def ran(folder: Path, engine: str) -> tuple[dict[str, float], dict[str, float]]:
    """When the first trial of each cell had ended, and how long it took, in seconds; of a run that was stopped then."""
    cells = len(expand(Matrix.load(folder / "matrix.yaml")))
    command = [sys.executable, "-m", "runner", "run", "--engine", engine]
    first: dict[str, float] = {}
    took: dict[str, float] = {}
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if (found := ENDED.match(line.rstrip())) and found["cell"] not in first:
                first[found["cell"]], took[found["cell"]] = float(found["at"]), float(found["took"])
            if len(first) == cells:
                process.terminate()
                break
        process.stderr.read()
    assert len(first) == cells, f"{len(first)} of {cells} cells had an outcome"
    return first, took


def fetched(matrix: Matrix) -> float:
    """The seconds of all files of the matrix's locks, fetched into an empty cache, and of building what must be."""
    catalog, setup = Catalog(), Setup.of(matrix)
    begun = time.perf_counter()
    for group in groups_of(setup, expand(matrix)):
        lock = read(lock_path(matrix.folder / "locks", group.environment), group.environment)
        toolchain = partial(HostToolchain, newest_of(lock.python))
        fetch(lock, catalog=catalog, toolchain=toolchain, say=lambda _: None)
    took = time.perf_counter() - begun
    catalog.connection.close()
    return took


if __name__ == "__main__":
    main()
