from __future__ import annotations

from typing import TYPE_CHECKING

from matrix_files import FakeIndex, loaded

from runner.matrix.settle import missing_versions, settle

if TYPE_CHECKING:
    from pathlib import Path

INDEX = {
    "tensorflow": ["1.12.0", "1.13.0", "1.13.1", "1.13.2", "1.14.0", "1.15.0rc1", "2.0.0", "1.13.9 2020-01-01 yanked"],
    "keras": ["2.2.4", "2.2.5"],
    "empty": [],
}


def missing(folder: Path, axes: str, rest: str = "") -> tuple[list[str], list[str]]:
    """The mistakes, without the folder, and the packages that the index was asked for."""
    index = FakeIndex(INDEX)
    matrix = loaded(folder, f"axes: {axes}\nexperiment: {{script: train.py}}\n{rest}")
    return [str(mistake).replace(f"{folder}/", "") for mistake in missing_versions(matrix, index)], index.asked


def test_versions_that_exist_are_no_mistake_however_they_are_written(tmp_path: Path) -> None:
    assert missing(tmp_path, "{tensorflow: [1.13.1, 2.0], keras: 2.2.4, python: 3.7}") == ([], ["tensorflow", "keras"])


def test_a_missing_version_names_the_releases_on_both_sides_of_it(tmp_path: Path) -> None:
    found, _ = missing(tmp_path, "{tensorflow: [1.13.1, 1.13.3], keras: [9.9]}")
    assert found == [
        "matrix.yaml:1:29: tensorflow 1.13.3 does not exist (nearest: 1.13.1, 1.13.2, 1.14.0, 2.0.0)",
        "matrix.yaml:1:46: keras 9.9 does not exist (nearest: 2.2.4, 2.2.5)",
    ]


def test_pre_releases_are_named_where_one_was_asked_for(tmp_path: Path) -> None:
    found, _ = missing(tmp_path, "{tensorflow: 1.15.0rc2}")
    assert found == ["matrix.yaml:1:20: tensorflow 1.15.0rc2 does not exist (nearest: 1.14.0, 1.15.0rc1, 2.0.0)"]


def test_a_version_that_only_include_names_is_looked_up_too(tmp_path: Path) -> None:
    found, asked = missing(tmp_path, "{tensorflow: 2.0.0}", "include: [{tensorflow: 2.1.0}, {kears: 2.2.4}]\n")
    assert found == [
        "matrix.yaml:3:24: tensorflow 2.1.0 does not exist (nearest: 1.14.0, 2.0.0)",
        "matrix.yaml:3:40: the package index has no package 'kears' (did you mean 'keras'?)",
    ]
    assert asked == ["tensorflow", "kears"]


def test_an_unknown_package_is_one_mistake_and_a_misspelt_axis_is_named(tmp_path: Path) -> None:
    found, asked = missing(tmp_path, "{tensorflow: 2.0.0, pyhton: [3.7, 3.8]}")
    assert found == ["matrix.yaml:1:36: the package index has no package 'pyhton' (did you mean 'python'?)"]
    assert asked == ["tensorflow", "pyhton"]


def test_a_package_without_releases_says_so(tmp_path: Path) -> None:
    assert missing(tmp_path, "{empty: 1.0}")[0] == ["matrix.yaml:1:15: empty 1.0 does not exist (it has no releases)"]


def test_a_yanked_version_exists_but_is_not_proposed(tmp_path: Path) -> None:
    found, _ = missing(tmp_path, "{tensorflow: [1.13.9, 1.13.8]}")
    assert found == [
        "matrix.yaml:1:29: tensorflow 1.13.8 does not exist (nearest: 1.13.1, 1.13.2, 1.14.0, 2.0.0)",
    ]


def test_what_a_range_became_exists_and_what_stands_beside_it_is_looked_up(tmp_path: Path) -> None:
    text = "axes: {tensorflow: [{range: '>=1.13'}, 1.13.3]}\nexperiment: {script: train.py}\n"
    settled = settle(loaded(tmp_path, text), FakeIndex(INDEX))
    (mistake,) = missing_versions(settled, FakeIndex(INDEX))
    assert "tensorflow 1.13.3 does not exist" in mistake.message
