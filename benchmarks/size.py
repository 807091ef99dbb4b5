"""The size of a matrix: seconds and memory of each command at 1,000 and 10,000 cells of 5 seeds; `--whole`: 100,000.

Trials are answered at once by a laboratory that makes up their records, each of 10 epochs, so that what is measured is
what the tool itself does with a trial: its key, the ledger, its verdict, the store. Every command is a process of its
own; `growth` is the ratio to the size before, held against that of the sizes. 100,000 cells are planned in any case;
with `--whole` they are run, shown and published, too, which takes some 20 minutes of a processor, and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "tests")]

from runner.__main__ import collect_rarely  # noqa: E402 - as `python -m runner` does, before what is large

collect_rarely()

from fake_engine import FakeEngine, world_of, write_matrix  # noqa: E402 - the tests' folder is on the path by now
from figures import tell  # noqa: E402 - as above

from runner.cli.app import run_command_line  # noqa: E402 - as above
from runner.laboratory.laboratory import Laboratory, Named, open_laboratory  # noqa: E402 - as above
from runner.laboratory.request import Answer  # noqa: E402 - as above
from runner.matrix.matrix_file import Matrix  # noqa: E402 - as above
from runner.session.session import Session  # noqa: E402 - as above
from runner.trials.record import Epoch, Record  # noqa: E402 - as above
from runner.trials.trial import Trial  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.laboratory.request import More, Request
    from runner.laboratory.setup import Setup
    from runner.matrix.cell_id import CellId
    from runner.trials.trial import Setting

SEEDS, EPOCHS = 5, 10
SIZES = (1_000, 10_000)
WHOLE = 100_000
LOOKS = ("table", "show", "publish")
PLAN_S, TRIALS_A_SECOND, MEMORY_MB = 3.0, 1000.0, 1024.0
MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  script: [a.py, b.py]
  env: [{values}]
seeds: 5
criterion: loss < 0.1
"""


class Answering(Laboratory):
    """A laboratory in which no trial takes time: it makes up the records, and keeps them as any other does."""

    def run(self, setup: Setup, requests: Sequence[Request], more: More) -> frozenset[CellId]:
        with self.claimed():
            waiting = deque((request.cell, seed) for request in requests for seed in request.seeds)
            while waiting:
                cell, seed = waiting.popleft()
                lock = self.environments.needed_lock(setup.environment(cell))
                setting = self.records.setting(cell, setup, lock, (self.equipment.engine.kind, "fake-base"))
                record = made_up(setting, seed)
                self.equipment.store.put(record)
                waiting.extend((cell, one) for one in more(Answer(cell=cell, seed=seed, record=record)))
        return frozenset()


@cache
def template() -> Record:
    return Record.model_validate(
        {
            "key": "0" * 32,
            "cell": {"six": "1"},
            "seed": 0,
            "engine": "venv",
            "image": "image",
            "base_identity": "fake-base",
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "duration_s": 1.0,
            "stage": "after-training",
            "exit_code": 0,
            "orderly": True,
            "probe_started": True,
            "python": "3.11.7",
            "phases": [{"name": "fit-1", "planned_epochs": EPOCHS, "finished": True}],
        }
    )


def made_up(setting: Setting, seed: int) -> Record:
    """The record of a trial: every third value of the last axis fails."""
    trial, cell = Trial(setting=setting, seed=seed), setting.cell.id
    noise = random.Random(trial.key)
    last = 1.0 if int(str(cell.get("env")).removeprefix("N=")) % 3 == 0 else 0.01
    epochs = tuple(
        Epoch.model_construct(
            phase="fit-1", epoch=number, logs={"loss": (1.0 if number < 3 else last) + noise.random() / 100}
        )
        for number, level in enumerate([1.0, 0.9, *[last] * (EPOCHS - 2)], 1)
    )
    return template().model_copy(
        update={
            "key": trial.key,
            "cell": dict(cell.pairs),
            "seed": seed,
            "lock": setting.lock.environment.name,
            "lock_digest": setting.lock.digest,
            "epochs": epochs,
        }
    )


