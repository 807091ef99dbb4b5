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
    ("install", "module", "path", "looked_in"),
    [
        ("", "deep.train", "src/deep/train.py", "src:lib"),
        ("", "src.deep.train", "src/deep/train.py", "lib"),
        (", install: .", "deep.train", "src/deep/train.py", "lib"),
    ],
)
def test_a_module_below_src_is_found_there_unless_it_is_installed(
    folder: Path, install: str, module: str, path: str, looked_in: str
) -> None:
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "src" / "deep" / "train.py").touch()
    (folder / "pyproject.toml").touch()
    text = f"{AXES}experiment: {{module: {module}, env: {{PYTHONPATH: lib}}{install}}}\n"
    matrix = loaded(folder, text)
    (cell,) = expand(matrix)
    assert (matrix.experiment.script, matrix.experiment.own_module) == (path, module)
    assert matrix.experiment.command(cell) == ("-m", module)
    assert matrix.experiment.variables(cell) == (("PYTHONPATH", looked_in),)


def test_an_installed_module_starts_the_script_that_is_its_first_argument_that_is_one(folder: Path) -> None:
    arguments = "[--nproc_per_node=2, --log=no.py, nets/train.py, setup.py]"
    matrix = loaded(folder, f"{AXES}experiment: {{module: torch.distributed.run, args: {arguments}}}\n")
    (cell,) = expand(matrix)
    assert (matrix.experiment.script, matrix.experiment.own_module) == ("nets/train.py", "")
    assert matrix.experiment.command(cell)[:3] == ("-m", "torch.distributed.run", "--nproc_per_node=2")


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (
            "module: torch.distributed.run, args: [x.py]",
            (
                "2:22: there is no module 'torch.distributed.run' in FOLDER "
                "(an installed one starts a script of this folder, which `args` names)"
            ),
        ),
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


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (
            "{script: ../x.py}",
            "2:22: the script '../x.py' is not inside the matrix's folder (write its path from there)",
        ),
        ("{script: /x.py}", "2:22: the script '/x.py' is not inside the matrix's folder (write its path from there)"),
        ("{script: sub}", "2:22: there is no script 'sub' in FOLDER (possible: train.py)"),
        ("{script: sub/othr.py}", "2:22: there is no script 'sub/othr.py' in FOLDER (did you mean 'other.py'?)"),
        (
            "{}",
            (
                "1:1: there is no script "
                "(write experiment: {script: train.py} or {module: mypkg.train}, or an axis named script)"
            ),
        ),
        ("{script: train.py, args: --fast}", "2:38: experiment.args must be a list, not a text"),
        ("{script: train.py, data: [no.csv]}", "2:39: there is no data 'no.csv' (looked for no.csv)"),
        (
            "{script: train.py, data: [train.py, train.py]}",
            "2:49: two data mappings have the target 'train.py'",
        ),
        (
            "{script: train.py, data: [{train.py: ~/../x}]}",
            (
                "2:40: the data target '~/../x' is neither in the working directory, nor in the folder above it, nor "
                "under ~/ (name one: {source: target})"
            ),
        ),
        (
            "{script: train.py, data: [{train.py: /tmp/x}]}",
            (
                "2:40: the data target '/tmp/x' is a place of this machine, which only a container has to itself "
                "(name one in the working directory, beside it (../data) or under ~/, and let args: or env: tell the "
                "script of it)"
            ),
        ),
        ("{script: train.py, artifacts: [../x]}", "2:44: the artifact '../x' is not inside the working directory"),
        ("{script: train.py, network: yes}", "2:41: experiment.network: 'yes' is neither true nor false"),
        (
            "{script: train.py, timeout: 0}",
            (
                "2:41: experiment.timeout: '0' is not a duration between 0 seconds and 30 days "
                "(write it like 30m, 90s or 1h30m)"
            ),
        ),
        ("{script: train.py, arg: [1]}", "2:32: unknown key 'arg' (did you mean 'args'?)"),
        ("train.py", "2:13: experiment must be a mapping, not a text"),
    ],
)
def test_a_mistake_in_the_experiment_says_what_is_wrong_and_where(
    tmp_path: Path, experiment: str, expected: str
) -> None:
    assert mistakes_in(tmp_path, f"{AXES}experiment: {experiment}\n") == [f"matrix.yaml:{expected}"]


def test_a_script_in_the_experiment_and_as_an_axis_is_one_too_many(tmp_path: Path) -> None:
    text = "axes: {keras: 2.2.4, script: sub/other.py}\nexperiment: {script: train.py}\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:2:22: a script is named here, and there is an axis named script too (the axis is on line 1)"
    ]


def test_every_value_of_a_script_axis_must_be_there(tmp_path: Path) -> None:
    assert mistakes_in(tmp_path, "axes: {keras: 2.2.4, script: [train.py, tarin.py]}\n") == [
        "matrix.yaml:1:41: script: there is no script 'tarin.py' in FOLDER (did you mean 'train.py'?)"
    ]


def test_an_included_cell_needs_a_script_where_an_axis_names_them(tmp_path: Path) -> None:
    text = "axes: {keras: 2.2.4, script: train.py}\ninclude: [{keras: 2.3.1}]\n"
    (mistake,) = mistakes_in(tmp_path, text)
    assert mistake.startswith("matrix.yaml:2:12: this makes a new cell, which needs a value for script")
