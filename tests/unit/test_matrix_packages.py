from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import FakeIndex, loaded, mistakes_in

from runner.matrix.cells import expand, requirements_of
from runner.matrix.model import Condition, Requirement
from runner.matrix.settle import settle

if TYPE_CHECKING:
    from pathlib import Path

    from runner.matrix.matrix_file import Matrix

AXES = "axes: {tensorflow: [1.13.1, 2.4.0rc1, 2.4.0], python: [3.7, 3.10]}\nexperiment: {script: train.py}\n"


def by_cell(matrix: Matrix) -> dict[str, tuple[str, ...]]:
    return {str(cell.id).replace("tensorflow=", ""): requirements_of(matrix.packages, cell) for cell in expand(matrix)}


def test_an_entry_with_a_condition_is_read_into_requirements_that_share_it(tmp_path: Path) -> None:
    entry = '{NumPy: "< 1.20", "protobuf[cpp]": "*", h5py: "", when: ["tensorflow < 2.4", python==3.7]}'
    when = (Condition(axis="tensorflow", specifiers="<2.4"), Condition(axis="python", specifiers="==3.7"))
    assert loaded(tmp_path, f"{AXES}packages: [pandas, {entry}, {{scipy: '>=1'}}]\n").packages == (
        Requirement(text="pandas"),
        Requirement(text="numpy<1.20", when=when),
        Requirement(text="protobuf[cpp]", when=when),
        Requirement(text="h5py", when=when),
        Requirement(text="scipy>=1"),
    )


def test_a_cell_needs_what_has_no_condition_and_what_has_one_that_it_meets(tmp_path: Path) -> None:
    entries = '[scipy, {numpy: "<1.20", when: tensorflow<2.4}, {h5py: "<3", when: [tensorflow<2, python<3.8]}]'
    assert by_cell(loaded(tmp_path, f"{AXES}packages: {entries}\n")) == {
        "1.13.1,python=3.7": ("h5py<3", "numpy<1.20", "scipy"),
        "1.13.1,python=3.10": ("numpy<1.20", "scipy"),
        "2.4.0rc1,python=3.7": ("scipy",),  # PEP 440: no pre-release of 2.4 is below it
        "2.4.0rc1,python=3.10": ("scipy",),
        "2.4.0,python=3.7": ("scipy",),
        "2.4.0,python=3.10": ("scipy",),
    }


@pytest.mark.parametrize(
    ("condition", "cells"),
    [
        ("python>=3.8", {"1.13.1,python=3.10", "2.4.0rc1,python=3.10", "2.4.0,python=3.10"}),
        ("tensorflow==2.4.0", {"2.4.0,python=3.7", "2.4.0,python=3.10"}),
        ("tensorflow>=2.4.0rc0,!=2.4.0", {"2.4.0rc1,python=3.7", "2.4.0rc1,python=3.10"}),
        ("tensorflow~=1.13,!=1.13.1", set()),
    ],
)
def test_conditions_compare_as_pep_440_says(tmp_path: Path, condition: str, cells: set[str]) -> None:
    matrix = loaded(tmp_path, f"{AXES}packages: [{{numpy: '*', when: '{condition}'}}]\n")
    assert {name for name, packages in by_cell(matrix).items() if packages} == cells


def test_a_cell_without_a_value_of_the_axis_does_not_meet_a_condition_on_it(tmp_path: Path) -> None:
    text = (
        "axes: {tensorflow: [1.13.1, 2.4.0]}\nexperiment: {script: train.py}\n"
        "include: [{tensorflow: 2.4.0, keras: 2.4.3}]\npackages: [{numpy: '<1.20', when: keras<3}]\n"
    )
    assert by_cell(loaded(tmp_path, text)) == {"1.13.1": (), "2.4.0,keras=2.4.3": ("numpy<1.20",)}


def test_conditions_hold_for_the_versions_that_a_range_became(tmp_path: Path) -> None:
    text = (
        "axes: {tensorflow: {range: '*'}}\nexperiment: {script: train.py}\n"
        "packages: [{numpy: '<1.20', when: tensorflow<2.4}]\n"
    )
    matrix = settle(loaded(tmp_path, text), FakeIndex({"tensorflow": ["2.3.0", "2.4.0"]}))
    assert by_cell(matrix) == {"2.3.0": ("numpy<1.20",), "2.4.0": ()}


def test_the_packages_of_a_cell_are_sorted_and_none_comes_twice(tmp_path: Path) -> None:
    entries = "[scipy, pandas, {pandas: '', when: tensorflow<2}, {pandas: <2, when: tensorflow<2}]"
    matrix = loaded(tmp_path, f"{AXES}packages: {entries}\n")
    assert by_cell(matrix)["1.13.1,python=3.7"] == ("pandas", "pandas<2", "scipy")


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", "environment.yml"])
def test_a_file_given_as_a_package_is_pointed_to_requirements(tmp_path: Path, name: str) -> None:
    [mistake] = mistakes_in(tmp_path, f"{AXES}packages: [{name}]\n")
    assert f"'{name}' is a file, not a package (write requirements: [{name}])" in mistake
