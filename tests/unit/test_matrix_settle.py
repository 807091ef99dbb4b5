from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_files import FakeIndex, loaded, refused, release

from runner.errors import MatrixError
from runner.matrix.cells import expand
from runner.matrix.model import Became
from runner.matrix.releases import Every, VersionRange, versions_of
from runner.matrix.settle import settle

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from runner.matrix.matrix_file import Matrix

TENSORFLOW = [
    "1.13.1 2019-02-26",
    "1.13.2 2019-07-16",
    "1.14.0 2019-06-19",
    "1.15.0rc3 2019-10-07",
    "1.15.0 2019-10-16",
    "1.15.5 2021-01-06 yanked",
    "2.0.0 2019-09-30",
    "2.1.0 2020-01-08",
    "2.2.0 2020-05-07",
    "2.3.0rc1 2020-07-01",
]
KERAS = ["2.2.4 2018-10-03", "2.2.5 2019-08-22", "2.3.1 2019-10-07", "2.4.0 2020-06-17"]
INDEX = {
    "tensorflow": TENSORFLOW,
    "keras": KERAS,
    "early": ["1.0rc1", "1.0rc2"],
    "gone": ["1.0 2020-01-01 yanked"],
    "tensorflow-cpu": TENSORFLOW[-3:],
}


def text_of(axes: str, rest: str = "") -> str:
    return f"axes: {axes}\nexperiment: {{script: train.py}}\n{rest}"


def settled(folder: Path, axes: str, rest: str = "") -> Matrix:
    return settle(loaded(folder, text_of(axes, rest)), FakeIndex(INDEX))


def cells_of(folder: Path, axes: str, rest: str = "") -> list[str]:
    return [str(cell.id) for cell in expand(settled(folder, axes, rest))]


def versions(folder: Path, node: str, package: str = "tensorflow") -> list[str]:
    return [value.text for value in settled(folder, f"{{{package}: {node}}}").axes[0].values]


def mistakes(folder: Path, axes: str, rest: str = "") -> list[str]:
    with pytest.raises(MatrixError) as caught:
        settled(folder, axes, rest)
    return refused(folder, caught.value)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{range: '>=1.13,<2.1'}", ["1.13.2", "1.14.0", "1.15.0", "2.0.0"]),
        ("{range: '>=1.13,<2.1', every: patch}", ["1.13.1", "1.13.2", "1.14.0", "1.15.0", "2.0.0"]),
        ("{range: '>=1.13,<2.1', every: major}", ["1.15.0", "2.0.0"]),
        ("{range: '>=1.13,<1.13.2'}", ["1.13.1"]),
        ("{range: '>=2.2', prereleases: true}", ["2.2.0", "2.3.0rc1"]),
        ("{range: '>=1.15.0rc1,<2', prereleases: true}", ["1.15.0"]),
        ("{range: '>=1.15.0rc1,<2', every: patch, prereleases: true}", ["1.15.0rc3", "1.15.0"]),
        ("{range: '*', every: major}", ["1.15.0", "2.2.0"]),
        ("{range: ''}", ["1.13.2", "1.14.0", "1.15.0", "2.0.0", "2.1.0", "2.2.0"]),
        ("latest", ["2.2.0"]),
        ("latest-1", ["2.1.0"]),
        ("latest-3", ["1.15.0"]),
        ("latest-5", ["1.13.2"]),
        ("[latest, 1.13.1, latest-2]", ["2.2.0", "1.13.1", "2.0.0"]),
    ],
)
def test_a_rule_becomes_the_releases_that_it_means(tmp_path: Path, node: str, expected: list[str]) -> None:
    assert versions(tmp_path, node) == expected


def test_what_a_rule_and_a_written_version_have_in_common_is_one_value_as_it_was_written(tmp_path: Path) -> None:
    assert versions(tmp_path, "[{range: '>=2.0,<2.2'}, 2.1, latest, 2.2.0.0, latest-1]") == ["2.0.0", "2.1.0", "2.2.0"]
    assert versions(tmp_path, "[2.1, {range: '>=2.0,<2.2'}]") == ["2.1", "2.0.0"]


def test_a_settled_matrix_tells_what_each_written_rule_became(tmp_path: Path) -> None:
    axes = "{tensorflow: [{range: '>=2.0, <2.2'}, latest, 1.13.1], keras: era}"
    assert settled(tmp_path, axes).became == (
        Became(axis="tensorflow", written=">=2.0,<2.2 every minor", versions=("2.0.0", "2.1.0")),
        Became(axis="tensorflow", written="latest", versions=("2.2.0",)),
        Became(axis="keras", written="era", versions=("2.2.5", "2.3.1", "2.2.4")),
    )


def test_a_value_that_a_rule_made_stands_where_the_rule_does(tmp_path: Path) -> None:
    (axis,) = settled(tmp_path, "{tensorflow: [2.0.0, latest]}").axes
    assert [(value.position.line, value.position.column) for value in axis.values] == [(1, 21), (1, 28)]


