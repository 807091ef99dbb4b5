"""A real source distribution in C where no compiler is: a result of its cell, with the reason and the ways out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command import runner
from conftest import CONTAINER_PYTHON
from tiny_lock import THIS_PYTHON

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(600)]

MATRIX = """\
axes:
  six: [1.16.0]
  python: ["{python}"]
packages: [ujson==1.35]  # sources only
experiment: {{script: train.py}}
"""


@pytest.mark.docker
@pytest.mark.usefixtures("cpython_3_7", "docker_engine")
def test_a_base_image_has_no_compiler(tmp_path: Path) -> None:
    said = blocked(tmp_path, "docker", CONTAINER_PYTHON)
    assert f"ujson-1.35.tar.gz must be compiled for CPython {CONTAINER_PYTHON}" in said
    assert "there is no compiler in the base image" in said


def test_a_machine_may_have_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))  # what was compiled with one is used again
    said = blocked(tmp_path, "venv", THIS_PYTHON)
    assert f"ujson-1.35.tar.gz must be compiled for CPython {THIS_PYTHON}" in said
    assert "there is no compiler on this machine" in said


def blocked(folder: Path, engine: str, python: str) -> str:
    """What is said of a run whose one cell is blocked."""
    (folder / "matrix.yaml").write_text(MATRIX.format(python=python))
    (folder / "train.py").touch()
    done = runner(folder, "matrix.yaml", "--engine", engine)
    assert done.returncode == 1, done.stderr
    assert "blocked (install-failed)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr
