"""What the probe costs: the processor time of an epoch with it and without it, in interleaved pairs.

Each pair is two short stretches of one training in one process on one processor, one with the probe's wrappers in
place, one with all of them taken out (`probe_pairs.py`). *Cost* is the median of the pairs' differences, by step; of a
training by `fit`, whose cost is by fit, it is spread over the steps of an epoch. *Share* is the cost by the median
time of a bare step, or a bare epoch: nothing is subtracted, the call of a wrapper that does nothing is part of it.
Each training is measured in several processes; the lowest and highest of their shares show how well that repeats.
Processor time does not tell what a training waits for: where the probe reads a number that is not there yet, on a
device, is not in it. `python benchmarks/probe.py [WORD…]` measures only what has one of the words in its row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from measured import provenance, table, write, write_csv
from probe_trainings import TRAININGS, Training

import runner
from runner.trials.channel import read_channel

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "system"), str(Path(__file__).parents[1] / "tests")]

from probe_stacks import session_of  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBE = Path(runner.__file__).parent / "probe"
PROCESSES = 3
ASKED = 0.02


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds of the pairs, (process, pair, bare and watched), and of a bare epoch or stretch by process."""

    training: Training
    pairs: NDArray[np.float64]
    epochs: NDArray[np.float64]

    def by_process(self) -> NDArray[np.float64]:
        """The cost as a share, of each process."""
        return cast("NDArray[np.float64]", np.median(self.pairs[..., 1] - self.pairs[..., 0], axis=1) / self.epochs)

    def share(self) -> float:
        """The cost as a share, of all pairs."""
        return float(np.median(self.pairs[..., 1] - self.pairs[..., 0]) / np.median(self.epochs))

    def step_s(self) -> float:
        """A bare step."""
        return float(np.median(self.epochs)) / (self.training.epoch or self.training.steps)


def main() -> None:
    words = sys.argv[1:]
    chosen = [one for one in TRAININGS if not words or any(word in f"{one.stack} {one.name}" for word in words)]
    found = [measured(training) for training in chosen]
    if not words:
        write_csv(
            "probe.csv",
            ["training", "stack", "process", "bare_s", "probe_s"],
            [
                (one.training.name, one.training.stack, process, f"{bare:.6f}", f"{watched:.6f}")
                for one in found
                for process, pairs in enumerate(one.pairs)
                for bare, watched in pairs
            ],
        )
        write("probe.md", page(found))
    print(rows_of(found))


def measured(training: Training) -> Cost:
    """Run the pairs in processes of their own; the probe must have seen just what it was there for."""
    with tempfile.TemporaryDirectory() as folder, session_of(training.stack, Path(folder)) as session:
        (group,) = session.groups
        lock = session.laboratory.environments.locked(group.environment)
        assert lock is not None
        python = Path(session.laboratory.environments.image(lock).reference, "bin", "python")
        told = [one_process(training, python, Path(folder), number) for number in range(PROCESSES)]
    pairs = np.array([one["pairs"] for one in told])
    epochs = np.median(pairs[..., 0], axis=1)
    if training.epoch:
        epochs = np.array([one["epoch"] for one in told])
    cost = Cost(training=training, pairs=pairs, epochs=epochs)
    print(*row(cost), sep=", ", file=sys.stderr, flush=True)
    return cost


def one_process(training: Training, python: Path, folder: Path, number: int) -> dict[str, list[list[float]]]:
    script, channel = folder / "train.py", folder / "channel"
    script.write_text(training.script)
    channel.write_bytes(b"")
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    variables |= {"PYTHONPATH": str(PROBE), "RUNNER_CHANNEL": str(channel)}
    numbers = (training.steps, training.pairs, training.epoch, number % 2)
    command = [python, Path(__file__).with_name("probe_pairs.py"), script, *map(str, numbers)]
    done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    seen = read_channel(channel, None)
    assert not seen.probe_errors, seen.probe_errors
    if training.is_fit:
        assert len(seen.phases) == told["calls"]
    else:
        assert sum(phase.steps or 0 for phase in seen.phases) == told["steps"]
    return cast("dict[str, list[list[float]]]", told)


def row(cost: Cost) -> tuple[str, ...]:
    each = cost.by_process()
    return (
        cost.training.name,
        cost.training.stack,
        f"{cost.step_s() * 1e6:,.0f} µs",
        f"{cost.share() * cost.step_s() * 1e6:.2f} µs",
        f"{cost.share():.2%} ({each.min():.2%} to {each.max():.2%})",
    )


def rows_of(found: list[Cost]) -> str:
    return table(["training", "stack", "bare step", "cost by step", "share"], map(row, found))


def page(found: list[Cost]) -> str:
    missed = [f"{one.training.name} ({one.training.stack})" for one in found if one.share() > ASKED]
    reached = f"Not reached: {'; '.join(missed)}" if missed else "Reached"
    return f"""# The probe: what it costs

{provenance()} The load average at the end was {os.getloadavg()[1]:.1f}.
Made by `python benchmarks/probe.py`; every pair is in [probe.csv](probe.csv).

Processor time, in pairs: two short stretches of one training, one with the probe's wrappers in place, one with all of
them taken out, in turns, in one process on one processor. *Cost*: the median of the pairs' differences, by step; of a
`fit`, where all that the probe does is done by epoch or by fit, spread over the 3,000 steps of a founding epoch.
*Share*: the cost by the time that a step, or that epoch, takes without the probe; in brackets the lowest and highest
of {PROCESSES} processes. Nothing is subtracted. The founding model is an RNN of one unit with batches of one: its
steps, and those of 1-1-1 units, are what a framework takes to call anything at all, and hardly any arithmetic.

Asked: at most {ASKED:.0%} on the time of an epoch. **{reached}.**

{rows_of(found)}
That what is trained ends bit for bit the same is a test: `tests/system/test_probe_neutral.py`.
"""


if __name__ == "__main__":
    main()
