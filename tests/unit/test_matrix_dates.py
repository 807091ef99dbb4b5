from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import SMALLEST, loaded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "as_of", "dates"),
    [
        ("release", "release", ()),
        ("none", "none", ()),
        ("2019-03-01", "2019-03-01", ()),
        ("{default: 2019-03-01}", "2019-03-01", ()),
        ("{scipy: none, Num_Py: 2020-02-29}", "release", (("num-py", "2020-02-29"), ("scipy", "none"))),
        ("{numpy: 2020-01-01, default: none}", "none", (("numpy", "2020-01-01"),)),
        ("{default: release, numpy: none}", "release", (("numpy", "none"),)),
        ("{}", "release", ()),
    ],
)
def test_as_of_is_a_rule_for_all_packages_and_rules_for_single_ones(
    tmp_path: Path, written: str, as_of: str, dates: tuple[tuple[str, str], ...]
) -> None:
    matrix = loaded(tmp_path, f"{SMALLEST}as_of: {written}\n")
    assert (matrix.as_of, matrix.dates) == (as_of, dates)