def child(words: Sequence[str]) -> int:
    """One command, beside the same fake engine; its seconds of a processor and its memory go to standard error."""
    begun, code = time.process_time(), 0
    if words[0] == "fill":
        with contextlib.ExitStack() as stack:
            named = stack.enter_context(open_laboratory(Path(words[1]).parent, Named(), world=world_of(FakeEngine())))
            laboratory = stack.enter_context(Answering(named.equipment))
            Session(Matrix.load(words[1]), laboratory).run()
    else:
        code = run_command_line(list(words), world_of(FakeEngine()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stderr.write(f"\n{json.dumps([time.process_time() - begun, peak])}\n")
    return code


def measured(*words: str) -> tuple[float, float]:
    """Seconds of a processor and MB of memory of one command."""
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, __file__, "child", *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode in {0, 1}, done.stdout[-500:] + done.stderr[-2000:]
    seconds, peak = json.loads(done.stderr.splitlines()[-1])
    return seconds, peak


def written(folder: str, size: int) -> str:
    """The path of a matrix of so many cells."""
    values = ", ".join(f"N={number}" for number in range(size // 4))
    return str(write_matrix(Path(folder), MATRIX.format(values=values)))


def planned() -> tuple[float, float]:
    """Seconds of a processor and MB of the plan of the largest matrix."""
    with tempfile.TemporaryDirectory() as name:
        return measured("plan", written(name, WHOLE))


def rows(size: int, *, publish: bool) -> dict[str, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as name:
        path = written(name, size)
        found = {"plan": measured("plan", path), "run": measured("fill", path)}
        first = "six=1.15.0,script=a.py,env=N=0"
        found["second run"] = measured("run", path)
        found["plan of the finished"] = measured("plan", path)
        found["table"] = measured("table", path)
        found["show"] = measured("show", first, "--matrix", path)
        if publish:
            found["publish"] = measured("publish", path, "--to", f"{name}/site")
        return found


def compare(found: Mapping[int, Mapping[str, tuple[float, float]]]) -> None:
    """Tell the figures that were asked for, by the sizes that ran."""
    plan_s, plan_mb = found[WHOLE]["plan"] if WHOLE in found else planned()
    print(f"| {WHOLE:,} | plan | {plan_s:.2f} | | {plan_mb:.0f} |", flush=True)
    tell("size-plan", plan_s, PLAN_S)
    runs = {size: rows["run"] for size, rows in found.items()}
    if runs.keys() >= set(SIZES):
        (few_s, few_mb), (many_s, many_mb) = (runs[size] for size in SIZES)
        tell("size-growth", many_s, few_s * SIZES[1] / SIZES[0])
        tell("size-tenth-trials", many_s, SIZES[1] * SEEDS / TRIALS_A_SECOND)
        left = (MEMORY_MB - few_mb) / (WHOLE - SIZES[0])
        tell("size-tenth-memory", many_mb - few_mb, left * (SIZES[1] - SIZES[0]), "MB")
    if WHOLE in runs:
        tell("size-trials", runs[WHOLE][0], WHOLE * SEEDS / TRIALS_A_SECOND)
        tell("size-memory", runs[WHOLE][1], MEMORY_MB, "MB")
    if "publish" in found.get(WHOLE, ()):
        tell("size-looked-at", max(found[WHOLE][name][1] for name in LOOKS), MEMORY_MB, "MB")


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        sys.exit(child(sys.argv[2:]))
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--whole", action="store_true", help="run 100,000 cells, too")
    parser.add_argument("--no-publish", action="store_true")
    asked = parser.parse_args()
    sizes = sorted({*asked.sizes, *([WHOLE] if asked.whole else [])})
    found: dict[int, dict[str, tuple[float, float]]] = {}
    print("| cells of 5 seeds | command | s of a processor | growth | MB at most |\n| --- | --- | --- | --- | --- |")
    for size in sizes:
        found[size] = rows(size, publish=not asked.no_publish)
        before = list(found)[-2] if len(found) > 1 else None
        for name, (seconds, peak) in found[size].items():
            growth = f"{seconds / found[before][name][0]:.1f}" if before else ""
            print(f"| {size:,} | {name} | {seconds:.2f} | {growth} | {peak:.0f} |", flush=True)
        rate = size * SEEDS / found[size]["run"][0]
        print(f"| {size:,} | trials a second | {rate:.0f} | | |", flush=True)
    compare(found)
    print(f"\n{datetime.now(UTC).date()}, {platform.machine()}, CPython {platform.python_version()}")


if __name__ == "__main__":
    main()
