"""Planning 100,000 cells: the bare product of the axes, `expand`, and the whole command with its peak memory."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix

AXES = {"tensorflow": [f"1.{n}" for n in range(10)], "keras": [f"2.{n}" for n in range(10)]}
VARIABLES = [f"N={n}" for n in range(1000)]
LIMIT_S, LIMIT_MB = 3.0, 500


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = _write(folder)
        begun = time.perf_counter()
        product = [
            dict(zip((*AXES, "env"), values, strict=True)) for values in itertools.product(*AXES.values(), VARIABLES)
        ]
        bare_s = time.perf_counter() - begun
        begun = time.perf_counter()
        cells = expand(Matrix.load(path))
        expand_s = time.perf_counter() - begun
        assert [dict(cell.id.values) for cell in cells] == product
        begun = time.perf_counter()
        command = [sys.executable, "-m", "runner", "plan", str(path), "--engine", "venv"]
        done = subprocess.run(command, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True)
        plan_s = time.perf_counter() - begun
        plan_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(done.stdout.splitlines()[-1])
    print(f"{len(cells):,} cells")
    print(f"bare itertools.product   {bare_s:6.2f} s")
    print(f"loading and expanding    {expand_s:6.2f} s   {expand_s / bare_s:.1f} times the product")
    print(
        f"the whole command        {plan_s:6.2f} s   {plan_mb:.0f} MB at most   {plan_s / bare_s:.1f} times the product"
    )
    reached = plan_s < LIMIT_S and plan_mb < LIMIT_MB
    print(f"asked: {LIMIT_S:g} s and {LIMIT_MB} MB: {'reached' if reached else 'not reached'}")


def _write(folder: Path) -> Path:
    (folder / "train.py").write_text("import keras\n")
    axes = "".join(f"  {name}: [{', '.join(versions)}]\n" for name, versions in AXES.items())
    path = folder / "matrix.yaml"
    path.write_text(f"axes:\n{axes}  env: [{', '.join(VARIABLES)}]\nexperiment: {{script: train.py}}\n")
    return path


if __name__ == "__main__":
    main()
