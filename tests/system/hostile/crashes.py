"""Stops the runner wherever it touches the world, and looks at what the next run makes of it.

For each kind of work there is a folder as it stands before; every fault gets a copy of it. Afterwards the same command
is given without a fault: its table must be that of a run that nothing disturbed, no stored trial may run again, and
nothing may be left. `python crashes.py 500` does so at 500 random places of all, and prints what came of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  python: ["3.7"]
experiment: {script: train.py, timeout: 2m, artifacts: ["*.txt"]}
criterion: loss < 1
seeds: 2
"""
SCRIPT = """\
import json, os, random
start = random.random()
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(3):
        metrics.write(json.dumps({"epoch": epoch, "loss": (0.5 + start / 10) / (epoch + 1)}) + "\\n")
with open("kept.txt", "w") as kept:
    kept.write("kept")
print("done")
"""
ERRORS = ("ENOSPC", "EIO", "EACCES", "EMFILE")
OF_SOCKETS = ("ECONNREFUSED", "ECONNRESET", "ETIMEDOUT")
LIMIT_S = 300.0
BEGUN = ".begun-"
NOT_SHARED = frozenset({"image", "peak_memory_bytes", "epoch_s"})
"""Under venv an image is the path of an environment, which lies in the cache of one copy."""
DOCUMENTED = frozenset({0, 1, 2, 3, 4, 130})


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One kind of work: what stands before it, the command, and what the command works on."""

    name: str
    engine: str
    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    """The commands that make what stands before."""
    shares_cache: bool = True
    """False where the cache is part of what the command makes."""


WORKS = {
    work.name: work
    for work in (
        Work(name="run", engine="venv", command=("run",), before=(("build",),)),
        Work(name="run from nothing", engine="venv", command=("run",), shares_cache=False),
        Work(name="lock", engine="venv", command=("lock",), shares_cache=False),
        Work(name="publish", engine="venv", command=("publish",), before=(("run",),)),
        Work(name="merge", engine="venv", command=("merge", "other"), before=(("run",), ("MOVE",))),
        Work(name="run under docker", engine="docker", command=("run",), before=(("build",),)),
        Work(name="build under docker", engine="docker", command=("build",), before=(("lock",),)),
    )
}


@dataclass(kw_only=True)
class Stage:
    """A kind of work with the folder that it begins in, and the table that comes out undisturbed."""

    work: Work
    home: Path
    table: str = ""
    touches: list[str] = field(default_factory=list)

    @classmethod
    def made(cls, work: Work, home: Path) -> Stage:
        """Make what stands before the work, and look once at what the work touches and comes to."""
        stage = cls(work=work, home=home)
        first = home / "before"
        first.mkdir(parents=True)
        (first / "matrix.yaml").write_text(MATRIX)
        (first / "train.py").write_text(SCRIPT)
        for command in work.before:
            if command == ("MOVE",):
                (first / ".runner").rename(first / "other")
            else:
                done = stage.runner(first, home / "cache", *command)
                assert done.returncode in {0, 1}, done.stderr
        (home / "cache").mkdir(exist_ok=True)
        with stage.copied() as (folder, cache):
            done = stage.faulty("none", 0, folder, cache)
            assert done.returncode in {0, 1}, done.stderr
            stage.touches = (folder.parent / "touches").read_text().splitlines()
            stage.table = stage.tabled(folder, cache)
        return stage

    def trouble(self, fault: str, number: int) -> list[str]:
        """What is wrong after a fault at one place; empty where all is as it must be."""
        with self.copied() as (folder, cache):
            return list(self._troubles(fault, number, folder, cache))

    def _troubles(self, fault: str, number: int, folder: Path, cache: Path) -> Iterator[str]:
        hurt = self.faulty(fault, number, folder, cache)
        said = hurt.stdout + hurt.stderr
        if "Traceback" in said:
            yield f"a traceback: {said[-1500:]}"
        if fault != "kill" and hurt.returncode not in DOCUMENTED:
            yield f"exit code {hurt.returncode}"
        if hurt.returncode not in {0, 1} and fault != "kill" and not hurt.stderr.strip():
            yield "it failed without a word"
        known = stored(folder)
        done = self.runner(folder, cache, *self.work.command)
        if done.returncode not in {0, 1} or "Traceback" in done.stderr:
            yield f"the next run ended with {done.returncode}: {done.stderr[-1500:]}"
        again = known & started(done.stderr)
        if again:
            yield f"ran again though stored: {sorted(again)}"
        if (table := self.tabled(folder, cache)) != self.table:
            yield f"another table: {table}"
        left = [*map(str, left_over(folder)), *map(str, left_over(cache)), *processes(folder)]
        if left:
            yield f"left over: {left}"

    @contextlib.contextmanager
    def copied(self) -> Iterator[tuple[Path, Path]]:
        """A copy of what stands before, and its cache: one of its own where the cache is what is made."""
        place = Path(tempfile.mkdtemp(dir=self.home))
        try:
            shutil.copytree(self.home / "before", place / "matrix", symlinks=True)
            yield place / "matrix", place / "cache" if not self.work.shares_cache else self.home / "cache"
        finally:
            shutil.rmtree(place)

    def faulty(self, fault: str, number: int, folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
        """Do the work with a fault."""
        options = [fault, str(number), str(folder.parent / "touches")]
        return self._python([str(HERE / "faulty.py"), *options, *self._words(self.work.command)], folder, cache)

    def runner(self, folder: Path, cache: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """One command without a fault."""
        return self._python(["-m", "runner", *self._words(command)], folder, cache)

    def tabled(self, folder: Path, cache: Path) -> str:
        """The stored outcomes as the user sees them; without what no two runs share."""
        done = self.runner(folder, cache, "table", "--format", "json")
        if not done.stdout:
            return done.stderr
        rows = json.loads(done.stdout)
        return json.dumps([{k: v for k, v in row.items() if k not in NOT_SHARED} for row in rows])

    def _words(self, command: tuple[str, ...]) -> list[str]:
        named = [] if command[0] == "merge" else ["--engine", self.work.engine]
        matrix = ["--matrix", "matrix.yaml"] if command[0] == "merge" else ["matrix.yaml"]
        return [command[0], *command[1:], *matrix, *named]

    def _python(self, words: list[str], folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
        env = {
            "RUNNER_BASE": "offline",
            **os.environ,
            "RUNNER_CACHE": str(cache),
            "TMPDIR": str(folder.parent),
            "PYTHONPATH": str(REPOSITORY),
        }
        return subprocess.run(
            [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )


_STARTED = re.compile(r"^\[.*?\] (\S+) seed (\d+): started", re.MULTILINE)


def started(errors: str) -> set[tuple[str, int]]:
    """The trials that a run says it started."""
    return {(cell, int(seed)) for cell, seed in _STARTED.findall(errors)}


def stored(folder: Path) -> set[tuple[str, int]]:
    """The trials that are in the store, by cell and seed."""
    path = folder / ".runner" / "records.sqlite"
    if not path.is_file():
        return set()
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as store:
        try:
            records = [json.loads(text) for (text,) in store.execute("SELECT record FROM records")]
        except sqlite3.OperationalError:
            return set()
    return {(",".join(f"{k}={v}" for k, v in record["cell"].items()), record["seed"]) for record in records}


def left_over(folder: Path) -> list[Path]:
    """Files that were on their way to be something, and folders of jobs."""
    found = [path for path in folder.rglob("*") if path.name.startswith(BEGUN)]
    jobs = folder / ".runner" / "jobs"
    found += jobs.iterdir() if jobs.is_dir() else []
    return [path for path in found if "/uv/" not in str(path)]


def processes(folder: Path) -> list[str]:
    """The processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def places(stage: Stage, count: int, random_: random.Random, *, only_kills: bool = False) -> list[tuple[str, int]]:
    """Faults at random places: every second one kills, or all; the others are errors that the place can have."""
    found = []
    for index in range(count):
        number = random_.randrange(1, len(stage.touches) + 1)
        of_socket = stage.touches[number - 1].split()[1].startswith("socket")
        found.append(
            ("kill" if only_kills or index % 2 == 0 else random_.choice(OF_SOCKETS if of_socket else ERRORS), number)
        )
    return found


def main() -> None:
    """`python crashes.py NUMBER [--kills] [WORK…]`."""
    words = [word for word in sys.argv[2:] if word != "--kills"]
    count, names = int(sys.argv[1]), words or list(WORKS)
    random_ = random.Random(int(os.environ.get("RUNNER_SEED", "1")))
    print("| work | places | kills | errors | trouble | seconds |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="crashes-") as home:
            stage = Stage.made(WORKS[name], Path(home) / "stage")
            faults = places(stage, count // len(names), random_, only_kills="--kills" in sys.argv)
            troubles = 0
            for fault, number in faults:
                for trouble in stage.trouble(fault, number):
                    troubles += 1
                    print(f"{name}: {fault} at {stage.touches[number - 1]}: {trouble}", file=sys.stderr, flush=True)
        kills = sum(fault == "kill" for fault, _ in faults)
        figures = (
            f"{len(stage.touches)} | {kills} | {len(faults) - kills} | {troubles} | {time.monotonic() - began:.0f}"
        )
        print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
