"""A mistake is told once: what only follows from it is not told, and what stands apart from it still is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import SMALLEST, mistakes_in

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "axes: {tensorflow: [1.13.1, 2.10.1], keras: [2.2.4, 2.10.0]}\n"
EXPERIMENT = "experiment: {script: train.py}\n"


def test_a_misshapen_axis_causes_no_further_mistakes_where_it_is_named(tmp_path: Path) -> None:
    text = "axes: {keras: [[2.2.4]], script: train.py}\nexpect: [{keras: 2.2.4, outcome: converges}]\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:1:16: an entry of axes.keras must be a text or a mapping, not a list"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty (`convergence-matrix init script.py` writes a matrix)"),
        ("# only a comment\n", "1:1: the file is empty (`convergence-matrix init script.py` writes a matrix)"),
        ("- a\n", "1:1: a matrix is a mapping with keys such as axes, not a list"),
        (f"{EXPERIMENT}include:\n", "1:1: there are no axes (such as axes: {tensorflow: [1.13.1, 2.10.1]})"),
        (
            f"{EXPERIMENT}include: [{{python: 3.7}}]",
            "1:1: there are no axes (such as axes: {tensorflow: [1.13.1, 2.10.1]})",
        ),
        (f"{EXPERIMENT}include: [tensorflow]", "2:11: an entry of include must be a mapping, not a text"),
        (
            f"{EXPERIMENT}include: [{{tensorflow: 1.13.1}}, {{keras: 2.2.4}}]",
            "2:34: this makes a new cell, which needs a value for tensorflow (no cell matches it, so it extends none)",
        ),
        (EXPERIMENT, "1:1: there are no axes (such as axes: {tensorflow: [1.13.1, 2.10.1]})"),
    ],
)
def test_a_file_that_is_no_matrix_at_all_gets_one_message(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes_in(tmp_path, text) == [f"matrix.yaml:{expected}"]


def test_a_mistake_that_an_alias_repeats_is_reported_once(tmp_path: Path) -> None:
    text = f"{SMALLEST}exclude: [&x {{kers: 1}}, *x]\n"
    assert len(mistakes_in(tmp_path, text)) == 1


def test_a_misshapen_axis_causes_no_mistake_in_a_condition_or_an_era(tmp_path: Path) -> None:
    text = f"axes: {{tensorflow: [[1]], keras: era}}\n{EXPERIMENT}packages: [{{numpy: '*', when: tensorflow<2}}]\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:1:21: an entry of axes.tensorflow must be a text or a mapping, not a list"
    ]


def test_a_mistaken_range_causes_no_further_mistakes_where_its_axis_is_named(tmp_path: Path) -> None:
    text = f"axes: {{tensorflow: [1.13.1, {{range: x}}]}}\n{EXPERIMENT}expect: [{{tensorflow: 2.0, outcome: fails}}]\n"
    (mistake,) = mistakes_in(tmp_path, text)
    assert mistake.startswith("matrix.yaml:1:37: axes.tensorflow.range: 'x' is not a version range (PEP 440)")


def test_a_matrix_with_ranges_still_has_the_mistakes_of_its_concrete_axes_at_once(tmp_path: Path) -> None:
    text = f"axes: {{tensorflow: latest, keras: [2.2.4]}}\n{EXPERIMENT}exclude: [{{keras: 2.2.5}}, {{tensorflow: 9}}]\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:3:19: the axis 'keras' has no value '2.2.5' (did you mean '2.2.4'?)"
    ]
