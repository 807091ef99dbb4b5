"""The script's world is a sane one: what a training script does beside training works in every engine."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from command import REPOSITORY, runner

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
MATRIX = """\
axes:
  tensorflow: [1.13.1]
  keras: [2.2.4]
experiment:
  script: train.py
  args: [--epochs, 5]
  data: [{set.npz: ~/.keras/datasets/set.npz}, {set.npz: inputs/set.npz}]
  artifacts: ["*.h5", "plots/*"]
seeds: 1
"""
SCRIPT = """\
import multiprocessing
import os
import pickle
import sys

import keras
import numpy as np

import layers_of_mine


class Settings:
    epochs = int(sys.argv[2])


def square(number):
    return number * number


if __name__ == "__main__":
    assert sys.argv == ["train.py", "--epochs", "5"], sys.argv
    assert type(pickle.loads(pickle.dumps(Settings()))) is Settings
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, range(4)) == [0, 1, 4, 9]
    path = keras.utils.get_file("set.npz", origin="https://example.invalid/set.npz")  # cached: no network needed
    data = np.load(path)
    assert (np.load("inputs/set.npz")["x"] == data["x"]).all()

    model = keras.models.Sequential([layers_of_mine.first(), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(data["x"], data["y"], epochs=Settings.epochs, verbose=0)
    model.save("model.h5")
    again = keras.models.load_model("model.h5")
    assert np.allclose(model.predict(data["x"]), again.predict(data["x"]))

    with open(os.path.expanduser("~/notes.txt"), "w") as notes:
        notes.write("kept at home")
    os.makedirs("plots")
    with open("plots/loss.txt", "w") as plot:
        plot.write("a plot")
    os.chdir("plots")
"""
MODULE = """\
import keras


def first():
    return keras.layers.Dense(4, input_shape=(3,))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "layers_of_mine.py").write_text(MODULE)
    shutil.copytree(REPOSITORY / "locks", tmp_path / "locks")
    x = np.random.default_rng(0).random((64, 3))
    np.savez(tmp_path / "set.npz", x=x, y=x.sum(axis=1, keepdims=True))
    return tmp_path


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_saves_reads_forks_and_writes_home_and_its_artifacts_come_back(folder: Path, engine: str) -> None:
    done = runner(folder, "matrix.yaml", "--engine", engine, "--format", "json")
    log = runner(folder, "logs", "keras=2.2.4", "--engine", engine).stdout
    (row,) = json.loads(done.stdout)
    assert row["exception"] == "", log
    assert (row["outcome"], done.returncode) in {("settles", 0), ("fails (improving)", 1)}, log
    (artifacts,) = (folder / ".runner" / "artifacts").iterdir()
    assert sorted(path.name for path in artifacts.rglob("*") if path.is_file()) == ["loss.txt", "model.h5"]
    assert (artifacts / "model.h5").read_bytes()[:4] == b"\x89HDF"
    assert list((folder / ".runner" / "jobs").iterdir()) == []
    assert not (folder / "plots").exists()


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_shell_is_the_very_environment_of_a_cell(folder: Path, engine: str) -> None:
    done = runner(
        folder,
        "shell",
        "keras=2.2.4",
        "--engine",
        engine,
        "-c",
        "python -c 'import keras; print(keras.__version__)'; ls",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2.2.4", "inputs", "layers_of_mine.py", "train.py"]
