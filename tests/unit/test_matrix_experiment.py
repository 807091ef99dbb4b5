"""The section `experiment:` and the axis `args`: what runs, with which arguments, variables and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import loaded, mistakes_in

from runner.matrix.cells import expand, select

if TYPE_CHECKING:
    from pathlib import Path

AXES = "axes: {tensorflow: [1.13.1]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets").mkdir()
    for name in ("nets/__init__.py", "nets/train.py", "nets/__main__.py"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(("module", "path"), [("nets.train", "nets/train.py"), ("nets", "nets/__main__.py")])
def test_a_module_runs_by_its_name(folder: Path, module: str, path: str) -> None:
    matrix = loaded(folder, f"{AXES}experiment: {{module: {module}, args: [--fast]}}\n")
    (cell,) = expand(matrix)
    assert (matrix.experiment.script, cell.script) == (path, path)
    assert matrix.experiment.command(cell) == ("-m", module, "--fast")


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("module: nets.trian", "2:22: there is no module 'nets.trian' in FOLDER (did you mean 'train'?)"),
        ("module: sub", "2:22: there is no module 'sub' in FOLDER (a package needs a __main__.py to run)"),
        (
            "module: nets/train.py",
            (
                "2:22: 'nets/train.py' is not the dotted name of a module "
                "(write module: nets.train, or script: nets/train.py)"
            ),
        ),
        ("script: nets.train", "2:22: there is no script 'nets.train' in FOLDER (did you mean module: nets.train?)"),
        (
            "script: train.py, module: nets.train",
            "2:40: a script and a module are named (one of them runs: leave the other out)",
        ),
        ("script: train.py, files: [../x]", None),
        ("script: train.py, files: [no/*.csv]", "2:40: there is no file 'no/*.csv' (looked in FOLDER)"),
        ("script: train.py, env: {A-B: 1}", "2:38: 'A-B' cannot be the name of an environment variable"),
    ],
)
def test_a_mistake_in_what_is_given_says_what_to_write(folder: Path, experiment: str, expected: str | None) -> None:
    expected = expected or (
        "2:40: the files '../x' are not inside the matrix's folder "
        "(what lies elsewhere goes under data:, as {source: target})"
    )
    assert mistakes_in(folder, f"{AXES}experiment: {{{experiment}}}\n") == [f"matrix.yaml:{expected}"]


def test_neither_a_script_nor_a_module_goes_with_an_axis_of_scripts(folder: Path) -> None:
    text = "axes: {tensorflow: [1.13.1], script: [train.py]}\nexperiment: {module: nets.train}\n"
    assert mistakes_in(folder, text) == [
        "matrix.yaml:2:22: a module is named here, and there is an axis named script too (the axis is on line 1)"
    ]


def test_sets_of_arguments_are_an_axis_whose_values_have_one_text_however_they_are_written(folder: Path) -> None:
    text = """\
axes:
  tensorflow: [1.13.1]
  args: ["", --epochs   10, [--name, "two words", --rate, 0.1]]
exclude: [{args: [--epochs, 10]}]
experiment: {script: train.py, args: [--quiet]}
"""
    matrix = loaded(folder, text)
    cells = expand(matrix)
    assert [cell.id.get("args") for cell in cells] == ["", "--name 'two words' --rate 0.1"]
    assert [matrix.experiment.command(cell) for cell in cells] == [
        ("train.py", "--quiet"),
        ("train.py", "--quiet", "--name", "two words", "--rate", "0.1"),
    ]
    assert select(cells, 'args=--name   "two words" --rate 0.1') == (cells[1],)


def test_arguments_with_an_open_quotation_mark_are_a_mistake(folder: Path) -> None:
    text = 'axes: {tensorflow: [1.13.1], args: ["--name \'x"]}\nexperiment: {script: train.py}\n'
    assert mistakes_in(folder, text) == [
        'matrix.yaml:1:37: args: "--name \'x" has a quotation mark without its partner'
    ]


def test_the_variables_of_an_axis_win_over_those_of_every_trial(folder: Path) -> None:
    text = "axes: {tensorflow: [1.13.1], env: ['', 'B=3 C=4']}\nexperiment: {script: train.py, env: {B: 2, A: 1}}\n"
    matrix = loaded(folder, text)
    assert [matrix.experiment.variables(cell) for cell in expand(matrix)] == [
        (("A", "1"), ("B", "2")),
        (("A", "1"), ("B", "3"), ("C", "4")),
    ]
