"""What makes a matrix not green as a whole, in a sentence that names how its cells ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from outcomes_made import made
from outcomes_records import trial

from runner.matrix.matrix_file import Matrix
from runner.outcomes.judged_matrix import complaint
from runner.outcomes.tally import tally

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = "axes: {tensorflow: ['1', '2', '3']}\nexperiment: {script: a.py}\n"


@pytest.mark.parametrize(
    ("labels", "expect", "said"),
    [
        (("converges", "breaks (timeout)", "fails (nan)"), "", ""),
        (("breaks (timeout)", "breaks (crashed-import)", "fails (nan)"), "", "No cell is good: 2 broke, 1 failed."),
        (
            ("blocked (install-failed)", "undecided", "blocked (unresolvable)"),
            "",
            "No cell is good: 2 could not be tested, 1 undecided.",
        ),
        (("undecided", "undecided", "converges"), "", "Most cells are undecided: 2 of 3."),
        (("breaks (timeout)", "fails (nan)", "fails (nan)"), "expect: [{outcome: fails}]\n", ""),
        (
            ("breaks (timeout)", "fails (nan)", "fails (nan)"),
            "expect: [{tensorflow: '1', outcome: breaks}]\n",
            "No cell is good: 2 failed, 1 broke.",
        ),
    ],
)
def test_a_matrix_is_not_green_as_a_whole_where_nothing_of_it_works(
    tmp_path: Path, labels: tuple[str, ...], expect: str, said: str
) -> None:
    (tmp_path / "a.py").touch()
    (tmp_path / "matrix.yaml").write_text(MATRIX + expect)
    cells = [made(label, {"tensorflow": str(place)}) for place, label in enumerate(labels, 1)]
    cells = [replace(cell, counts=tally([trial(1.0)])) for cell in cells]
    assert complaint(Matrix.load(tmp_path / "matrix.yaml"), cells) == said
