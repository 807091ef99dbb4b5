"""The table: one row a cell, as values, as a DataFrame, and as text."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from outcomes_records import BREAKS, LEARNS, crash, epochs, trial

from runner.matrix.cell_id import CellId
from runner.matrix.model import Seeds
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.table import row_of, table
from runner.trials.record import Package

CELL = {"tensorflow": "1.13.1", "keras": "2.2.4", "script": "experiments/a.py"}
WORLD = {
    "python": "3.7.16",
    "image": "sha256:ab",
    "lock": "tensorflow-1.13.1+keras-2.2.4",
    "lock_digest": "c" * 64,
    "packages": {"tensorflow": Package(version="1.13.1"), "numpy": Package(version="1.16.2")},
}


def converging():
    made = [trial(*LEARNS, seed=seed, peak_memory_bytes=(seed + 1) * 10**8, **WORLD) for seed in range(4)]
    return judge_cell(CellId.of(CELL), made, Seeds())


def failing():
    made = [trial(*BREAKS, seed=seed, **WORLD) for seed in range(4)]
    return judge_cell(CellId.of({**CELL, "script": "b|.py"}), made, Seeds())


def crashing(message="unexpected keyword\nargument `lr` | <b>"):
    made = [trial(seed=seed, **WORLD, **crash(message, kind="TypeError", stage="build-model")) for seed in range(2)]
    return judge_cell(CellId.of({**CELL, "script": "c.py"}), made, Seeds())


def test_a_row_says_all_of_a_cell():
    row = row_of(converging())
    assert row.columns() == {
        **CELL,
        "outcome": "settles",
        "kind": "good",
        "seeds": 4,
        "converged": 4,
        "counted": 4,
        "interval_low": pytest.approx(0.3976, abs=1e-4),
        "interval_high": 1.0,
        "final_loss": 0.139,
        "epoch_s": 4.0,
        "peak_memory_mb": 400.0,
        "tensorflow_imported": "1.13.1",
        "keras_imported": "",
        "numpy_imported": "1.16.2",
        "cpython": "3.7.16",
        "engine": "venv",
        "image": "sha256:ab",
        "lock": "tensorflow-1.13.1+keras-2.2.4",
        "lock_digest": "c" * 64,
        "exception": "",
        "script_line": "",
        "flags": "",
        "reason": "4 of 4 counted trials succeeded: 4 settled",
        "comparison": "",
        "comparison_p": None,
        "comparison_reason": "",
    }


def test_a_median_of_losses_that_are_mostly_nan_is_nan():
    row = row_of(failing())
    assert math.isnan(row.final_loss)
    mixed = [trial(*losses, seed=seed) for seed, losses in enumerate((LEARNS, LEARNS, BREAKS))]
    assert row_of(judge_cell(CellId.of(CELL), mixed, Seeds())).final_loss == 0.139


def test_the_seconds_of_an_epoch_leave_out_the_first_one():
    row = row_of(judge_cell(CellId.of(CELL), [trial(epochs=epochs("fit-1", {"loss": 1.0}))], Seeds()))
    assert row.epoch_s is None


def test_an_exception_stands_with_its_line_of_the_script():
    row = row_of(crashing("no 'lr'"))
    assert (row.outcome, row.exception, row.script_line) == (
        *("blocked (crashed-build-model)", "TypeError: no 'lr'"),
        "script.py:12",
    )


def test_a_package_is_found_by_the_name_of_its_module():
    packages = {"tensorflow_core": Package(version="1.15.0"), "sklearn": Package(version="0.20")}
    made = judge_cell(CellId.of({"tensorflow": "1.15.0", "scikit-learn": "0.20"}), [trial(packages=packages)], Seeds())
    assert dict(row_of(made).imported) == {
        "tensorflow": "1.15.0",
        "keras": "",
        "numpy": "",
        "scikit-learn": "0.20",
    }


def test_the_data_frame_has_the_columns_of_the_rows():
    outcomes = [converging(), failing(), crashing()]
    frame = table(map(row_of, outcomes))
    assert list(frame.columns) == list(row_of(outcomes[0]).columns())
    assert list(frame["outcome"]) == ["settles", "fails (nan)", "blocked (crashed-build-model)"]
    assert frame["final_loss"].dtype == float


def test_importing_the_outcomes_does_not_load_what_a_finished_run_does_not_need():
    code = "import sys, runner.outcomes; print(*{'pandas', 'scipy', 'numpy', 'lark', 'pydantic'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
