"""A project of the user's own, pure and compiled, installed into environments of both engines."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from command import runner, table
from dask_cluster import dask_cluster

from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
PROJECT = """
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "mine"
version = "1.0"
dependencies = ["six", "toolz>=999"]
[tool.setuptools]
packages = ["mine"]
[tool.setuptools.package-data]
mine = ["*.txt"]
"""
SCRIPT = """
import json, os, mine, six
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(20):
        print(json.dumps({"epoch": epoch, "loss": mine.step() ** epoch}), file=metrics, flush=True)
"""
PACKAGE = """
import pathlib
def step():
    return float((pathlib.Path(__file__).parent / "step.txt").read_text())
"""
MATRIX = """
axes: {toolz: [0.10.0], python: [3.7, 3.10]}
experiment: {script: train.py, install: .}
criterion: loss < 1e-4
seeds: 1
"""
COMPILED = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *step(PyObject *self, PyObject *none) { return PyFloat_FromDouble(0.5); }
static PyMethodDef methods[] = {{"step", step, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "mine", "", -1, methods};
PyMODINIT_FUNC PyInit_mine(void) { return PyModule_Create(&module); }
"""
SETUP = """
from setuptools import Extension, setup
setup(name="mine", version="1.0", install_requires=["six"], ext_modules=[Extension("mine", ["mine.c"])])
"""


@pytest.fixture
def project(tmp_path: Path, cpython: Callable[[str], None]) -> Path:
    cpython("3.7")
    cpython("3.10")
    for name, text in {
        "pyproject.toml": PROJECT,
        "mine/__init__.py": PACKAGE,
        "mine/step.txt": "0.5",
        "train.py": SCRIPT,
        "matrix.yaml": MATRIX,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def outcomes(folder: Path, engine: str) -> dict[str, str]:
    return {row["python"]: row["outcome"] for row in table(folder, engine)}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_package_trains_on_every_cpython_and_again_only_when_what_it_does_changes(project: Path, engine: str) -> None:
    done = runner(project, "run", "--engine", engine)
    assert "mine requires toolz>=999, which is left to the axis toolz" in done.stderr
    assert outcomes(project, engine) == {"3.7": "converges", "3.10": "converges"}
    locks = {file: file.read_text() for file in (project / "locks").iterdir()}
    with (project / "mine" / "__init__.py").open("a") as file:
        file.write("# a comment\n")
    assert "ran now" not in runner(project, "run", "--engine", engine).stdout
    (project / "mine" / "step.txt").write_text("0.99")
    again = runner(project, "run", "--engine", engine)
    assert again.returncode in {0, 1}, again.stderr
    assert "2 trials ran now" in again.stdout
    assert "converges" not in set(outcomes(project, engine).values())
    assert {file: file.read_text() for file in (project / "locks").iterdir()} == locks
    assert not list(project.glob("*.egg-info"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_compiled_package_is_built_for_each_cpython(project: Path, engine: str) -> None:
    compiled(project)
    done = runner(project, "run", "--engine", engine)
    assert outcomes(project, engine) == {"3.7": "converges", "3.10": "converges"}, done.stderr
    assert {line.partition("building ")[2] for line in done.stderr.splitlines() if "building mine" in line} == {
        "mine for CPython 3.7",
        "mine for CPython 3.10",
    }


def compiled(folder: Path) -> None:
    """Have the project's code be compiled."""
    (folder / "pyproject.toml").unlink()
    (folder / "setup.py").write_text(SETUP)
    (folder / "mine.c").write_text(f"{COMPILED}/* {uuid4()}: an image of an earlier run must not serve */\n")
    (folder / "mine" / "__init__.py").unlink()


def keys(folder: Path) -> list[str]:
    with Store(folder / ".runner" / "records.sqlite") as store:
        return sorted(store.keys())


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda _: None, compiled], ids=["pure", "compiled"])
def test_on_a_cluster_a_project_is_installed_as_it_is_here_and_sent_once_a_machine(
    project: Path, tmp_path_factory: pytest.TempPathFactory, change: Callable[[Path], None]
) -> None:
    change(project)
    there = tmp_path_factory.mktemp("there")
    shutil.copytree(project, there, dirs_exist_ok=True)
    machines = {"one": "a", "two": "a", "three": "b"}
    alone = runner(project, "run", "--engine", "venv")
    assert outcomes(project, "venv") == {"3.7": "converges", "3.10": "converges"}, alone.stderr
    with dask_cluster(tmp_path_factory.mktemp("workers") / "cluster") as cluster:
        for name, machine in machines.items():
            cluster.add(name, machine=machine)
        done = runner(there, "run", "--engine", "venv", "--cluster", cluster.address)
    assert outcomes(there, "venv") == outcomes(project, "venv"), done.stderr
    assert keys(there) == keys(project)
    sent = [line.split() for line in done.stderr.splitlines() if "sending mine-1.0" in line]
    to = [machines[words[-1]] for words in sent]
    assert len(to) == len(set(to)) > 0
    assert {words[words.index("sending") + 1] for words in sent} == {
        "mine-1.0.tar" if change is compiled else "mine-1.0-py3-none-any.whl"
    }
    assert "ran now" not in runner(there, "run", "--engine", "venv").stdout, "what ran there counts here"


def test_a_project_that_can_not_be_built_is_told_in_its_backends_words(project: Path) -> None:
    (project / "pyproject.toml").write_text(PROJECT.replace('version = "1.0"', "version = 1"))
    done = runner(project, "plan", "--engine", "venv")
    assert done.returncode == 2
    assert "version = 1\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lock_says_what_it_was_made_beside(project: Path) -> None:
    (project / "matrix.yaml").write_text(MATRIX.replace("[3.7, 3.10]", "[3.10]"))
    assert runner(project, "lock", "--engine", "venv").returncode == 0
    (lock,) = (project / "locks").iterdir()
    assert "# beside it: own mine\n" in lock.read_text()
    assert runner(project, "lock", "--check", "--engine", "venv").returncode == 0
