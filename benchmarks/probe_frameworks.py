"""What the probe costs a training with JAX, scikit-learn, XGBoost and LightGBM: in pairs, and as its code's share.

The rival is the same training with the probe's wrappers taken out, in the same process. The environments are those of
the kinds of scripts (tests/system/kinds/locks).
"""

from __future__ import annotations

import json
import os
import re
import shutil
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOCKS = Path(__file__).parents[1] / "tests" / "system" / "kinds" / "locks"
PROBE = Path(runner.__file__).parent / "probe"
PAIRS = int(os.environ.get("RUNNER_PAIRS", "20"))
SHARES = 5
ASKED = 0.02
JAX, SKLEARN = "jax-0.4.34+d8639542", "scikit-learn-1.5.2+e51f02bd"
FLAX = """
import functools, jax, optax
import flax.linen as nn
from flax.training.train_state import TrainState
class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(OUTPUTS)(nn.relu(nn.Dense(UNITS)(x)))
x = np.random.rand(SAMPLES, INPUTS).astype("float32")
y = x[:, :OUTPUTS] * 2
model = Network()
state = TrainState.create(apply_fn=model.apply, params=model.init(jax.random.PRNGKey(0), x), tx=optax.adam(1e-3))
@jax.jit
def step(state, x, y):
    loss, change = jax.value_and_grad(lambda params: ((state.apply_fn(params, x) - y) ** 2).mean())(state.params)
    return state.apply_gradients(grads=change), loss
def train():
    global state
    for _ in range(1000):
        state, loss = step(state, x, y)
    loss.block_until_ready()
"""
DATA = """
x = np.random.rand(2000, 20)
y = x.sum(axis=1)
"""
TRAININGS = {
    "flax, 784-256-10 units, batches of 64": (
        JAX,
        FLAX.replace("OUTPUTS", "10").replace("UNITS", "256").replace("SAMPLES", "64").replace("INPUTS", "784"),
    ),
    "flax, 1-1-1 units, batches of 1": (
        JAX,
        FLAX.replace("OUTPUTS", "1").replace("UNITS", "1").replace("SAMPLES", "1").replace("INPUTS", "1"),
    ),
    "scikit-learn, `fit` of an MLP": (
        SKLEARN,
        DATA
        + """
from sklearn.neural_network import MLPRegressor
def train():
    MLPRegressor(hidden_layer_sizes=(50,), max_iter=100, random_state=0).fit(x, y)
""",
    ),
    "scikit-learn, `partial_fit` of an MLP": (
        SKLEARN,
        DATA
        + """
from sklearn.neural_network import MLPRegressor
model = MLPRegressor(hidden_layer_sizes=(50,), random_state=0)
def train():
    for _ in range(100):
        model.partial_fit(x, y)
""",
    ),
    "XGBoost, 100 rounds that are evaluated": (
        SKLEARN,
        DATA.replace("2000", "20000")
        + """
import xgboost
data = xgboost.DMatrix(x, y)
def train():
    xgboost.train({"nthread": 1}, data, 100, evals=[(data, "train")], verbose_eval=False)
""",
    ),
    "LightGBM, 100 rounds that are evaluated": (
        SKLEARN,
        DATA.replace("2000", "20000")
        + """
import lightgbm
def train():
    data = lightgbm.Dataset(x, y)
    lightgbm.train({"num_threads": 1, "verbose": -1}, data, 100, valid_sets=[data])
""",
    ),
}
SCRIPT = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
TRAINING
bootstrap = sys.modules["_runner_probe.enclosing_importlib_bootstrap"]
def epoch():
    began = time.perf_counter(), time.process_time()
    train()
    return time.perf_counter() - began[0], time.process_time() - began[1]
for _ in range(3):  # builds, traces, and finds out what a step is
    epoch()
wrapped = {}
for module in list(sys.modules.values()):
    for value in [module, *list(getattr(module, "__dict__", {}).values())]:
        is_class = issubclass(type(value), type)
        for name, one in list(getattr(value, "__dict__", {}).items()) if value is module or is_class else ():
            owner = value
            if str(type(one).__module__).startswith("sklearn.") and hasattr(one, "fn"):
                owner, name, one = one, "fn", one.fn  # what scikit-learn has under a condition only
            if type(one) is type(epoch) and "enter" in one.__code__.co_freevars and "__wrapped__" in vars(one):
                wrapped[id(one)] = owner, name, one
compiled = [one for one in list(globals().values()) if type(one) is bootstrap.EnclosedCallable]
whole = [bootstrap._parts(one) for one in compiled]
def put(probe):
    for owner, name, one in wrapped.values():
        setattr(owner, name, one if probe else one.__wrapped__)
    for one, parts in zip(compiled, whole):
        bootstrap._put_parts(one, parts if probe else (parts[0], None, None, None))
pairs = []
for number in range(int(sys.argv[1])):
    seconds = {}
    for probe in (False, True) if number % 2 else (True, False):
        put(probe)
        seconds[probe] = epoch()
        whole = [bootstrap._parts(one) for one in compiled] if probe else whole
    pairs.append([seconds[False], seconds[True]])
put(True)
spent = [0.0, 0]
clock = time.thread_time
def timed(function):
    def call(*args):
        began = clock()
        try:
            return function(*args)
        finally:
            spent[0] += clock() - began
            spent[1] += 1
    return call
class Timed:
    def __init__(self, steady):
        for name in ("is_next", "returned", "left"):
            setattr(self, name, timed(getattr(steady, name)))
