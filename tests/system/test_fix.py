"""`explain --fix` on the founding question: the patch that it writes makes native Keras 2.2.4 converge, by trials.

With RUNNER_ALL_CASES=1; the cheapest of the fixes is among the cases of `test_cases.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from command import founding_copy, runner

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.network]
CELL = "tensorflow=1.13.1,script=experiments/{}"


@pytest.mark.skipif(os.environ.get("RUNNER_ALL_CASES") != "1", reason="it explains two cells: minutes")
@pytest.mark.usefixtures("cpython_3_7")
def test_the_founding_question_gets_a_patch_that_was_seen_to_work_and_applies(tmp_path: Path) -> None:
    folder = founding_copy(tmp_path / "founding")
    good, bad = (CELL.format(name) for name in ("functional_tf_keras.py", "functional_keras.py"))
    question = ("explain", "matrix.yaml", "--good", good, "--bad", bad, "--only", "tensorflow=1.13.1")
    done = runner(folder, *question, "--fix", "--engine", "venv", "--format", "json", timeout_s=3600)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    best = account["fixes"][0]
    assert (best["kind"], best["standing"]) == ("switch", "works"), account["advice"]
    assert best["requirements"] == []
    assert "+tf.compat.v1.enable_resource_variables()" in best["diff"]
    outcomes = {one["values"]["script"]: (one["before"], one["after"]) for one in best["cells"]}
    assert outcomes["experiments/functional_keras.py"] == ("fails (nan)", "converges")
    assert outcomes["experiments/functional_tf_keras.py"] == ("converges", "converges")

    subprocess.run(["git", "apply", "--check", "fix.patch"], cwd=folder, check=True)
    subprocess.run(["patch", "-p1", "-i", "fix.patch"], cwd=folder, check=True, capture_output=True)
    again = runner(folder, "matrix.yaml", "--engine", "venv", "--only", bad, "--format", "json")
    assert [row["outcome"] for row in json.loads(again.stdout)] == ["converges"]
    assert "trials ran now" not in again.stderr, "those of the fix are those of the patched script"
