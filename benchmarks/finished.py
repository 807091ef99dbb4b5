"""A finished matrix of 1,000 cells: seconds of plan, table, show and publish beside what no command can do without.

That is starting Python and reading the file of records, in the same run. The trials are a fake engine's, in a temporary
folder. `table` is taken twice: with the comparisons that the run kept, and with those removed, so that it makes them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "tests")]

from runner.__main__ import collect_rarely  # noqa: E402 - as `python -m runner` does, before what is large

collect_rarely()

from fake_engine import FakeEngine, world_of, write_matrix  # noqa: E402 - the tests' folder is on the path by now
from figures import tell  # noqa: E402 - as above

from runner.cli.app import run_command_line  # noqa: E402 - as above
from runner.matrix.cells import expand  # noqa: E402 - as above
from runner.matrix.matrix_file import Matrix  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.engines.protocol import Job

LIMIT_S = 1.5
"""How long a second run may take."""
VALUES = 500
MATRIX = f"""\
axes:
  six: [1.15.0, 1.16.0]
  env: [{", ".join(f"N={number}" for number in range(VALUES))}]
experiment: {{script: a.py}}
criterion: loss < 0.1
"""
READ = "import pathlib, sys; pathlib.Path(sys.argv[1]).read_bytes()"


def main() -> None:
    if len(sys.argv) > 1:  # a child: one command, beside the same fake engine
        sys.exit(run_command_line(sys.argv[1:], world_of(FakeEngine(losses=losses))))
    with tempfile.TemporaryDirectory() as name:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as with a user, all commands but the first read bytecode
        os.environ["PYTHONPYCACHEPREFIX"] = f"{name}/bytecode"
        path = write_matrix(Path(name), MATRIX)
        seconds(command("run", str(path)), codes=(0, 1))
        cells = expand(Matrix.load(path))
        bare = seconds([sys.executable, "-c", READ, str(Path(name) / ".runner" / "records.sqlite")])
        print(f"{len(cells)} cells; Python started and the file read: {bare:.2f} s")
        tell("finished-matrix", seconds(command("run", str(path)), codes=(0, 1)), LIMIT_S)
        show(bare, "plan", command("plan", str(path)))
        show(bare, "table", command("table", str(path)))
        show(bare, "show", command("show", str(cells[0].id), "--matrix", str(path)))
        show(bare, "publish", command("publish", str(path), "--to", str(Path(name) / "site")))
        for kept in (Path(name) / ".runner" / "comparisons").iterdir():
            kept.unlink()
        show(bare, "table, comparisons made", command("table", str(path)))


def losses(job: Job, seed: int) -> Sequence[float]:
    """Every third value of the axis fails, the others end at a level of their own."""
    value = int(job.labels["cell"].rpartition("N=")[2].split(",")[0])
    noise = random.Random(json.dumps([job.labels["cell"], seed]))
    last = 1.0 if value % 3 == 0 else 0.01
    return [1.0 + noise.random() / 100, 0.9, *(last * (1 + noise.random() / 100) for _ in range(8))]


def command(*words: str) -> list[str]:
    return [sys.executable, __file__, *words]


def seconds(words: Sequence[str], codes: Sequence[int] = (0,)) -> float:
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stdout[-500:] + done.stderr[-2000:]
    return time.perf_counter() - begun


def show(bare: float, name: str, words: Sequence[str]) -> None:
    took = seconds(words, codes=(0, 1))
    print(f"{name:24} {took:6.2f} s, {took / bare:5.0f} times", flush=True)


if __name__ == "__main__":
    main()
