"""A wheel file of the project and a package of a further index, in environments of both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command import runner, table
from fake_index import FakeIndex, wheel
from torch_wheel import TORCH, beside, torch_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINES = [pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.slow]), "venv"]
SCRIPT = """
import json, os, further, mine
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(20):
        print(json.dumps({"epoch": epoch, "loss": mine.STEP ** epoch}), file=metrics, flush=True)
"""
TORCH_SCRIPT = """
import torch

x = torch.linspace(-1, 1, 64)
slope = torch.zeros(1, requires_grad=True)
for _ in range(50):
    loss = ((slope * x - 3 * x) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        slope -= slope.grad
        slope.grad.zero_()
    print("loss", loss.item())
"""


@pytest.fixture
def other() -> Iterator[FakeIndex]:
    served = FakeIndex()
    yield served
    served.stop()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_trains_with_a_wheel_of_its_project_and_a_package_of_a_further_index(
    tmp_path: Path, engine: str, other: FakeIndex
) -> None:
    other.add_wheel("further", "1.0", "2020-01-01")
    (tmp_path / "wheels").mkdir()
    content = wheel("mine", "1.0", ["further"], {"mine.py": "STEP = 0.5\n"})
    (tmp_path / "wheels" / "mine-1.0-py3-none-any.whl").write_bytes(content)
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "matrix.yaml").write_text(
        "axes: {toolz: [0.11.2], python: [3.7]}\nexperiment: {script: train.py}\nseeds: 1\ncriterion: loss < 1e-4\n"
        f"packages: [./wheels/mine-1.0-py3-none-any.whl]\nindexes: {other.url}\n"
    )
    done = runner(tmp_path, "run", "--engine", engine)
    assert [row["outcome"] for row in table(tmp_path, engine)] == ["converges"], done.stderr


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.network
@pytest.mark.parametrize("engine", ENGINES)
def test_a_version_of_an_axis_is_the_wheel_of_it_that_the_project_has(tmp_path: Path, engine: str) -> None:
    found = torch_wheel()
    assert found is not None
    (tmp_path / "train.py").write_text(TORCH_SCRIPT)
    (tmp_path / "matrix.yaml").write_text(
        f"axes: {{torch: [{TORCH}]}}\nexperiment: {{script: train.py}}\nseeds: 1\ncriterion: loss < 0.01\n"
        f"packages: [{beside(tmp_path, found)}, numpy]\nmetrics: {{loss: 'loss (\\S+)'}}\n"
    )
    done = runner(tmp_path, "run", "--engine", engine)
    assert [row["outcome"] for row in table(tmp_path, engine)] == ["converges"], done.stderr
    (lock,) = (path.read_text() for path in (tmp_path / "locks").glob("torch-*.txt"))
    assert f"torch=={TORCH}+cpu" in lock
    assert "nvidia" not in lock
