"""The commands that reproduce a cell: what they make and start, and that a shell takes them."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from matrix_files import loaded

from runner.matrix.cells import expand
from runner.outcomes.reproduction import commands
from runner.outcomes.result import LockResult
from runner.scripts.rewriting import rewritten
from runner.scripts.script import read_script

if TYPE_CHECKING:
    from pathlib import Path

LOCK = LockResult(name="tensorflow-2.21.0+py3.11", python="3.11", as_of=None, packages=())


def without_runner(folder: Path, text: str, *, is_rewritten: bool = False) -> tuple[str, ...]:
    matrix = loaded(folder, text)
    (cell,) = expand(matrix)
    found = commands(matrix, cell, LOCK, is_rewritten=is_rewritten).without_runner
    assert subprocess.run(["bash", "-n"], input="\n".join(found), text=True, check=False).returncode == 0
    return found


def test_an_environment_takes_wheels_indexes_and_the_project_from_where_the_lock_has_them(tmp_path: Path) -> None:
    for folder in ("wheels", "mine"):
        (tmp_path / folder).mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "x-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("x.py", "")
    (tmp_path / "mine" / "pyproject.toml").touch()
    made = without_runner(
        tmp_path,
        "axes: {tensorflow: [2.21.0]}\nexperiment: {script: train.py, install: mine}\n"
        "packages: [./wheels/x-1.0-py3-none-any.whl]\nindexes: ['https://example.org/simple']\n",
    )
    install = "uv pip install --python cell/bin/python"
    further = "--find-links=wheels --index=https://example.org/simple/ --index-strategy=unsafe-best-match"
    assert made[:3] == (
        "uv venv --python 3.11 cell",
        f"{install} --require-hashes {further} -r locks/tensorflow-2.21.0+py3.11.txt",
        f"{install} --no-deps ./mine",
    )


def test_a_cell_is_started_with_its_variables_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    (*_, copied, started) = without_runner(
        tmp_path,
        "axes: {keras: [3.15.1], backend: [torch], args: [\"--name 'a b'\"]}\n"
        "experiment: {script: train.py, data: [{own.csv: data/own.csv}], env: {GREETING: good day}}\n",
    )
    assert copied == "# the script finds own.csv at data/own.csv: copy it there"
    assert started.partition("    #")[0] == (
        "GREETING='good day' KERAS_BACKEND=torch PYTHONHASHSEED=0 cell/bin/python train.py --name 'a b'"
    )


def test_data_that_lies_where_the_script_looks_for_it_is_not_spoken_of(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    text = "axes: {keras: [3.15.1]}\nexperiment: {script: train.py, data: [own.csv]}\n"
    assert not [line for line in without_runner(tmp_path, text) if "own.csv" in line]


def test_a_notebook_is_not_given_to_python(tmp_path: Path) -> None:
    (tmp_path / "study.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    last = without_runner(tmp_path, "axes: {keras: [3.15.1]}\nexperiment: {script: study.ipynb}\n")[-1]
    assert last == "# only with the runner: it runs the cells of study.ipynb as one script"


def test_the_shown_difference_is_taken_by_the_command_for_it(tmp_path: Path) -> None:
    text = "axes: {tensorflow: [2.21.0], import: [tf.keras]}\nexperiment: {script: train.py}\n"
    patch = next(line for line in without_runner(tmp_path, text, is_rewritten=True) if line.startswith("patch"))
    (tmp_path / "train.py").write_text("import keras\nimport sub.other\n")
    (tmp_path / "sub" / "other.py").write_text("from keras import layers\n")
    (tmp_path / "imports.diff").write_text(rewritten(read_script(tmp_path, "train.py"), "tf.keras").diff)
    subprocess.run(["bash", "-c", patch], cwd=tmp_path, check=True)
    assert (tmp_path / "train.py").read_text() == "from tensorflow import keras\nimport sub.other\n"
    assert (tmp_path / "sub" / "other.py").read_text() == "from tensorflow.keras import layers\n"


@pytest.mark.parametrize("is_rewritten", [False, True])
def test_a_cell_without_a_lock_can_only_be_run_with_this_tool(tmp_path: Path, is_rewritten: bool) -> None:
    matrix = loaded(tmp_path, "axes: {tensorflow: [2.21.0]}\nexperiment: {script: train.py}\n")
    found = commands(matrix, expand(matrix)[0], None, is_rewritten=is_rewritten)
    assert (len(found.with_runner), found.without_runner) == (2, ())
