"""Known changes, run on both sides of their borders: each side comes out as its case expects.

The cheapest two by default, all of them with RUNNER_ALL_CASES=1; a case that expects no outcomes is shown by `explain`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY, runner, table

from runner.changes.known import known_changes
from runner.matrix.matrix_file import Matrix

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.network]

CHEAP = {"tests/system/changes/scalar-repr", "tests/system/changes/dummies-are-boolean"}
CASES = sorted(
    {change.case for change in known_changes() if Matrix.load(REPOSITORY / change.case / "matrix.yaml").expect}
)
CHOSEN = [case for case in CASES if case in CHEAP or os.environ.get("RUNNER_ALL_CASES") == "1"]


@pytest.mark.parametrize("case", CHOSEN)
def test_both_sides_of_a_known_change_come_out_as_expected(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(REPOSITORY / case, folder, ignore=shutil.ignore_patterns(".runner"))
    done = runner(folder, "matrix.yaml", "--engine", "venv", timeout_s=1800)
    rows = [row for row in table(folder, "venv") if row["expected"]]
    assert [row["as_expected"] for row in rows] == [True] * len(rows), [(row["id"], row["outcome"]) for row in rows]
    assert len(rows) > 1
    assert done.returncode == 0, done.stderr