epoch()
whole = [bootstrap._parts(one) for one in compiled]
for owner, name, one in wrapped.values():
    parts = dict(zip(one.__code__.co_freevars, (cell.cell_contents for cell in one.__closure__)))
    setattr(owner, name, bootstrap.enclosed(parts["original"], timed(parts["enter"]), timed(parts["leave"])))
for one, parts in zip(compiled, whole):
    steady = None if parts[3] is None else Timed(parts[3])
    bootstrap._put_parts(one, (parts[0], timed(parts[1]), timed(parts[2]), steady) if parts[1] else parts)
began = clock()
for _ in range(10000):
    clock()
tick = (clock() - began) / 10000
shares = []
for number in range(int(sys.argv[2])):
    spent[:] = [0.0, 0]
    processor = epoch()[1]
    shares.append((spent[0] - tick * spent[1]) / (processor - 2 * tick * spent[1]))
print(json.dumps({"pairs": pairs, "shares": shares}))
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds (wall, processor) of an epoch or a fit: per pair those without and those with the probe."""

    training: str
    bare: NDArray[np.float64]
    watched: NDArray[np.float64]
    shares: NDArray[np.float64]
    """Of the processor time, the share that was spent in the probe's own code; one an epoch."""


def main() -> None:
    found = [measured(training, *stack) for training, stack in TRAININGS.items()]
    write_csv(
        "probe-frameworks.csv",
        ["training", "bare_wall_s", "probe_wall_s", "bare_processor_s", "probe_processor_s"],
        [
            (one.training, *(f"{value:.6f}" for value in (bare[0], watched[0], bare[1], watched[1])))
            for one in found
            for bare, watched in zip(one.bare, one.watched, strict=True)
        ],
    )
    write("probe-frameworks.md", page(found))


def measured(training: str, stack: str, code: str) -> Measured:
    """Run the pairs; the probe must have seen the training."""
    with tempfile.TemporaryDirectory() as folder:
        python = interpreter(stack, Path(folder, "stack"))
        script, channel = Path(folder, "train.py"), Path(folder, "channel")
        script.write_text(SCRIPT.replace("TRAINING", code))
        channel.touch()
        variables = {"PATH": os.environ["PATH"], "HOME": folder, "JAX_PLATFORMS": "cpu"}
        variables |= {"PYTHONPATH": str(PROBE), "RUNNER_CHANNEL": str(channel)}
        command = [python, script, str(PAIRS), str(SHARES)]
        done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
        assert re.search('"event":"(epoch|loop)"', channel.read_text())
        assert '"event":"probe-error"' not in channel.read_text()
    told = json.loads(done.stdout.splitlines()[-1])
    pairs = np.array(told["pairs"])
    return Measured(training=training, bare=pairs[:, 0], watched=pairs[:, 1], shares=np.array(told["shares"]))


def interpreter(stack: str, folder: Path) -> Path:
    """The Python of an environment of the kinds of scripts."""
    lock = LOCKS / f"{stack}.txt"
    head = dict(line[2:].split(": ", 1) for line in lock.read_text().splitlines() if re.match(r"# \w+: ", line))
    (folder / "locks").mkdir(parents=True)
    shutil.copy(lock, folder / "locks")
    package, version = head["axes"].split("==")
    packages = head["packages"].replace(";", ",")
    text = f"axes: {{{package}: ['{version}']}}\npackages: [{packages}]\nexperiment: {{script: train.py}}\n"
    (folder / "matrix.yaml").write_text(text)
    (folder / "train.py").touch()
    with open_session(Matrix.load(folder / "matrix.yaml"), Options(engine="venv")) as session:
        return Path(session.laboratory.image_of(session.setup, session.groups[0].cells[0]).reference, "bin", "python")


def page(found: list[Measured]) -> str:
    shares = [float(np.median(one.shares)) for one in found]
    head = ["training", "share in the probe", "bare, median", "pairs, wall time", "pairs, processor time"]
    rows = [
        (
            one.training,
            f"{share:.2%} ({one.shares.min():.2%} to {one.shares.max():.2%})",
            f"{np.median(one.bare[:, 0]):.3f} s",
            in_pairs(one.bare[:, 0], one.watched[:, 0]),
            in_pairs(one.bare[:, 1], one.watched[:, 1]),
        )
        for one, share in zip(found, shares, strict=True)
    ]
    missed = [one.training for one, share in zip(found, shares, strict=True) if share > ASKED]
    reached = f"Not reached: {'; '.join(missed)}" if missed else "Reached"
    return f"""# The probe: what it costs with JAX, scikit-learn, XGBoost and LightGBM

{provenance()} Made by `python benchmarks/probe_frameworks.py`; every pair is in
[probe-frameworks.csv](probe-frameworks.csv).

*Share*: of the processor time of an epoch (JAX: 1,000 steps) or fit what was spent in the probe's own code, less what
reading the clock took; median of {SHARES} and their range. *Pairs*: {PAIRS} pairs in one process, the wrappers in place
and taken out, in alternating order; the median of their differences with its 95 % interval. The load average at the end
was {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors: above 1 the pairs measure other work more than the probe.

Asked: at most {ASKED:.0%}. **{reached}** by shares. A network of one unit is what a step of JAX costs at least: its
dispatch, and hardly any arithmetic.

{table(head, rows)}
That what is trained ends bit for bit the same is a test: `tests/system/test_probe_neutral.py`.
"""


def in_pairs(bare: NDArray[np.float64], watched: NDArray[np.float64]) -> str:
    """The median of the pairs' differences as a share, with its 95 % bootstrap interval."""
    each = watched / bare - 1
    drawn = np.random.default_rng(0).choice(each, (10_000, len(each)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return f"{np.median(each):+.1%} ({low:+.1%} to {high:+.1%})"


if __name__ == "__main__":
    main()
