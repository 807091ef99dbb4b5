"""The tox plugin as another project has it: the distribution and tox in one environment, no file copied."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.network]

REPOSITORY = Path(__file__).parents[2]
TOX_INI = "[tox]\nenv_list = own\n[testenv:own]\nskip_install = true\ncommands = python -c 'print(40 + 2)'\n"
MATRIX = """\
axes: {six: [1.16.0, 1.17.0]}
experiment: {script: train.py}
criterion: loss < 1e-3
seeds: 1
"""
SCRIPT = """\
import json, os, six
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(10):
        loss = 0.1 ** epoch if six.__version__ == "1.16.0" else 1.0 + epoch
        print(json.dumps({"epoch": epoch, "loss": loss}), file=metrics, flush=True)
"""

if TYPE_CHECKING:
    Tox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with tox and this distribution."""
    folder = tmp_path_factory.mktemp("tools") / "venv"
    for words in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "tox", "--editable", str(REPOSITORY)],
    ):
        subprocess.run(["uv", *words], check=True, capture_output=True)
    return folder / "bin" / "python"


@pytest.fixture
def tox(interpreter: Path, tmp_path: Path) -> Tox:
    """Runs tox in a project of its own, as after `pip install tox convergence-matrix`."""
    for name, text in [("tox.ini", TOX_INI), ("matrix.yaml", MATRIX), ("train.py", SCRIPT), ("runner.py", "1 / 0")]:
        (tmp_path / name).write_text(text)
    outside = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [interpreter, "-m", "tox", *words],
            cwd=tmp_path,
            env=outside | {"RUNNER_ENGINE": "venv"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_combination_fails_unless_every_cell_of_it_is_good_or_as_expected(tox: Tox, tmp_path: Path) -> None:
    shown = tox("list").stdout
    assert [line.split()[0] for line in shown.splitlines() if "by convergence-matrix" in line] == [
        "six1.16.0",
        "six1.17.0",
    ]
    good = tox("-e", "six1.16.0")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = tox("-e", "six1.17.0")
    assert bad.returncode == 1
    assert "not good: six=1.17.0" in bad.stdout + bad.stderr
    with (tmp_path / "matrix.yaml").open("a") as file:
        file.write("expect:\n  - {six: 1.17.0, outcome: fails}\n")
    expected = tox("-e", "six1.17.0")
    assert expected.returncode == 0, expected.stdout + expected.stderr


def test_the_projects_own_environments_run_whatever_its_matrix_says(tox: Tox, tmp_path: Path) -> None:
    (tmp_path / "matrix.yaml").write_text("axes: {six: [1.16.0\n")
    done = tox()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "42" in done.stdout
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("convergence-matrix: ")]) == 1
