"""Failures by their reason, with the cells that share it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

from made_account import made_account
from matrix_files import matrix
from outcomes_records import BREAKS, LEARNS, cell, cell_result, crash, outcome, trial

from runner.matrix.cells import expand
from runner.matrix.model import Seeds
from runner.outcomes.account import Side
from runner.outcomes.assembly import ResultInput, result_of
from runner.outcomes.failures import failure_groups
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.verdict import Label
from runner.trials.record import FileTrouble

NO_LR = crash("argument 'lr' at 0x7f3a", kind="TypeError", stage="build-model")


def names(group):
    return [one.id.get("tensorflow") for one in group.cells]


def test_the_reason_that_most_cells_share_comes_first():
    found = failure_groups(
        [
            outcome("1", *[BREAKS] * 4),
            outcome("2", (), (), **NO_LR),
            outcome("3", *[LEARNS] * 4),
            outcome("4", (), (), **{**NO_LR, **crash("argument 'lr' at 0x1", kind="TypeError", stage="build-model")}),
        ]
    )
    assert [(names(group), group.n_trials, group.reason) for group in found] == [
        (["2", "4"], 4, "crashed-build-model: TypeError: argument 'lr' at <address> (build-model)"),
        (["1"], 4, "nan"),
    ]
    assert found[0].example[0].seed == 0


def test_a_flaky_cell_stands_with_each_of_its_reasons():
    values, trials = cell("1", LEARNS, BREAKS, BREAKS)
    mixed = judge_cell(values, [*trials, trial(seed=9, **crash("bad shape"))], Seeds())
    found = failure_groups([mixed])
    assert [(group.label, group.n_trials) for group in found] == [(Label.NAN, 2), (Label.CRASHED_TRAINING, 1)]
    assert all(group.cells == (mixed,) for group in found)


def test_cells_that_can_not_be_made_are_grouped_by_the_resolvers_words():
    def unresolvable(name, message):
        return outcome(name, (), stage="install", exit_code=1, unresolvable=True, message=message)

    same = [unresolvable(name, f"keras=={name} needs numpy<1.20") for name in "12"]
    found = failure_groups([*same, unresolvable("3", "no CPython has wheels")])
    assert [names(group) for group in found] == [["1", "2"], ["3"]]
    assert found[0].reason == "unresolvable: exit code 1: keras==# needs numpy<1.20 (install)"


def test_a_group_says_what_to_do_where_that_is_known():
    missing = FileTrouble(sought="a.csv", lies="a.csv", trouble="not-given")
    lacking = {**crash("No such file: 'a.csv'", kind="FileNotFoundError", stage="import"), "file_trouble": missing}
    found = failure_groups([outcome("1", (), **lacking), outcome("2", (0.9,)), outcome("3", ()), outcome("4", BREAKS)])
    told = {group.label: group.advice for group in found}
    assert told[Label.CRASHED_AT_START] == "a.csv is there, but not under `files:` or `data:`"
    assert told[Label.TOO_SHORT].endswith("a criterion judges the last one: `criterion: loss < …`")
    assert "$RUNNER_METRICS" in told[Label.NO_METRICS]
    assert told[Label.NAN] == ""


def test_a_matrix_without_failures_has_no_groups():
    assert failure_groups([outcome("1", *[LEARNS] * 4)]) == ()


def test_cells_and_failures_name_their_accounts_and_the_head_is_the_matrix_s():
    good, bad = cell("1", *[LEARNS] * 4), cell("2", *[BREAKS] * 4)
    made = replace(matrix({"tensorflow": ["1", "2"]}), title="Why?", description="Asked.")
    account = made_account(
        good=Side(values={"tensorflow": "1"}, outcome="settles", converged=4, counted=4),
        bad=Side(values={"tensorflow": "2"}, outcome="fails (nan)", converged=0, counted=4),
    )
    found = result_of(
        ResultInput(
            matrix=made,
            matrix_text="",
            cells=expand(made),
            judged=judge_matrix([good, bad], Seeds()),
            compared={},
            locks={},
            accounts=(account,),
            made_at="2026-01-01T00:00:00+00:00",
            runner_version="0",
        )
    )
    assert [one.accounts for one in found.cells] == [(account.id,), (account.id,)]
    assert [one.accounts for one in found.failures] == [(account.id,)]
    assert (found.title, found.description) == ("Why?", "Asked.")


def test_a_cell_s_figures_are_medians_and_the_largest_peak():
    found = cell_result(*[LEARNS] * 4, peak_memory_bytes=4 * 10**8)
    assert (str(found.outcome), found.final, found.epoch_s, found.peak_memory_bytes) == (
        "settles",
        0.139,
        4.0,
        4 * 10**8,
    )
    assert (found.converged, found.counted, found.seeds) == (4, 4, 4)
    assert found.interval is not None
    assert round(found.interval.low, 4) == 0.3976


def test_a_median_of_losses_that_are_mostly_nan_is_nan():
    assert math.isnan(cell_result(*[BREAKS] * 4).final)
    assert cell_result(LEARNS, LEARNS, BREAKS).final == 0.139


def test_an_exception_stands_with_its_line_of_the_script():
    found = cell_result((), (), **crash("no 'lr'", kind="TypeError", stage="build-model"))
    assert str(found.outcome) == "breaks (crashed-build-model)"
    assert (found.exception.type, found.exception.message, found.exception.file) == (
        "TypeError",
        "no 'lr'",
        "script.py",
    )


def test_importing_the_outcomes_does_not_load_what_a_finished_run_does_not_need():
    code = (
        "import sys, runner.outcomes.assembly as _; print(*{'pandas', 'scipy', 'numpy', 'altair'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