def test_era_pairs_each_tensorflow_with_the_keras_of_its_time(tmp_path: Path) -> None:
    assert cells_of(tmp_path, "{python: [3.6, 3.7], tensorflow: [1.13.1, 1.15.0, 2.2.0], keras: era}") == [
        "python=3.6,tensorflow=1.13.1,keras=2.2.4",
        "python=3.6,tensorflow=1.15.0,keras=2.3.1",
        "python=3.6,tensorflow=2.2.0,keras=2.3.1",
        "python=3.7,tensorflow=1.13.1,keras=2.2.4",
        "python=3.7,tensorflow=1.15.0,keras=2.3.1",
        "python=3.7,tensorflow=2.2.0,keras=2.3.1",
    ]


def test_a_version_beside_era_goes_with_every_tensorflow_and_equal_cells_are_one(tmp_path: Path) -> None:
    expected = [
        "tensorflow=1.13.1,keras=2.2.4",
        "tensorflow=2.2.0,keras=2.2.4",
        "tensorflow=2.2.0,keras=2.3.1",
    ]
    assert cells_of(tmp_path, "{tensorflow: [1.13.1, 2.2.0], keras: [2.2.4, era]}") == expected
    assert sorted(cells_of(tmp_path, "{tensorflow: [1.13.1, 2.2.0], keras: [era, 2.2.4]}")) == sorted(expected)


def test_the_pins_of_a_cell_hold_the_keras_of_the_era(tmp_path: Path) -> None:
    (cell,) = expand(settled(tmp_path, "{tensorflow-cpu: 2.1.0, keras: era}"))
    assert cell.pins == (("tensorflow-cpu", "2.1.0"), ("keras", "2.3.1"))


def test_concrete_versions_exclude_extend_and_expect_cells_of_a_settled_matrix(tmp_path: Path) -> None:
    rest = (
        "exclude: [{tensorflow: 2.0, keras: 2.2.5}]\n"
        "include: [{tensorflow: 2.1, python: 3.7}, {tensorflow: 2.0.0, keras: 2.3.1}]\n"
        "expect: [{tensorflow: 2.1, keras: 2.3.1, python: 3.7, outcome: converges}]\n"
    )
    assert cells_of(tmp_path, "{tensorflow: {range: '>=2'}, keras: era}", rest) == [
        "tensorflow=2.1.0,keras=2.3.1,python=3.7",
        "tensorflow=2.2.0,keras=2.3.1",
        "tensorflow=2.0.0,keras=2.3.1",
    ]


def test_a_matrix_of_concrete_versions_is_settled_without_the_index(tmp_path: Path) -> None:
    index = FakeIndex({})
    matrix = loaded(tmp_path, text_of("{tensorflow: [1.13.1], keras: 2.2.4}"))
    assert settle(matrix, index) is matrix
    assert not index.asked


def test_the_index_is_asked_once_for_each_package_that_a_rule_needs(tmp_path: Path) -> None:
    index = FakeIndex(INDEX)
    axes = "{tensorflow: [1.13.1, 2.0.0], keras: [era, latest], numpy: [1.16.0]}"
    settle(loaded(tmp_path, text_of(axes)), index)
    assert sorted(index.asked) == ["keras", "tensorflow"]


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    once = settled(tmp_path, "{tensorflow: {range: '>=2'}, keras: era}")
    assert settle(once, FakeIndex({})) == once


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (
            "{tensorflow: {range: '>=9'}}",
            "1:28: no release of tensorflow is in >=9; the newest is 2.2.0 (nearest: 2.1.0, 2.2.0)",
        ),
        (
            "{tensorflow: [2.0.0, {range: '==1.12.*'}]}",
            "1:36: no release of tensorflow is in ==1.12.*; the newest is 2.2.0 (nearest: 1.13.1, 1.13.2)",
        ),
        (
            "{tensorflow: {range: '>2.2'}}",
            (
                "1:28: no release of tensorflow is in >2.2; the newest is 2.2.0 "
                "(2.3.0rc1: pre-releases, which a range takes with prereleases: true)"
            ),
        ),
        (
            "{tensorflow: {range: '==1.15.5', prereleases: true}}",
            "1:28: no release of tensorflow is in ==1.15.5; the newest is 2.2.0 (1.15.5: yanked)",
        ),
        ("{gone: {range: '<1'}}", "1:22: no release of gone is in <1 (it has no releases)"),
        (
            "{early: latest}",
            (
                "1:15: early has no final release, so latest means none "
                "(1.0rc1, 1.0rc2: pre-releases, which a range takes with prereleases: true)"
            ),
        ),
        ("{gone: latest-2}", "1:14: gone has no final release, so latest-2 means none (1.0: yanked)"),
        (
            "{tensorflow: latest-6}",
            "1:20: tensorflow has only 6 minor releases, so latest-6 does not exist (the oldest is 1.13.2)",
        ),
        (
            "{tensorflow: 2.0.0, kears: latest, keras: 2.2.4}",
            "1:34: the package index has no package 'kears' (did you mean 'keras'?)",
        ),
        (
            "{tensorflow-gpu: 2.0.0, keras: era}",
            "1:8: the package index has no package 'tensorflow-gpu'",
        ),
        (
            "{tensorflow: [1.13.1, 1.13.3], keras: era}",
            "1:29: tensorflow 1.13.3 does not exist (nearest: 1.13.1, 1.13.2, 1.14.0, 1.15.0)",
        ),
        ("{tensorflow: 1.13.1, tf-keras: era}", "1:38: the package index has no package 'tf-keras'"),
    ],
)
def test_a_rule_without_an_answer_is_a_mistake_with_its_place(tmp_path: Path, axes: str, expected: str) -> None:
    assert mistakes(tmp_path, axes) == [f"matrix.yaml:{expected}"]


