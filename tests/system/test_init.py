"""The matrix that `init` writes runs as it stands, in real environments, and takes no stranger's package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command import runner

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = {
    "train.py": """\
import json, os
import numpy as np
import six
from mypkg import rate
weights, target = np.zeros(3), np.arange(3.0)
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(30):
        weights += rate() * (target - weights)
        print(json.dumps({"epoch": epoch, "loss": float(((target - weights) ** 2).sum())}), file=metrics, flush=True)
""",
    "mypkg/__init__.py": "from mypkg.rates import rate\n",
    "mypkg/rates.py": "def rate():\n    return 0.5\n",
    "requirements.txt": "numpy==1.26.4\nsix>=1.15,<2\npytest\n",
}

PRINTING = """\
import numpy as np
weights, target = np.zeros(3), np.arange(3.0)
for epoch in range(30):
    weights += 0.5 * (target - weights)
    print(f"Epoch {epoch + 1}/30 - loss: {((target - weights) ** 2).sum():.6f}")
"""


@pytest.mark.network
def test_a_script_that_only_prints_is_judged_by_what_init_saw(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PRINTING)
    (tmp_path / "requirements.txt").write_text("numpy==1.26.4\n")
    assert runner(tmp_path, "init", "train.py").returncode == 0
    done = runner(tmp_path, "run", "--engine", "venv", "--seeds", "1", "--fail-on", "not-good")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.network
def test_what_init_writes_for_a_project_runs_and_converges(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    written = runner(tmp_path, "init", "train.py")
    assert written.returncode == 0, written.stderr
    done = runner(tmp_path, "run", "--engine", "venv", "--seeds", "1", "--fail-on", "not-good")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(runner(tmp_path, "table", "--engine", "venv", "--seeds", "1", "--format", "json").stdout)
    assert [(cell["numpy"], cell["kind"]) for cell in shown] == [("1.26.4", "good"), ("2.1.3", "good")]
    locked = "".join(lock.read_text() for lock in (tmp_path / "locks").glob("*.txt"))
    assert "six==1.1" in locked
    assert "mypkg" not in locked
    assert "pytest==" in locked, "the project's own file asks for it"


SCATTERED = {
    "jobs/train.py": """\
import numpy as np
from mine.rates import rate
target = np.loadtxt("near.csv", delimiter=",")
weights = np.zeros(3)
for epoch in range(30):
    weights += rate() * (target - weights)
    print(f"Epoch {epoch + 1}/30 - loss: {((target - weights) ** 2).sum():.6f}")
""",
    "jobs/near.csv": "0,1,2\n",
    "src/mine/__init__.py": "",
    "src/mine/rates.py": """\
import os
def rate():
    return float(open(os.path.dirname(os.path.abspath(__file__)) + "/rate.txt").read())
""",
    "src/mine/rate.txt": "0.5",
    "requirements.txt": "numpy==1.26.4\nsix==0.0.1\n",
}


@pytest.mark.network
def test_what_lies_scattered_in_a_project_is_found_and_what_can_not_be_had_is_left_out(tmp_path: Path) -> None:
    for name, text in SCATTERED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    written = runner(tmp_path, "init", "jobs/train.py")
    assert written.returncode == 0, written.stderr
    assert "# requirements: [requirements.txt]     # with it, numpy=" in (tmp_path / "matrix.yaml").read_text()
    done = runner(tmp_path, "run", "--engine", "venv", "--seeds", "1", "--fail-on", "not-good")
    assert done.returncode == 0, done.stdout + done.stderr
