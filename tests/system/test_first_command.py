"""The first command that a newcomer types ends in the table: with an engine or without, with a registry or without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
import json, os
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(5):
        print(json.dumps({"epoch": epoch, "loss": 1e-6 * 10 ** (5 - epoch)}), file=metrics)
"""
MATRIX = """\
axes:
  six: [1.16.0, 1.17.0]
  python: ["3.11"]
experiment: {script: train.py, timeout: 2m}
criterion: loss < 1e-4
seeds: 1
"""


@pytest.fixture
def folder(tmp_path: Path, cpython: object) -> Path:
    cpython("3.11")  # type: ignore[operator]
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    return tmp_path


def typed(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What somebody types who has set nothing; `variables` are the machine's."""
    own = {name: text for name, text in os.environ.items() if name not in {"RUNNER_ENGINE", "RUNNER_BASE"}}
    environment = {**own, "RUNNER_CONFIG": str(folder / "none.toml"), **variables}
    command = [sys.executable, "-m", "runner", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_without_an_engine_it_ends_in_the_table(folder: Path) -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = typed(folder, "matrix.yaml", "--format", "json", **nowhere)
    assert (done.returncode, [row["outcome"] for row in json.loads(done.stdout)]) == (0, ["converges"] * 2), done.stderr
    assert done.stderr.count("running under the venv engine, not in containers") == 1
    looked = typed(folder, "doctor", **nowhere)
    assert (looked.returncode, "venv: virtual environments" in looked.stdout) == (0, True), looked.stdout


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_with_an_engine_it_ends_in_the_table_whether_a_registry_answers_or_not(folder: Path) -> None:
    done = typed(folder, "matrix.yaml", "--format", "json")
    assert (done.returncode, [row["outcome"] for row in json.loads(done.stdout)]) == (0, ["converges"] * 2), done.stderr
    stepped_down = "base images are made on this machine" in done.stderr
    looked = typed(folder, "doctor", "--format", "json")
    (engine,) = (row for row in json.loads(looked.stdout) if row["what"] == "engine")
    assert engine["found"].endswith(f"base images: {'offline' if stepped_down else 'registry'}")
    again = typed(folder, "matrix.yaml", "--format", "json")
    assert [row["seeds"] for row in json.loads(again.stdout)] == [1, 1]
    assert "started" not in again.stderr
