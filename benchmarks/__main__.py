"""All figures that were asked for: `python -m benchmarks [FIGURE…]` runs their benchmarks and writes RESULTS.md.

What is not run keeps its last figures, each with its day and machine (results.json). `--table` runs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from figures import KEPT  # noqa: E402 - the benchmarks are scripts, and this folder is on their path only
from measured import machine  # noqa: E402 - as above


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A figure to reach: at most so many times the rival, by a benchmark's command."""

    what: str
    rival: str
    most: float
    command: tuple[str, ...]
    only_named: bool = False
    """Too long to be measured unless it is named."""


ASKED = {
    "trial-container": Asked(
        what="time that a trial costs beyond the script's own, in a container",
        rival="bare `docker run` of the same image",
        most=1.3,
        command=("trials.py", "trial-container"),
    ),
    "trial-venv": Asked(
        what="a trial of a script of 2 s under venv", rival="bare `python script.py`", most=1.1,
        command=("trials.py", "trial-venv"),
    ),
    "warm-matrix": Asked(
        what="wall time of a matrix, warm",
        rival="the greater of its longest trial and all its work / processors",
        most=1.05,
        command=("trials.py", "warm-matrix"),
    ),
    "cluster-matrix": Asked(
        what="the same over a Dask cluster of 3 workers", rival="the same bound", most=1.10,
        command=("cluster.py", "cluster-matrix", "--venv"),
    ),
    "cluster-trial": Asked(
        what="what the cluster adds to a trial of 0 s",
        rival="`Client.submit` of a function that starts the same",
        most=1.3,
        command=("cluster.py", "cluster-trial"),
    ),
    "finished-matrix": Asked(
        what="second run of a finished matrix of 1,000 cells", rival="1.5 s", most=1.0, command=("finished.py",)
    ),
    "first-outcomes": Asked(
        what="first outcome of every cell, founding matrix, empty cache, 2 processors",
        rival="the downloads and one run of each, in turn",
        most=1.3,
        command=("first_outcomes.py",),
    ),
    "further-environment": Asked(
        what="a further environment on the same TensorFlow, venv",
        rival="`uv pip install` with a warm cache, bytecode compiled",
        most=1 / 5,
        command=("environments.py",),
    ),
    "nine-images-time": Asked(
        what="images of 3 x 3 versions", rival="plain Dockerfiles", most=1 / 5, command=("build.py",)
    ),
    "nine-images-disk": Asked(what="their disk", rival="plain Dockerfiles", most=1 / 3, command=("build.py",)),
    "seeds-clear": Asked(
        what="seeds for a decision, of cells that succeed nearly always or nearly never",
        rival="a fixed plan",
        most=1 / 2,
        command=("seeds.py",),
    ),
    "seeds-any": Asked(
        what="the same, over rates of success spread evenly from 0 to 1", rival="a fixed plan", most=1 / 2,
        command=("seeds.py",),
    ),
    "sparse-flips": Asked(
        what="planted matrices in which few cells show other flips than all", rival="all 300 of them", most=0.05,
        command=("planted_matrices.py", "--ways", "2"),
    ),
    "sparse-cells": Asked(
        what="cells that `cells: pairwise` runs of them, at most", rival="all cells", most=0.30,
        command=("planted_matrices.py", "--ways", "2"),
    ),
    "size-plan": Asked(what="plan of 100,000 cells of 5 seeds", rival="3 s", most=1.0, command=("size.py",)),
    "size-growth": Asked(
        what="a run of 10,000 cells of 5 seeds", rival="10 times that of 1,000", most=1.1, command=("size.py",)
    ),
    "size-tenth-trials": Asked(
        what="50,000 trials of 10,000 cells through ledger and store", rival="1 ms each", most=1.0,
        command=("size.py",),
    ),
    "size-tenth-memory": Asked(
        what="memory that 9,000 cells of 5 seeds take beyond 1,000",
        rival="their share of what 1 GiB leaves to 99,000",
        most=1.0,
        command=("size.py",),
    ),
    "size-trials": Asked(
        what="500,000 trials of 100,000 cells through ledger and store", rival="1 ms each", most=1.0,
        command=("size.py", "--whole"), only_named=True,
    ),
    "size-memory": Asked(
        what="memory of that, at most", rival="1 GiB", most=1.0, command=("size.py", "--whole"), only_named=True
    ),
    "size-looked-at": Asked(
        what="memory that `table`, `show` and `publish` of them take, at most",
        rival="1 GiB",
        most=1.0,
        command=("size.py", "--whole"),
        only_named=True,
    ),
}  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--table", action="store_true", help="write RESULTS.md of what is kept, and run nothing")
    words.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(ASKED)}; all but those of 100,000 cells"
    )
    chosen = words.parse_args()
    if unknown := set(chosen.figures) - set(ASKED):
        words.error(f"there is no figure {', '.join(sorted(unknown))}")
    kept: dict[str, Any] = json.loads((HERE / "results.json").read_text()) if (HERE / "results.json").exists() else {}
    failed = []
    short = [name for name, asked in ASKED.items() if not asked.only_named]
    wanted = [] if chosen.table else chosen.figures or short
    for command, _ in groupby(wanted, lambda name: ASKED[name].command):
        told = figures_of(command)
        failed += [] if told else [" ".join(command)]
        kept |= told
        (HERE / "results.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    (HERE / "RESULTS.md").write_text(page(kept))
    print(page(kept))
    if failed:
        sys.exit(f"These told nothing: {'; '.join(failed)}.")


def figures_of(command: tuple[str, ...]) -> dict[str, Any]:
    """The figures that a benchmark tells, by name, with the load that it found; none where it fails."""
    load = round(os.getloadavg()[0], 1)
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        words = [sys.executable, str(HERE / command[0]), *command[1:]]
        subprocess.run(words, env={**os.environ, KEPT: file.name}, check=False)
        told = [json.loads(line) for line in file]
    where = {"day": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "load": load}
    return {one["name"]: {**one, **where} for one in told}


def page(kept: dict[str, Any]) -> str:
    """RESULTS.md: a row a figure, in the order in which they are asked for."""
    lines = [
        "# Figures to reach",
        "",
        "Made by `python -m benchmarks`; both sides are of one run, told of by the last columns. Smaller is better.",
        "",
        "| what | ours | rival | | ratio | asked | reached | day | machine |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- | --- | --- |",
    ]
    for name, asked in ASKED.items():
        one = kept.get(name)
        if one is None:
            lines.append(f"| {asked.what} | | | {asked.rival} | | {asked.most:.3g} | not measured | | |")
            continue
        ratio = one["ours"] / one["rival"]
        reached = "yes" if ratio <= asked.most else "**no**"
        load = f", load of others {one['load']}" if "load" in one else ""
        ours, rival = f"{one['ours']:.3g} {one['unit']}", f"{one['rival']:.3g} {one['unit']}"
        lines.append(
            f"| {asked.what} | {ours} | {rival} | {asked.rival} | {ratio:.3g} | {asked.most:.3g} | {reached} "
            f"| {one['day']} | {one['machine']}{load} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
