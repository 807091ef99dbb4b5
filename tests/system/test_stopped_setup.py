"""Ctrl-C, as a terminal sends it to the whole process group, while environments are made: nothing false is kept."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from command import runner, started
from waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MATRIX = """\
axes:
  numpy: [1.26.4]
experiment: {script: train.py}
packages: [scipy]
criterion: loss < 1
seeds: 1
"""
SCRIPT = """\
import json, os
import numpy, scipy
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"epoch": 1, "loss": 0.5}) + "\\n")
"""


@pytest.mark.network
@pytest.mark.parametrize("stage", ["resolving", "fetching files", "installing"])
def test_ctrl_c_while_an_environment_is_made_leaves_no_false_result(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    process = started(tmp_path, "matrix.yaml", "--engine", "venv", own_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(f": {stage}"):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, rest
    assert "Interrupted." in rest
    assert "unresolvable" not in rest

    done = runner(tmp_path, "matrix.yaml", "--engine", "venv")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "converges" in done.stdout
