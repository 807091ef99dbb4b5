"""What a trial costs beyond the script's own time, and how near a warm matrix comes to what no order can beat.

- `trial-container`: a trial of a script that does nothing, one at a time in containers, against `docker run` of the
  same image with the same script.
- `trial-venv`: a trial of a script of two seconds under `venv`, against `python script.py` in the same environment.
- `warm-matrix`: `run` of a warm matrix under `venv`, its start included, against the greater of its longest trial and
  all its work (each trial as bare `python script.py`) by the processors.

A trial's time is what a run of 22 seeds takes longer than one of 2, by 20. Ours and the rival take turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import tell

from runner.laboratory.laboratory import Named, open_laboratory
from runner.laboratory.setup import Setup
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix

FEW, MANY, ROUNDS = 2, 22, 3
SCRIPT = """\
import json, os, time
end = time.perf_counter() + float(os.environ.get("LASTS", "0"))
while time.perf_counter() < end:
    pass
with open(os.environ.get("RUNNER_METRICS", os.devnull), "a") as metrics:
    for epoch in range(20):
        print(json.dumps({"epoch": epoch, "loss": 0.5 ** epoch * (1 + time.time() % 1 / 100)}), file=metrics)
"""
"""No two trials are alike: of those that are, no more are run."""
MATRIX = """\
axes:
  six: [1.16.0]
  python: ["3.11"]
  env: [%s]
experiment: {script: train.py}
criterion: loss < 1e-4
seeds: %d
"""
LONG_S = 2.0
WORK_S = (2, 3, 4, 5, 6, 7, 8, 9)
WORK_SEEDS = 3


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("figures", nargs="*", default=["trial-container", "trial-venv", "warm-matrix"])
    chosen = words.parse_args().figures
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "trial-container" in chosen:
            told("trial-container", folder, "docker", 0)
        if "trial-venv" in chosen:
            told("trial-venv", folder, "venv", LONG_S)
        if "warm-matrix" in chosen:
            warm_matrix(folder)


def told(name: str, folder: Path, engine: str, lasts_s: float) -> None:
    """One trial at a time against the bare command, in turn."""
    image = made(folder / engine, f"LASTS={lasts_s}", engine)
    ours, rival = [], []
    for number in range(ROUNDS):
        took = {seeds: ran(folder / f"{engine}-{number}-{seeds}", engine, lasts_s, seeds) for seeds in (FEW, MANY)}
        ours.append((took[MANY] - took[FEW]) / (MANY - FEW))
        rival.append(statistics.fmean(bare(folder / engine, engine, image, lasts_s) for _ in range(MANY - FEW)))
    tell(name, statistics.median(ours), statistics.median(rival))


def made(folder: Path, values: str, engine: str, seeds: int = 1) -> str:
    """The image of a matrix that is written into a folder: its name, or its folder."""
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "matrix.yaml").write_text(MATRIX % (values, seeds))
    matrix = Matrix.load(folder / "matrix.yaml")
    with open_laboratory(folder, Named(engine=engine, base=os.environ.get("RUNNER_BASE", "auto"))) as laboratory:
        return laboratory.image_of(Setup.of(matrix), expand(matrix)[0]).reference


def ran(folder: Path, engine: str, lasts_s: float, seeds: int) -> float:
    """The seconds of a run with so many seeds, one trial at a time."""
    made(folder, f"LASTS={lasts_s}", engine, seeds)
    took = run(folder, engine, "--jobs", "1")
    shutil.rmtree(folder)
    return took


def run(folder: Path, engine: str, *options: str) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "runner", "run", "--engine", engine, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    assert done.returncode in {0, 1}, done.stderr[-2000:]
    return took


def bare(folder: Path, engine: str, image: str, lasts_s: float) -> float:
    """The seconds of the script without us: in a container of the same image, or by the same environment's Python."""
    if engine == "docker":
        command = ["docker", "run", "--rm", "--volume", f"{folder}:/there:ro", "--env", f"LASTS={lasts_s}", image]
        command += ["/env/bin/python", "/there/train.py"]
    else:
        command = [f"{image}/bin/python", "train.py"]
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, "LASTS": str(lasts_s)}, capture_output=True, check=True)
    return time.perf_counter() - begun


def warm_matrix(folder: Path) -> None:
    """A matrix of trials of two to nine seconds on all processors."""
    image = made(folder / "warm", ", ".join(f"LASTS={work}" for work in WORK_S), "venv", WORK_SEEDS)
    work = [bare(folder / "warm", "venv", image, one) for one in WORK_S]
    bound = max(*work, sum(work) * WORK_SEEDS / len(os.sched_getaffinity(0)))
    tell("warm-matrix", run(folder / "warm", "venv"), bound)


if __name__ == "__main__":
    main()
