"""The founding model's time per epoch with and without the probe: in pairs, and as the share spent in the probe's code.

It is trained by `fit`, and by loops of the script's own. The rival is the same training with the probe's wrappers taken
out of the classes. On a machine with other work such pairs differ by far more than the 2 % that are asked for; the
share of an epoch's processor time that is spent in the probe's code does not depend on that.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measured import provenance, table, write, write_csv

import runner
from runner import Matrix, Options
from runner.session.session import open_session
from runner.trials.channel import read_channel

if TYPE_CHECKING:
    from numpy.typing import NDArray


ROOT = Path(__file__).parents[1]
PROBE = Path(runner.__file__).parent / "probe"
TF1, TF2, KERAS3 = "tensorflow-1.13.1+keras-2.2.4", "tensorflow-2.10.1+keras-2.10.0", "tensorflow-2.16.1+keras-3.3.3"
RUNS = (
    (TF1, "tf.keras", "fit"),
    (TF2, "keras", "fit"),
    (KERAS3, "keras", "fit"),
    (TF1, "tf.keras", "session"),
    (TF2, "keras", "tape"),
    (TF2, "keras", "function"),
    (KERAS3, "keras", "tape"),
    (KERAS3, "keras", "function"),
)
"""Stack, import, and what trains: `fit`, a run of a session a step, a tape that is executed at once, or a function."""
PAIRS = 20
STEPS = 3000
ASKED = 0.02
SCRIPT = """
import json, sys, time
import numpy as np
if sys.argv[1] == "keras":
    import keras
else:
    from tensorflow import keras
x = np.random.rand(int(sys.argv[3]))
y, average = [], np.mean(x)
for sample in x:
    average = 0.8 * average + 0.2 * sample
    y.append(average)
x, y = x.reshape(-1, 1, 1), np.array(y).reshape(-1, 1)
inputs = keras.layers.Input(batch_shape=(1, 1, 1), dtype="float32")
outputs = keras.layers.SimpleRNN(1, stateful=True, activation=None)(inputs)
model = keras.models.Model(inputs, outputs)
WAYS
def fit():
    began = time.perf_counter(), time.process_time()
    train()
    return time.perf_counter() - began[0], time.process_time() - began[1]
fit()  # builds and traces
wrapped = []
for module in list(sys.modules.values()):
    for cls in list(getattr(module, "__dict__", {}).values()):
        for name, method in list(vars(cls).items()) if issubclass(type(cls), type) else ():
            # Not isinstance and getattr: TensorFlow and six have things that import when they are asked.
            file = method.__code__.co_filename if type(method) is type(fit) and "__wrapped__" in vars(method) else ""
            if file.endswith("enclosing_importlib_bootstrap.py"):
                wrapped.append((cls, name, method))
def put(probe):
    for cls, name, method in wrapped:
        setattr(cls, name, method if probe else method.__wrapped__)
pairs = []
for number in range(int(sys.argv[2])):
    seconds = {}
    for probe in (False, True) if number % 2 else (True, False):
        put(probe)
        seconds[probe] = fit()
    pairs.append([seconds[False], seconds[True]])
put(True)
spent = [0.0]
def timed(method):
    parts = dict(zip(method.__code__.co_freevars, (cell.cell_contents for cell in method.__closure__)))
    def inside(function):
        def call(*args):
            began = time.process_time()
            try:
                return function(*args)
            finally:
                spent[0] += time.process_time() - began
        return call
    around = sys.modules["_runner_probe.enclosing_importlib_bootstrap"].enclosed
    return around(parts["original"], inside(parts["enter"]), inside(parts["leave"]))
for cls, name, method in wrapped:
    setattr(cls, name, timed(method))
shares = []
for number in range(5):
    spent[0] = 0.0
    processor = fit()[1]
    shares.append(spent[0] / processor)
methods = len({(cls.__name__, name) for cls, name, method in wrapped})
print(json.dumps({"pairs": pairs, "shares": shares, "methods": methods}))
"""
STEP = """
import tensorflow as tf
optimizer = keras.optimizers.SGD(0.1)
x, y = x.astype("float32"), y.astype("float32")
def step(one, target):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(one, training=True) - target) ** 2)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss
"""
EACH = """
def train():
    for number in range(len(x)):
        step(x[number:number + 1], y[number:number + 1])
"""
WAYS = {
    "fit": """
model.compile(keras.optimizers.SGD(0.1), "mse")
def train():
    model.fit(x, y, batch_size=1, epochs=1, shuffle=False, verbose=0)
""",
    "session": """
import tensorflow as tf
target = tf.placeholder("float32", [1, 1])
loss = tf.reduce_mean((outputs - target) ** 2)
made = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
session = keras.backend.get_session()
session.run(tf.global_variables_initializer())
def step(one, wanted):
    session.run([made, loss], {inputs: one, target: wanted})
