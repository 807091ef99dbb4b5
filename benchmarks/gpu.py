"""What a machine with GPUs shows: `python benchmarks/gpu.py` runs small trainings on one and without, on both engines.

There was none where this was developed; docs/gpus.md says what was never run. Each line of the table says what a
trial should have seen and what it saw. Exit code 1 where one differs.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from runner.engines.gpu import gpus_of_this_machine
from runner.errors import RunnerError
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import open_session

TENSORFLOW = """
import tensorflow as tf
print("DEVICES", len(tf.config.list_physical_devices("GPU")))
model = tf.keras.Sequential([tf.keras.layers.Dense(4096, activation="relu"), tf.keras.layers.Dense(1)])
model.compile(loss="mse", optimizer="sgd")
x = tf.random.normal((8192, 1024))
model.fit(x, x[:, :1], epochs=5, batch_size=1024, verbose=0)
print("PLACED", model.weights[0].device if hasattr(model.weights[0], "device") else model.weights[0].value.device)
"""
TORCH = """
import os, json, time, torch
print("DEVICES", torch.cuda.device_count())
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Sequential(torch.nn.Linear(1024, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 1)).to(device)
x = torch.randn(8192, 1024, device=device)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for epoch in range(5):
    loss = ((model(x) - x[:, :1]) ** 2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    print("loss", float(loss))
print("PLACED", next(model.parameters()).device)
"""
STACKS = {("tensorflow", "2.16.1"): TENSORFLOW, ("torch", "2.5.1"): TORCH}
MATRIX = """\
axes: {{{package}: [{version}]}}
experiment: {{script: train.py, timeout: 10m}}
metrics: {{loss: 'loss (\\S+)'}}
resources: {{gpus: {gpus}, memory: 16g, processes: 2048}}
flavour: full
seeds: 1
"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one trial came to."""

    gpus: int
    devices: str
    placed: str
    record: str
    seconds: float

    @property
    def is_right(self) -> bool:
        """True where it saw as many devices as it asked for, was placed on one, and the record has its kind."""
        on_gpu = "gpu" in self.placed.lower() or "cuda" in self.placed.lower()
        return self.devices == str(self.gpus) and on_gpu is bool(self.gpus) and bool(self.record) is bool(self.gpus)


def seen(folder: Path, stack: tuple[str, str], engine: str, gpus: int) -> Seen:
    """Run one trial and read what it printed."""
    package, version = stack
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(STACKS[stack])
    (folder / "matrix.yaml").write_text(MATRIX.format(package=package, version=version, gpus=gpus))
    with open_session(Matrix.load(folder / "matrix.yaml"), Options(engine=engine)) as session:
        record = session.run().outcomes[0].records[0]
    said = dict(line.split(" ", 1) for line in record.log_tail.splitlines() if line.startswith(("DEVICES ", "PLACED ")))
    return Seen(
        devices=said.get("DEVICES", "?"),
        placed=said.get("PLACED", record.message or "?"),
        record=record.device or "",
        gpus=gpus,
        seconds=record.duration_s,
    )


def line_of(folder: Path, stack: tuple[str, str], engine: str, gpus: int) -> tuple[str, bool]:
    """One line of the table, and whether all in it is as it should be."""
    head = f"| {' '.join(stack)} | {engine} | {gpus} |"
    try:
        one = seen(folder, stack, engine, gpus)
    except RunnerError as error:
        return f"{head} | {' '.join(str(error).split())} | | | NOT RUN |", False
    told = "as it should" if one.is_right else "WRONG"
    return f"{head} {one.devices} | {one.placed} | {one.record} | {one.seconds:.1f} | {told} |", one.is_right


def main() -> int:
    """Run all of them; 1 where one saw something else than it should have, or there is no GPU."""
    try:
        print(", ".join(gpu.model for gpu in gpus_of_this_machine()), end="\n\n")
    except RunnerError as error:
        print(error, file=sys.stderr)
        return 1
    print("| stack | engine | gpus | devices seen | placed on | record | s | |\n" + "| --- " * 8 + "|")
    right = True
    with tempfile.TemporaryDirectory() as root:
        for number, (stack, engine, gpus) in enumerate(product(STACKS, ("venv", "docker"), (1, 0))):
            line, is_right = line_of(Path(root, str(number)), stack, engine, gpus)
            print(line, flush=True)
            right &= is_right
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
