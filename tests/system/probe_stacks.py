"""Runs a script with real TensorFlow and Keras, with the probe and without it, on one processor.

More than one processor makes TensorFlow's own order of operations vary: native Keras 2.2.4 reads and writes the state
of a stateful layer in a race, and ends in other weights from run to run.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import REPOSITORY
from jsonschema import Draft202012Validator
from torch_wheel import TORCH, beside, torch_wheel
from waiting import PATIENCE_S

import runner
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import Session, open_session
from runner.trials.channel import Channel, read_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PROBE = Path(runner.__file__).parent / "probe"
TF1 = "tensorflow-1.13.1+keras-2.2.4"
TF2 = "tensorflow-2.10.1+keras-2.10.0"
KERAS3 = "tensorflow-2.16.1+keras-3.3.3"
STACKS = (TF1, TF2, KERAS3)
"""Those of the founding matrix, which other tests install too."""
JAX = "jax-0.4.34+d8639542"
SKLEARN = "scikit-learn-1.5.2+e51f02bd"
"""Those of the kinds of scripts, with flax, optax and keras, and with XGBoost and LightGBM."""
CONTRIB = "tensorflow-1.3.0+keras-2.0.6"
TF_KERAS = "tensorflow-2.16.1+tf-keras-2.16.0"
TORCH_AND_JAX = "torch+keras+jax+scikit-learn"
"""Keras on JAX or PyTorch, and each of them by itself; tests that need it are marked `torch`."""
TRAINERS = "torch+lightning+transformers"
"""PyTorch with what the kinds of scripts need; likewise."""
WITH_TORCH = {
    TORCH_AND_JAX: ("tests/system/locks", ["numpy", "keras", "jax", "scikit-learn"]),
    TRAINERS: ("tests/system/kinds/locks", ["numpy", "lightning", "transformers", "accelerate"]),
}
MORE_STACKS = (
    "tensorflow-1.15.5+keras-2.3.1",
    "tensorflow-2.3.4+keras-2.4.3",
    "tensorflow-2.9.3+keras-2.9.0",
    "tensorflow-2.15.1+keras-2.15.0",
    "tensorflow-2.21.0+keras-3.13.2",
)
"""Further ones that the probe is shown to be neutral on."""
LOCKS = tuple(
    REPOSITORY / folder
    for folder in (
        *("locks", "experiments/locks", "tests/system/locks", "tests/system/kinds/locks"),
        "tests/system/cases/nested-frozen/locks",
    )
)


@dataclass(frozen=True)
class Run:
    """What a run printed as its last line of JSON, and what the probe told of it."""

    exit_code: int
    result: dict[str, Any]
    channel: Channel
    errors: str


@pytest.fixture(scope="session")
def stack(cpython: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The interpreter of an environment with a committed lock: `stack("tensorflow-1.13.1+keras-2.2.4")`."""
    with ExitStack() as sessions:

        def interpreter(name: str) -> Path:
            session = sessions.enter_context(session_of(name, tmp_path_factory.mktemp("stack")))
            (group,) = session.groups
            lock = session.laboratory.environments.locked(group.environment)
            assert lock is not None
            cpython(lock.python)
            return Path(session.laboratory.environments.image(lock).reference, "bin", "python")

        yield functools.cache(interpreter)


def session_of(name: str, folder: Path) -> AbstractContextManager[Session]:
    """A session under `venv` whose one environment has the committed lock of this name."""
    if name in WITH_TORCH:
        return _with_torch(folder, *WITH_TORCH[name])
    lock = next(path for path in (locks / f"{name}.txt" for locks in LOCKS) if path.exists())
    (folder / "locks").mkdir()
    shutil.copyfile(lock, folder / "locks" / lock.name)
    made = dict(
        line[2:].split(": ", 1) for line in lock.read_text().splitlines() if re.match("# (axes|packages): ", line)
    )
    axes = "".join(f"  {package}: [{version}]\n" for package, version in re.findall(r"(\S+)==([^\s;]+)", made["axes"]))
    packages = "" if made["packages"] == "none" else f"packages: [{made['packages'].replace(';', ',')}]\n"
    (folder / "matrix.yaml").write_text(f"axes:\n{axes}{packages}experiment: {{script: train.py}}\n")
    (folder / "train.py").touch()
    return open_session(Matrix.load(folder / "matrix.yaml"), Options(engine="venv"))


def _with_torch(folder: Path, locks: str, others: list[str]) -> AbstractContextManager[Session]:
    """One whose environment has the wheel of PyTorch, and the rest as of its release."""
    wheel = torch_wheel()
    assert wheel is not None
    shutil.copytree(REPOSITORY / locks, folder / "locks")
    packages = ", ".join([beside(folder, wheel), *others])
    (folder / "matrix.yaml").write_text(
        f"axes: {{torch: [{TORCH}]}}\nexperiment: {{script: train.py}}\npackages: [{packages}]\n"
    )
    (folder / "train.py").touch()
    return open_session(Matrix.load(folder / "matrix.yaml"), Options(engine="venv"))


def execute(python: Path, folder: Path, script: str, *arguments: str, probe: bool = True, **env: str) -> Run:
    """Run a script in `folder`; every event of the probe is held against the schema."""
    (folder / "train.py").write_text(script)
    file = folder / "channel"
    file.write_bytes(b"")
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", **env}
    if probe:
        variables |= {"PYTHONPATH": str(PROBE), "RUNNER_CHANNEL": str(file)}
    one = {min(os.sched_getaffinity(0))}
    done = subprocess.run(
        [str(python), "train.py", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, one),
    )
    validator = Draft202012Validator(json.loads((PROBE / "events.schema.json").read_text()))
    for line in file.read_text().splitlines():
        validator.validate(json.loads(line))
    results = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result = json.loads(results[-1]) if results else {}
    return Run(done.returncode, result, read_channel(file, None), done.stderr)


def alike(python: Path, folder: Path, script: str, *arguments: str, **env: str) -> Run:
    """The run of a script under the probe, which came to the very result that it has without, and told of no fault."""
    bare = execute(python, folder, script, *arguments, probe=False)
    watched = execute(python, folder, script, *arguments, **env)
    assert watched.exit_code == 0, watched.errors
    assert watched.result == bare.result
    told = watched.channel
    assert (told.probe_errors, told.bad_lines, told.exit) == ((), 0, "normal")
    return watched