"""
    + EACH,
    "tape": STEP + EACH,
    "function": STEP + "step = tf.function(step)" + EACH,
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds (wall, processor) of an epoch: per pair those without and those with the probe."""

    stack: str
    flavour: str
    way: str
    bare: NDArray[np.float64]
    watched: NDArray[np.float64]
    shares: NDArray[np.float64]
    """Of the processor time of an epoch, the share that was spent in the probe's own code; one an epoch."""


def main() -> None:
    found = [measured(*run) for run in RUNS]
    write_csv(
        "probe.csv",
        ["stack", "import", "way", "bare_wall_s", "probe_wall_s", "bare_processor_s", "probe_processor_s"],
        [
            (one.stack, one.flavour, one.way, *(f"{value:.6f}" for value in (bare[0], watched[0], bare[1], watched[1])))
            for one in found
            for bare, watched in zip(one.bare, one.watched, strict=True)
        ],
    )
    write("probe.md", page(found))


def measured(stack: str, flavour: str, way: str) -> Measured:
    """Run the pairs; the probe must have seen just the epochs that it was there for."""
    python = interpreter(stack)
    with tempfile.TemporaryDirectory() as folder:
        script, channel = Path(folder, "train.py"), Path(folder, "channel")
        script.write_text(SCRIPT.replace("WAYS", WAYS[way]))
        channel.touch()
        variables = {"PATH": os.environ["PATH"], "HOME": folder, "TF_CPP_MIN_LOG_LEVEL": "3"}
        variables |= {"PYTHONPATH": str(PROBE), "RUNNER_CHANNEL": str(channel)}
        command = [python, script, flavour, str(PAIRS), str(STEPS)]
        done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
        seen = (
            channel.read_text().count('"event":"epoch"')
            if way == "fit"
            else read_channel(channel, None).phases[0].steps
        )
        assert seen == (PAIRS + 1 + 5) * (1 if way == "fit" else STEPS)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["methods"] >= 5
    pairs = np.array(told["pairs"])
    return Measured(
        stack=stack, flavour=flavour, way=way, bare=pairs[:, 0], watched=pairs[:, 1], shares=np.array(told["shares"])
    )


def interpreter(stack: str) -> Path:
    """The Python of an environment of the founding matrix."""
    with open_session(Matrix.load(ROOT / "matrix.yaml"), Options(engine="venv")) as session:
        cell = next(group.cells[0] for group in session.groups if group.environment.name == stack)
        return Path(session.laboratory.image_of(session.setup, cell).reference, "bin", "python")


def page(found: list[Measured]) -> str:
    shares = [float(np.median(one.shares)) for one in found]
    head = [
        "stack, import",
        "trained by",
        "share in the probe",
        "bare epoch, median",
        "pairs, wall time",
        "pairs, processor time",
    ]
    rows = [
        (
            f"{one.stack}, {one.flavour}",
            one.way,
            f"{share:.2%} ({one.shares.min():.2%} to {one.shares.max():.2%})",
            f"{np.median(one.bare[:, 0]):.2f} s",
            in_pairs(one.bare[:, 0], one.watched[:, 0]),
            in_pairs(one.bare[:, 1], one.watched[:, 1]),
        )
        for one, share in zip(found, shares, strict=True)
    ]
    return f"""# The probe: what it costs

{provenance()} Made by `python benchmarks/probe.py`; every pair is in [probe.csv](probe.csv).

The founding model (a stateful SimpleRNN of one unit, batches of one: steps are as short as steps get) is trained for
one epoch of {STEPS:,} steps, as many as a founding epoch has: by `fit`, where all that the probe does is in it, also
what it does once a fit (digests of the weights); by runs of a session (`session`); by a tape that is executed at once
(`tape`), and by one in a `tf.function` (`function`).

*Share*: of the processor time of an epoch what was spent in the probe's own code, median of {len(found[0].shares)}
epochs and their range. *Pairs*: {PAIRS} pairs of epochs in one process, the wrappers in place and taken out, in
alternating order; the median of their differences with its 95 % interval. The load average at the end was
{os.getloadavg()[1]:.1f} on {os.cpu_count()} processors: above 1 the pairs measure the other work more than the probe.
Where wall time differs and processor time does not, the fit waited: tf.data's tuning thread sleeps for 10, 20, 40 ms
and so on, and an iterator that ends waits until it wakes; it does so without the probe too.

Asked: at most {ASKED:.0%} on the time per epoch. **{"Reached" if max(shares) <= ASKED else "Not reached"}** by shares.

{table(head, rows)}
That final weights are the same bits is a test: `tests/system/test_probe_neutral.py`.
"""


def in_pairs(bare: NDArray[np.float64], watched: NDArray[np.float64]) -> str:
    """The median of the pairs' differences as a share, with its 95 % bootstrap interval."""
    each = watched / bare - 1
    drawn = np.random.default_rng(0).choice(each, (10_000, len(each)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return f"{np.median(each):+.1%} ({low:+.1%} to {high:+.1%})"


if __name__ == "__main__":
    main()
