"""The reach of every switch: each one is run on each stack that has what it is about, whatever releases it claims.

`RUNNER_WHEELS=… python benchmarks/reach.py [STACK…]`, with a folder that has PyTorch's wheel, runs one small training a
switch and stack and writes runner/preludes/reach.json, from which docs/switches.md has its second table: where a trial
said that the change was made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.matrix.axes import NO_PRELUDE
from runner.matrix.matrix_file import Matrix
from runner.preludes.prelude import OR, REACH, catalogue, reach, table
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.preludes.prelude import CatalogueSwitch
    from runner.trials.record import Record

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from torch_wheel import torch_wheel  # noqa: E402 - what tests share is no package

STACKS: dict[str, dict[str, str]] = {
    "TensorFlow 1.13.1, Keras 2.2.4": {"tensorflow": "1.13.1", "keras": "2.2.4", "import": "keras"},
    "TensorFlow 1.13.1, tf.keras": {"tensorflow": "1.13.1", "import": "tf.keras"},
    "TensorFlow 2.2.0, Keras 2.3.1": {"tensorflow": "2.2.0", "keras": "2.3.1", "import": "keras", "python": "3.7"},
    "TensorFlow 2.10.1": {"tensorflow": "2.10.1", "import": "tf.keras"},
    "TensorFlow 2.16.1, Keras 3.3.3": {"tensorflow": "2.16.1", "keras": "3.3.3", "import": "keras"},
    "TensorFlow 2.16.1, tf-keras 2.16.0": {"tensorflow": "2.16.1", "tf-keras": "2.16.0", "import": "tf.keras"},
    "JAX 0.4.34, Keras 3.6.0": {"keras": "3.6.0", "backend": "jax", "jax": "0.4.34", "python": "3.11"},
    "PyTorch 2.13.0": {"torch": "2.13.0", "python": "3.11"},
    "scikit-learn 1.5.2, NumPy 1.26.4": {"scikit-learn": "1.5.2", "numpy": "1.26.4", "python": "3.11"},
    "scikit-learn 1.5.2, NumPy 2.1.3": {"scikit-learn": "1.5.2", "numpy": "2.1.3", "python": "3.11"},
}
SCRIPT = """
import numpy as np
try:
    import keras
except ImportError:
    keras = None
try:
    import torch
except ImportError:
    torch = None
if keras is None and torch is not None:
    x = torch.rand(16, 2, 4, 4)
    layers = [torch.nn.Conv2d(2, 2, 2), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(18, 1)]
    for options in ({"fused": True}, {"foreach": True}, {}):
        model = torch.nn.Sequential(*layers)
        step = torch.compile(lambda given: torch.nn.functional.mse_loss(model(given), given.mean((1, 2, 3))[:, None]))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, **options)
        for _ in range(2):
            optimizer.zero_grad()
            step(x).backward()
            optimizer.step()
elif keras is None:
    from sklearn.ensemble import RandomForestClassifier
    x = np.random.RandomState(0).rand(64, 4)
    RandomForestClassifier(5, n_jobs=-1).fit(x, x[:, 0] > 0.5)
else:
    layers = keras.layers
    x = np.random.RandomState(0).rand(16, 4, 4, 2).astype("float32") * 4 + 3
    y = x.mean(axis=(1, 2, 3)).reshape((16, 1))
    extra = [layers.UnitNormalization()] if hasattr(layers, "UnitNormalization") else []
    stack = [layers.BatchNormalization(input_shape=(4, 4, 2)), layers.BatchNormalization(trainable=False)]
    stack += [layers.Conv2D(2, 2), layers.Dropout(0.1), layers.Flatten(), *extra, layers.Dense(1)]
    model = keras.models.Sequential(stack)
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
"""
ACTS, IDLE, BREAKS = "acts", "changes nothing", "breaks"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("stacks", nargs="*", help="some of the stacks; the others stay as they are")
    chosen = words.parse_args().stacks or list(STACKS)
    found = reach()
    for stack in chosen:
        found[stack] = reach_on(STACKS[stack])
        ordered = {name: found[name] for name in STACKS if name in found}
        REACH.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
        print(stack, found[stack], flush=True)
    (REPOSITORY / "docs" / "switches.md").write_text(table(), "utf-8")


def reach_on(values: Mapping[str, str]) -> dict[str, str]:
    """By switch what a trial of it said on a stack; switches about packages that it lacks are left out."""
    names = [switch.name for switch in catalogue().values() if _is_about(switch, values)]
    lines = [f'  {axis}: ["{value}"]' for axis, value in values.items()]
    wheel = torch_wheel() if "torch" in values else None
    packages = f"packages: [numpy, ./{wheel.name}]" if wheel else ""
    experiment = "experiment: {script: train.py, timeout: 10m}"
    text = "\n".join(["axes:", *lines, f"  prelude: [{', '.join([NO_PRELUDE, *names])}]", packages, experiment])
    with tempfile.TemporaryDirectory(prefix="reach-") as folder:
        if wheel:
            shutil.copy(wheel, folder)
        (Path(folder) / "train.py").write_text(SCRIPT, "utf-8")
        (Path(folder) / "matrix.yaml").write_text(text, "utf-8")
        with open_session(Matrix.load(Path(folder) / "matrix.yaml"), Options(engine="venv")) as session:
            outcomes = session.run().outcomes
    without, *with_one = outcomes
    if not all(record.exit_code == 0 for record in without.records):
        raise SystemExit(f"without any switch the script fails on {values}: {without.reason}")
    return dict(sorted((str(one.id.get("prelude")), _said(one.records)) for one in with_one))


def _is_about(switch: CatalogueSwitch, values: Mapping[str, Any]) -> bool:
    about = {canonicalize_name(Requirement(one).name) for text in switch.applies for one in text.split(OR)}
    has = {*values, "numpy"} | ({"keras"} if "tensorflow" in values else set())
    return bool(about & has)


def _said(records: tuple[Record, ...]) -> str:
    runs: Iterator[Any] = (run for record in records for run in record.preludes)
    run = next(runs, None)
    if run is None or not any(record.ran for record in records):
        return BREAKS
    if run.applied:
        return ACTS if all(record.exception is None for record in records) else BREAKS
    return IDLE


if __name__ == "__main__":
    main()