def test_a_tensorflow_without_a_keras_of_its_era_is_named_with_what_it_would_go_with(tmp_path: Path) -> None:
    index = FakeIndex({**INDEX, "tf-keras": ["2.2.0 2023-01-01"]})
    with pytest.raises(MatrixError) as caught:
        settle(loaded(tmp_path, text_of("{tensorflow: {range: '*', every: patch}, tf-keras: era}")), index)
    assert refused(tmp_path, caught.value) == [
        (
            "matrix.yaml:1:58: there is no tf-keras of the era of tensorflow 1.13.1, 1.13.2, 1.14.0, 1.15.0, 2.0.0 "
            "and 2 more (1.13.1 goes with tf-keras==1.13.*, final and out within 30 days)"
        )
    ]


def test_all_rules_without_an_answer_are_reported_together(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "{tensorflow: {range: '>=9'}, keras: [era, latest-9], nump: latest}")
    assert [line.split(": ")[1] for line in found] == [
        "no release of tensorflow is in >=9; the newest is 2.2.0 (nearest",
        "keras has only 3 minor releases, so latest-9 does not exist (the oldest is 2.2.5)",
        "the package index has no package 'nump'",
    ]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (
            "exclude: [{tensorflow: 2.1.1}]",
            "3:24: the axis 'tensorflow' has no value '2.1.1' (did you mean '2.1.0'?)",
        ),
        (
            "exclude: [{tensorflow: 2.1, keras: 2.2.4}]",
            "3:36: the axis 'keras' has no value '2.2.4' (did you mean '2.2.5'?)",
        ),
        (
            "include: [{keras: 2.9, tensorflow: 2.9}]\nexpect: [{tensorflow: 2.8, outcome: fails}]",
            "4:23: the axis 'tensorflow' has no value '2.8' (did you mean '2.9'?)",
        ),
        (
            "expect: [{tensorflow: 2.1, keras: 2.2.5, outcome: fails}]",
            "3:11: this expectation matches no cell (each value exists, but not in this combination)",
        ),
        (
            "include: [{keras: 2.0.8}]",
            "3:12: this makes a new cell, which needs a value for tensorflow (no cell matches it, so it extends none)",
        ),
        (
            "exclude: [{keras: 2.2.5}, {keras: 2.3.1}]",
            "3:12: no cell is left: every combination is excluded",
        ),
    ],
)
def test_what_a_section_names_is_held_against_the_versions_that_came_out(
    tmp_path: Path, rest: str, expected: str
) -> None:
    axes = "{tensorflow: {range: '>=2'}, keras: era}"
    assert not loaded(tmp_path, text_of(axes, rest)).settled  # loading can't know
    assert mistakes(tmp_path, axes, rest) == [f"matrix.yaml:{expected}"]


VERSIONS = st.builds(
    "{}.{}.{}{}".format,
    *[st.integers(0, 3)] * 3,
    st.sampled_from(["", "", "", "rc1", ".post1"]),
)
RELEASES = st.dictionaries(VERSIONS, st.booleans(), min_size=1).map(
    lambda found: [release(f"{version} 2020-01-01 {'yanked' if yanked else ''}") for version, yanked in found.items()]
)


@given(RELEASES, st.sampled_from(Every), st.booleans())
def test_a_range_takes_the_newest_of_each_group_and_nothing_yanked_or_early(
    releases: list[object], every: Every, prereleases: bool
) -> None:
    allowed = [one.version for one in releases if not one.yanked and (prereleases or not one.version.is_prerelease)]
    parts = {Every.MAJOR: 1, Every.MINOR: 2, Every.PATCH: None}[every]
    if not allowed:
        return
    taken = versions_of(VersionRange(specifiers="", every=every, prereleases=prereleases), "x", releases)
    assert taken == sorted(taken)
    assert set(taken) <= set(allowed)
    if parts is None:
        assert set(taken) == set(allowed)
        return
    newest: dict[tuple[int, ...], Version] = {}
    for version in allowed:
        key = version.release[:parts]
        newest[key] = max(version, newest.get(key, version))
    assert set(taken) == set(newest.values())
